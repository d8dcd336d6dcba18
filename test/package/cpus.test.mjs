/**
 * The installed package on CPUs that this machine does not have, emulated with Node and all by qemu, and with the C
 * library of Debian 11, the oldest that is supported.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { sysroot, targets } from '../../scripts/sysroot.mjs';
import { emptyFolder, nodeOf, npm, run, tarball, write } from './support.mjs';

const cleanups = [];
let folder;

/** A kernel of each family, and a training; each is compared with what the same program gives without emulation. */
const smoke = `
  const k = require('kindling');
  k.manualSeed(0);
  const results = {};
  const note = (name, tensor) => { results[name] = Array.from(tensor.cast('float32').flatten().toArray()).slice(0, 50); };
  const [a, b] = [k.randn([33, 40]), k.randn([40, 35])];
  note('matmul', k.matmul(a, b));
  note('float64', k.matmul(a.cast('float64'), b.cast('float64')));
  note('elementwise', a.exp().add(a.tanh()).mul(a.abs().add(1).log()).add(a.sin()));
  note('reductions', k.concat([a.sum(1), a.max(1), a.mean(1)]));
  note('softmax', a.softmax(1));
  note('sorted', a.sort(1).values);
  note('integers', a.mul(100).cast('int32').add(3));
  note('transposed', a.transpose(0, 1).contiguous());
  const image = k.randn([2, 8, 17, 17]);
  k.noGrad(() => {
    note('convolution', k.nn.conv2d(8, 33, 3, { padding: 1 }).forward(image));
    note('winograd', k.nn.conv2d(64, 32, 3, { padding: 1 }).forward(k.randn([1, 64, 12, 12])));
    note('strided', k.nn.conv2d(8, 5, 3, { stride: 2 }).forward(image));
    note('pooling', k.nn.maxPool2d(2).forward(image));
    note('lstm', k.nn.lstm(10, 12).forward(k.randn([5, 3, 10])));
    note('norm', k.nn.layerNorm([40]).forward(a));
  });
  note('solved', k.linalg.solve(k.eye(12).add(k.randn([12, 12]).mul(0.1)), k.randn([12, 2])));
  note('random', k.concat([k.rand([100]), k.randn([100])]));
  const x = k.rand([64, 2]);
  const model = k.nn.sequential(k.nn.linear(2, 8), k.nn.relu(), k.nn.linear(8, 1));
  model.compile({ optimizer: 'adam', loss: 'mse' });
  model.fit({ x, y: x.sum(1, { keepDims: true }) }, { epochs: 2, verbose: 0 }).then(({ history }) => {
    results.losses = history.loss;
    console.log(JSON.stringify({ isa: k.isa(), glibc: process.report.getReport().header.glibcVersionRuntime, results }));
  });`;

before(() => {
  folder = emptyFolder({ after: (work) => cleanups.push(work) });
  npm(process.execPath, ['install', tarball], { cwd: folder });
  write(folder, 'smoke.cjs', smoke);
});
after(() => cleanups.forEach((work) => work()));

function emulated(arch, cpu) {
  const node = arch === process.arch ? process.execPath : nodeOf(20, arch);
  const { processor, triplet } = targets[arch];
  const qemu = `qemu-${processor}`;
  const libraries = ['lib', 'usr/lib'].map((name) => path.join(sysroot(arch), name, triplet)).join(':');
  const options = ['-L', sysroot(arch), '-E', `LD_LIBRARY_PATH=${libraries}`, '-cpu', cpu];
  const args = [...options, node, path.join(folder, 'smoke.cjs')];
  return JSON.parse(run(qemu, args, { cwd: folder }));
}

function assertClose(found, wanted) {
  assert.deepEqual(Object.keys(found), Object.keys(wanted));
  assert.ok(Object.keys(found).length > 15);
  for (const [name, values] of Object.entries(wanted)) {
    assert.equal(found[name].length, values.length, name);
    values.forEach((value, i) => {
      const difference = Math.abs(found[name][i] - value);
      assert.ok(difference <= 1e-4 * (1 + Math.abs(value)), `${name}[${i}]: ${found[name][i]} for ${value}`);
    });
  }
}

// The first x86-64 CPUs had SSE2 or 3 only; SandyBridge has AVX but not AVX2; Haswell is the control that has it.
for (const [arch, cpu, isa] of [
  ['x64', 'qemu64', 'scalar'],
  ['x64', 'Nehalem', 'scalar'],
  ['x64', 'SandyBridge', 'scalar'],
  ['x64', 'Haswell', 'avx2'],
  ['arm64', 'cortex-a53', 'neon'],
]) {
  test(`on ${arch}, ${cpu}, the level is ${isa}, and every kind of kernel gives what it gives here`, () => {
    const here = JSON.parse(run(process.execPath, ['smoke.cjs'], { cwd: folder }));
    const there = emulated(arch, cpu);
    assert.equal(there.isa, isa);
    assert.equal(there.glibc, '2.31');
    assertClose(there.results, here.results);
  });
}

/** What the library says where there is no CUDA. Each in a process of its own, whose first call it is. */
import './emulator';
import { childJson } from '../runtime/child';

const ask = `
  const status = k.cudaStatus();
  let refusal = '';
  try { k.tensor([1], { device: 'cuda' }); } catch (error) { refusal = error.name + ': ' + error.message; }
  const sum = k.tensor([1, 2]).sum().item();
  console.log(JSON.stringify({ ...status, refusal, sum, count: k.cuda.deviceCount() }));
`;

test.each<[string, Record<string, string>, RegExp]>([
  ['no driver', { KINDLING_EMULATOR_DRIVER: 'none' }, /^there is no NVIDIA driver on this machine$/],
  [
    'an old driver',
    { KINDLING_EMULATOR_DRIVER: 'old' },
    /^the NVIDIA driver is too old: it supports CUDA 11\.0, 13\.0 is needed$/,
  ],
  ['no device', { KINDLING_EMULATOR_DEVICES: '0' }, /^the NVIDIA driver finds no GPU/],
  ['no library', { KINDLING_CUDA_LIBRARY: '/nowhere/libkindling_cuda.so' }, /^the CUDA backend is not installed: /],
  [
    'another library',
    { KINDLING_CUDA_LIBRARY: 'libm.so.6' },
    /^the CUDA backend (is not installed|does not belong to this version of kindling): /,
  ],
])('%s', (_, env, reason) => {
  const { refusal, ...rest } = childJson(ask, env) as { refusal: string };
  expect(rest).toMatchObject({
    available: false,
    deviceCount: 0,
    count: 0,
    sum: 3,
    reason: expect.stringMatching(reason) as string,
  });
  expect(refusal).toMatch(/^DeviceError: tensor: no device 'cuda': /);
});

test('KINDLING_DEVICE names the default device, and fails with the reason', () => {
  const where =
    'console.log(JSON.stringify([k.defaultDevice(), k.tensor([1]).device, k.nn.linear(2, 2).weight.device]))';
  expect(childJson(where, { KINDLING_DEVICE: 'cuda:1' })).toEqual(['cuda:1', 'cuda:1', 'cuda:1']);
  expect(childJson(where, { KINDLING_DEVICE: '' })).toEqual(['cpu', 'cpu', 'cpu']);
  expect(() => childJson(where, { KINDLING_DEVICE: 'cuda', KINDLING_EMULATOR_DRIVER: 'none' })).toThrow(
    /KINDLING_DEVICE: no device 'cuda': there is no NVIDIA driver/,
  );
});

test('a process without CUDA never looks for it', () => {
  const loaded = `
    k.tensor([1, 2]).add(1).toArray();
    const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
    console.log(JSON.stringify(maps.includes(process.env.KINDLING_CUDA_LIBRARY)));
  `;
  expect(childJson(loaded)).toBe(false);
  expect(childJson(`k.cudaStatus();${loaded}`)).toBe(true);
});

test('several threads of JavaScript work on one device side by side', () => {
  const results = childJson(`
    const { Worker } = require('node:worker_threads');
    const work = (seed) => {
      const g = new k.Generator(seed);
      let x = k.randn([40, 40], { device: 'cuda', generator: g });
      for (let i = 0; i < 40; i++) x = k.tidy(() => x.matmul(x).mul(0.02).add(x).tanh());
      return x.sum().item();
    };
    const source = (seed) => 'const k = require(' + ${JSON.stringify(JSON.stringify(require.resolve('../../dist/lib')))} + ');'
      + 'const work = ' + work.toString() + ';'
      + 'require("node:worker_threads").parentPort.postMessage(work(' + seed + '));';
    const inWorker = (seed) => new Promise((resolve, reject) => {
      const worker = new Worker(source(seed), { eval: true });
      let result;
      worker.on('message', (value) => (result = value));
      worker.on('error', reject);
      worker.on('exit', () => resolve(result));
    });
    Promise.all([1, 2, 3, 4].map(inWorker)).then((many) => {
      const left = k.cuda.memoryStats().allocatedBytes;
      console.log(JSON.stringify({ many, alone: [1, 2, 3, 4].map(work), left }));
    });
  `) as { many: number[]; alone: number[]; left: number };
  expect(results.many).toEqual(results.alone);
  expect(new Set(results.alone).size).toBe(4);
  // Their memory went with them.
  expect(results.left).toBe(0);
});

test('a process that ends in the middle of things ends well', () => {
  const program = `
    const x = k.ones([300, 300], { device: 'cuda' });
    const step = k.compile((a) => a.matmul(a).sum());
    step(x); step(x);
    x.data();
    setTimeout(() => process.exit(0), 5);
    console.log('1');
  `;
  for (let i = 0; i < 3; i++) expect(childJson(program)).toBe(1);
});

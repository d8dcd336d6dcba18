// `npm run test:arm64`: the C++ tests, cross-compiled for linux-arm64 and run under qemu-user against the libraries of
// Debian 11. An emulated CPU is twenty times slower than this one, so the slowest cases run only with `-- --all`.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { prebuild, releaseBuild } from './prebuild.mjs';
import { step } from './setup.mjs';
import { sysroot, targets } from './sysroot.mjs';
import { stop } from './tools.mjs';

const arch = 'arm64';

/** What no run can do here: in a process that was forked from one with threads, qemu-user 7.2 aborts at a new thread. */
const impossible = ['a forked child has a working pool'];

/** Half of the time of all: what goes over very many numbers. */
const slow = [
  'vec_math: functions of one argument over all of float32',
  "convolution by Winograd's algorithm against plain sums",
  'convolution and its gradients against plain sums',
  'gemm: sizes that are packed*',
  'randomized: every op gives the same bits*',
];

/** No run takes nearly so long; what hangs must fail. */
const maxMs = 40 * 60_000;

const qemu = `qemu-${targets[arch].processor}`;
if (spawnSync(qemu, ['--version']).status !== 0) stop(`${qemu} was not found; on Debian: apt-get install qemu-user`);
await prebuild([arch]);
// In the folder of the release build: the kernels need not be compiled again.
const folder = path.join(releaseBuild(arch), 'build');
step('configuring the tests for arm64', 'cmake', ['-DKINDLING_TESTS=ON', folder]);
step('building the tests for arm64', 'cmake', ['--build', folder, '--parallel', '2', '--target', 'kindling_tests']);

const binary = path.join(folder, 'test/native/kindling_tests');
const run = (...args) =>
  spawnSync(qemu, ['-L', sysroot(arch), binary, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: maxMs,
  });

const names = run('--list-test-cases').stdout.split('\n');

/** A case that was renamed would run again without a word. */
function requireCase(name) {
  const escaped = (text) => text.replace(/[^\w\s]/g, '\\$&');
  const pattern = new RegExp(`^${name.split('*').map(escaped).join('.*')}$`);
  if (!names.some((found) => pattern.test(found))) stop(`no C++ test is called ${name}: mend scripts/arm64-tests.mjs`);
}

const leftOut = process.argv.includes('--all') ? impossible : [...impossible, ...slow];
leftOut.forEach(requireCase);
console.log(`left out: ${impossible.join(', ')} (qemu-user cannot do it)`);
if (leftOut.length > impossible.length) console.log(`left out: ${slow.join(', ')} (slow; -- --all runs them)`);
const { status, stdout, stderr } = run(`--test-case-exclude=${leftOut.join(',')}`);
const [, passed, failed] = /test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed/.exec(stdout) ?? [0, 0, 0];
if (status !== 0 || Number(passed) === 0) {
  process.stdout.write(stdout);
  process.stderr.write(stderr);
}
const lost = status !== 0 && Number(failed) === 0 ? 1 : 0;
console.log(`${passed} passed, ${Number(failed) + lost} failed`);
process.exit(status === 0 && Number(passed) > 0 ? 0 : 1);

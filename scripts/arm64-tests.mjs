// `npm run test:arm64`: the C++ tests, cross-compiled for linux-arm64 and run under qemu-user against the libraries of
// Debian 11. An emulated CPU is twenty times slower than this one, so only the cases named here run; `-- --all` runs all.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { prebuild, releaseBuild } from './prebuild.mjs';
import { step } from './setup.mjs';
import { sysroot, targets } from './sysroot.mjs';
import { stop } from './tools.mjs';

const arch = 'arm64';

/** Of each family of kernels and of the core something that takes seconds. */
const cases = [
  'the level in use*',
  'the CPU backend has a kernel*',
  'blocks are aligned*',
  'every part runs exactly once',
  'program: runs its records*',
  'executor: runs in order*',
  'vec_math: the lanes*',
  'vec_math: special values',
  'vec_math: subnormal results*',
  'elementwise: signs of zero',
  'elementwise: one input that is*',
  'fused: *',
  'matmul of one pair*',
  'matmul broadcasts*',
  'matmul and linear of halves*',
  'linear of a repeated row*',
  'convolution of every layout',
  'depthwise 3x3*',
  'what is not finite stays*',
  'maxPool finds*',
  'avgPool with*',
  'adaptive pooling*',
  'normalization with parameters*',
  'adamStep follows*',
  'random: Philox*',
  'linalg: qr',
  'linalg: solveTriangular',
  'fft: rfft*',
  'attention in every layout',
];

/** No run takes nearly so long; what hangs must fail. */
const maxMs = 15 * 60_000;

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

/** A case that was renamed would be left out without a word. */
function requireCases() {
  const names = run('--list-test-cases').stdout.split('\n');
  const escaped = (text) => text.replace(/[^\w\s]/g, '\\$&');
  for (const name of cases) {
    const pattern = new RegExp(`^${name.split('*').map(escaped).join('.*')}$`, 'i');
    if (!names.some((found) => pattern.test(found)))
      stop(`no C++ test is called ${name}: mend scripts/arm64-tests.mjs`);
  }
}

const all = process.argv.includes('--all');
if (!all) requireCases();
const { status, stdout, stderr } = run(...(all ? [] : [`--test-case=${cases.join(',')}`]));
const [, passed, failed] = /test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed/.exec(stdout) ?? [0, 0, 0];
if (status !== 0 || Number(passed) === 0) {
  process.stdout.write(stdout);
  process.stderr.write(stderr);
}
const lost = status !== 0 && Number(failed) === 0 ? 1 : 0;
console.log(`${passed} passed, ${Number(failed) + lost} failed`);
process.exit(status === 0 && Number(passed) > 0 ? 0 : 1);

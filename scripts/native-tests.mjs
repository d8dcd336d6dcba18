// Builds and runs the C++ tests, once for each instruction set. No dependency but cmake and a compiler.
// Those of the CUDA backend run on the emulator (docs/cuda-emulator.md).
//   node scripts/native-tests.mjs [--sanitize address,undefined | thread] [--kernels] [--checked] [--filter PATTERN]
// Where the CPU has AVX2 and no AVX-512, the avx512 kernels are compiled to AVX2 instructions (test/native/emulation);
// under a sanitizer only with --emulate-avx512.
// Under AddressSanitizer the CUDA kernels are compiled only with --kernels: the checked build sees all that it sees in
// them and more, and compiling them a third time takes minutes. The emulator itself is always tested.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** The instruction sets that the kernels are compiled for on this architecture, as CMakeLists.txt has them. */
export const levels = process.arch === 'arm64' ? ['scalar', 'neon'] : ['scalar', 'avx2', 'avx512'];

/** No build or run takes nearly so long; what hangs must fail. */
const maxMs = 20 * 60_000;

function run(command, args, env = {}) {
  return spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: maxMs,
    env: { ...process.env, ...env },
  });
}

function must(title, result) {
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  console.error(`native tests: ${title} failed`);
  process.exit(1);
}

/** Whether this CPU can run the avx512 kernels only when they are compiled to AVX2 instructions. */
export function needsEmulation() {
  let flags = '';
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  } catch {
    return false;
  }
  const has = (name) => flags.split(' ').includes(name);
  return has('avx2') && has('fma') && !['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'].every(has);
}

/**
 * Where tests without a sanitizer are built: a folder of its own where avx512 is emulated, since the benchmark must
 * never measure that.
 */
const plainFolder = path.join('build', needsEmulation() ? 'native-avx512' : 'native');

/** What the emulated CUDA library is called when it was built without a sanitizer. */
export const emulatedCuda = path.join(root, plainFolder, 'test/native/cuda_emulator/libkindling_cuda_emulated.so');

/** The tests of the CUDA backend on the emulator, where they were built. */
export const emulatedCudaTests = path.join(root, plainFolder, 'test/native/cuda_emulator/kindling_cuda_tests');

function configure(folder, { sanitize = '', kernels = true, emulateAvx512 = needsEmulation() } = {}) {
  const on = (wanted) => (wanted ? 'ON' : 'OFF');
  const options = [
    '-DKINDLING_TESTS=ON',
    `-DCMAKE_BUILD_TYPE=${sanitize === '' ? 'Release' : 'Debug'}`,
    `-DKINDLING_SANITIZE=${sanitize}`,
    `-DKINDLING_CUDA_EMULATOR=${on(sanitize !== 'thread')}`,
    `-DKINDLING_CUDA_KERNELS=${on(kernels)}`,
    `-DKINDLING_EMULATE_AVX512=${on(emulateAvx512)}`,
  ];
  must('configuring', run('cmake', ['-S', '.', '-B', folder, ...options]));
}

function build(folder, jobs, targets = []) {
  const chosen = targets.length === 0 ? [] : ['--target', ...targets];
  must('building', run('cmake', ['--build', folder, '--parallel', String(jobs), ...chosen]));
}

/** Builds it, for the tests that need no other C++ test. */
export function buildEmulatedCuda({ jobs = 2 } = {}) {
  configure(plainFolder);
  build(plainFolder, jobs, ['kindling_cuda_emulated']);
}

/** How many test cases passed and failed in one run of a test binary; prints what failed and was skipped. */
function countTests(label, result) {
  const text = result.stdout ?? '';
  const counts = /test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed/.exec(text);
  const [, passed, failed] = counts ?? [0, 0, 1];
  if (result.status !== 0) process.stderr.write(`${text}${result.stderr ?? ''}`);
  for (const [reason] of text.matchAll(/skipped: .*/g)) console.log(`${label}: ${reason}`);
  console.log(`${label}: ${passed} passed, ${failed} failed`);
  return { passed: Number(passed), failed: Number(failed) + (result.status !== 0 && Number(failed) === 0 ? 1 : 0) };
}

/** Test files of the kernels that ask for more shared memory than every launch may have. */
export const askingForMuch = ['attention', 'conv', 'gemm', 'matmul', 'recurrent', 'fft'];

/**
 * The fast build is cheap enough to run more than once: what a missing barrier breaks may show in one order of threads
 * only, and what a kernel may ask for differs. A block has 163 KiB of shared memory on 8.0, 99 on 12.0, and on 7.5, which
 * has no tensor cores for these kernels either, 64: there only what depends on it runs.
 */
const emulatorRuns = {
  fast: [
    { order: 'forward', capability: '8.0' },
    { order: 'reverse', capability: '12.0' },
    { order: 'random:1', capability: '7.5', files: askingForMuch },
  ],
  address: [{ order: 'random:1', capability: '8.0' }],
  checked: [
    { order: 'random:1', capability: '8.0' },
    // Attention has a way of its own there.
    { order: 'random:1', capability: '7.5', files: ['attention'] },
  ],
};

/**
 * Runs the CUDA backend's tests on the emulator, which takes a block's threads in the order that it is told.
 * @param build 'fast', 'address' (with AddressSanitizer) or 'checked' (every memory access of a kernel is looked at)
 */
function emulatorTests(folder, build, filter) {
  const binary = build === 'checked' ? 'kindling_cuda_tests_checked' : 'kindling_cuda_tests';
  const totals = { passed: 0, failed: 0 };
  for (const { order, capability, files } of emulatorRuns[build]) {
    const scope = filter === '' ? [] : [`--test-case=*${filter}*`];
    if (files) scope.push(`--source-file=${files.map((name) => `*${name}*`).join(',')}`);
    const environment = {
      KINDLING_EMULATOR_ORDER: order,
      KINDLING_EMULATOR_CAPABILITY: capability,
      KINDLING_EMULATOR_DEVICES: '2',
    };
    const result = run(path.join(root, folder, 'test/native/cuda_emulator', binary), scope, environment);
    const { passed, failed } = countTests(`CUDA emulator, ${build}, ${capability}, ${order}`, result);
    totals.passed += passed;
    totals.failed += failed;
  }
  return totals;
}

/** The kernels of the CUDA backend with every access to memory looked at. */
export function checkedTests({ filter = '', jobs = 2 } = {}) {
  configure(plainFolder);
  build(plainFolder, jobs, ['kindling_cuda_tests_checked']);
  return emulatorTests(plainFolder, 'checked', filter);
}

/** Tensors of more than 2^31 elements, which take gigabytes and are left out of every other run. */
function runLarge(binary) {
  return countTests('C++ tests, large tensors', run(binary, ['--no-skip', '--test-suite=large']));
}

/** Runs all levels and returns how many test cases passed and failed. */
export function nativeTests({
  sanitize = '',
  kernels = sanitize === '',
  filter = '',
  emulateAvx512 = sanitize === '' && needsEmulation(),
  jobs = 2,
} = {}) {
  const variant = [...(emulateAvx512 ? ['avx512'] : []), ...(sanitize === '' ? [] : [sanitize.split(',')[0]])];
  const folder = path.join('build', ['native', ...variant].join('-'));
  configure(folder, { sanitize, kernels, emulateAvx512 });
  build(folder, jobs);
  const binary = path.join(root, folder, 'test/native/kindling_tests');
  const highest = run(binary, ['--print-isa']).stdout.trim();
  const totals = { passed: 0, failed: 0 };
  const add = (counts) => {
    totals.passed += counts.passed;
    totals.failed += counts.failed;
  };
  for (const isa of levels) {
    // The kernels' tests go through every level themselves, so a lower level needs only the core's.
    const scope = isa === highest ? [] : ['--source-file=*/core/*'];
    if (sanitize === 'thread') scope.splice(0, 1, '--test-suite=thread_pool,allocator,parallel,program');
    const result = run(binary, [...scope, ...(filter === '' ? [] : [`--test-case=*${filter}*`])], {
      KINDLING_ISA: isa,
    });
    const emulated = emulateAvx512 && isa === 'avx512' ? ' (emulated)' : '';
    const label = `C++ tests, ${isa}${emulated}${sanitize === '' ? '' : `, ${sanitize}`}`;
    if (/is not supported by this CPU/.test(result.stderr)) {
      console.log(`${label}: skipped, this CPU does not support ${isa}`);
      continue;
    }
    add(countTests(label, result));
    if (sanitize === 'thread') return totals;
  }
  if (sanitize === '' && (filter === '' || filter === 'large')) add(runLarge(binary));
  add(emulatorTests(folder, sanitize === '' ? 'fast' : 'address', filter));
  return totals;
}

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const filter = option('--filter');
  const sanitize = option('--sanitize');
  const emulateAvx512 = process.argv.includes('--emulate-avx512') || undefined;
  const kernels = process.argv.includes('--kernels') || undefined;
  const { passed, failed } = process.argv.includes('--checked')
    ? checkedTests({ filter })
    : nativeTests({ sanitize, kernels, filter, emulateAvx512 });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

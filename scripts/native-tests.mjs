// Builds and runs the C++ tests, once for each instruction set. No dependency but cmake and a compiler.
// Those of the CUDA backend run on the emulator (docs/cuda-emulator.md).
//   node scripts/native-tests.mjs [--sanitize address,undefined | thread] [--kernels] [--checked] [--filter PATTERN]
// Under AddressSanitizer the CUDA kernels are compiled only with --kernels: the checked build sees all that it sees in
// them and more, and compiling them a third time takes minutes. The emulator itself is always tested.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

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

/** What the emulated CUDA library is called when it was built without a sanitizer. */
export const emulatedCuda = path.join(root, 'build/native/test/native/cuda_emulator/libkindling_cuda_emulated.so');

/** Builds it, for the tests that need no other C++ test. */
export function buildEmulatedCuda({ jobs = 2 } = {}) {
  const folder = path.join('build', 'native');
  must('configuring', run('cmake', ['-S', '.', '-B', folder, '-DKINDLING_TESTS=ON', '-DKINDLING_CUDA_EMULATOR=ON']));
  const target = ['--target', 'kindling_cuda_emulated'];
  must('building', run('cmake', ['--build', folder, '--parallel', String(jobs), ...target]));
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

/**
 * Runs the CUDA backend's tests on the emulator, which takes a block's threads in the order that it is told.
 * @param build 'fast', 'address' (with AddressSanitizer) or 'checked' (every memory access of a kernel is looked at)
 */
function emulatorTests(folder, build, filter) {
  const binary = build === 'checked' ? 'kindling_cuda_tests_checked' : 'kindling_cuda_tests';
  // The fast build is cheap enough to run twice: what a missing barrier breaks may show in one order only.
  const orders = build === 'fast' ? ['forward', 'reverse'] : ['random:1'];
  const totals = { passed: 0, failed: 0 };
  for (const order of orders) {
    const scope = filter === '' ? [] : [`--test-case=*${filter}*`];
    const environment = { KINDLING_EMULATOR_ORDER: order, KINDLING_EMULATOR_DEVICES: '2' };
    const result = run(path.join(root, folder, 'test/native/cuda_emulator', binary), scope, environment);
    const { passed, failed } = countTests(`CUDA emulator, ${build}, ${order}`, result);
    totals.passed += passed;
    totals.failed += failed;
  }
  return totals;
}

/** The kernels of the CUDA backend with every access to memory looked at. */
export function checkedTests({ filter = '', jobs = 2 } = {}) {
  const folder = path.join('build', 'native');
  must('configuring', run('cmake', ['-S', '.', '-B', folder, '-DKINDLING_TESTS=ON', '-DKINDLING_CUDA_EMULATOR=ON']));
  const target = ['--target', 'kindling_cuda_tests_checked'];
  must('building', run('cmake', ['--build', folder, '--parallel', String(jobs), ...target]));
  return emulatorTests(folder, 'checked', filter);
}

/** Runs all levels and returns how many test cases passed and failed. */
export function nativeTests({ sanitize = '', kernels = sanitize === '', filter = '', jobs = 2 } = {}) {
  const folder = path.join('build', sanitize === '' ? 'native' : `native-${sanitize.split(',')[0]}`);
  const type = sanitize === '' ? 'Release' : 'Debug';
  must(
    'configuring',
    run('cmake', [
      '-S',
      '.',
      '-B',
      folder,
      '-DKINDLING_TESTS=ON',
      `-DCMAKE_BUILD_TYPE=${type}`,
      `-DKINDLING_SANITIZE=${sanitize}`,
      `-DKINDLING_CUDA_EMULATOR=${sanitize === 'thread' ? 'OFF' : 'ON'}`,
      `-DKINDLING_CUDA_KERNELS=${kernels ? 'ON' : 'OFF'}`,
    ]),
  );
  must('building', run('cmake', ['--build', folder, '--parallel', String(jobs)]));
  const binary = path.join(root, folder, 'test/native/kindling_tests');
  const highest = run(binary, ['--print-isa']).stdout.trim();
  const totals = { passed: 0, failed: 0 };
  for (const isa of ['scalar', 'avx2', 'avx512']) {
    // The kernels' tests go through every level themselves, so a lower level needs only the core's.
    const scope = isa === highest ? [] : ['--source-file=*/core/*'];
    if (sanitize === 'thread') scope.splice(0, 1, '--test-suite=thread_pool,allocator,parallel,program');
    const result = run(binary, [...scope, ...(filter === '' ? [] : [`--test-case=*${filter}*`])], {
      KINDLING_ISA: isa,
    });
    const label = `C++ tests, ${isa}${sanitize === '' ? '' : `, ${sanitize}`}`;
    if (/is not supported by this CPU/.test(result.stderr)) {
      console.log(`${label}: skipped, this CPU does not support ${isa}`);
      continue;
    }
    const { passed, failed } = countTests(label, result);
    totals.passed += passed;
    totals.failed += failed;
    if (sanitize === 'thread') return totals;
  }
  const { passed, failed } = emulatorTests(folder, sanitize === '' ? 'fast' : 'address', filter);
  return { passed: totals.passed + passed, failed: totals.failed + failed };
}

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const filter = option('--filter');
  const { passed, failed } = process.argv.includes('--checked')
    ? checkedTests({ filter })
    : nativeTests({
        sanitize: option('--sanitize'),
        kernels: process.argv.includes('--kernels') ? true : undefined,
        filter,
      });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

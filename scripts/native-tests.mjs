// Builds and runs the C++ tests, once for each instruction set. No dependency but cmake and a compiler.
//   node scripts/native-tests.mjs [--sanitize address,undefined | thread] [--filter PATTERN] [--emulate-avx512] [--all-levels]
// --emulate-avx512 compiles the avx512 kernels to AVX2 instructions (test/native/emulation); --all-levels does so
// where the CPU has AVX2 and no AVX-512.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

/** Prints what a run of the tests counted, and its output where something failed. */
function report(label, result, totals) {
  const [, passed, failed] = /test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed/.exec(result.stdout) ?? [
    0, 0, 1,
  ];
  totals.passed += Number(passed);
  totals.failed += Number(failed);
  if (result.status !== 0) {
    process.stdout.write(result.stdout);
    process.stderr.write(result.stderr);
    if (Number(failed) === 0) totals.failed++;
  }
  for (const [reason] of result.stdout.matchAll(/skipped: .*/g)) console.log(`${label}: ${reason}`);
  console.log(`${label}: ${passed} passed, ${failed} failed`);
}

/** Tensors of more than 2^31 elements, which take gigabytes and are left out of every other run. */
function runLarge(binary, totals) {
  const result = run(binary, ['--no-skip', '--test-suite=large']);
  report('C++ tests, large tensors', result, totals);
}

/** Runs all levels and returns how many test cases passed and failed. */
export function nativeTests({ sanitize = '', filter = '', emulateAvx512 = false, jobs = 2 } = {}) {
  const variant = [...(emulateAvx512 ? ['avx512'] : []), ...(sanitize === '' ? [] : [sanitize.split(',')[0]])];
  const folder = path.join('build', ['native', ...variant].join('-'));
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
      `-DKINDLING_EMULATE_AVX512=${emulateAvx512 ? 'ON' : 'OFF'}`,
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
    const emulated = emulateAvx512 && isa === 'avx512' ? ' (emulated)' : '';
    const label = `C++ tests, ${isa}${emulated}${sanitize === '' ? '' : `, ${sanitize}`}`;
    if (/is not supported by this CPU/.test(result.stderr)) {
      console.log(`${label}: skipped, this CPU does not support ${isa}`);
      continue;
    }
    report(label, result, totals);
    if (sanitize === 'thread') break;
  }
  if (sanitize === '' && (filter === '' || filter === 'large')) runLarge(binary, totals);
  return totals;
}

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = nativeTests({
    sanitize: option('--sanitize'),
    filter: option('--filter'),
    emulateAvx512:
      process.argv.includes('--emulate-avx512') || (process.argv.includes('--all-levels') && needsEmulation()),
  });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

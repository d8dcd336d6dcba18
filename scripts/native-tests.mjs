// Builds and runs the C++ tests, once for each instruction set. No dependency but cmake and a compiler.
//   node scripts/native-tests.mjs [--sanitize address,undefined | thread] [--filter PATTERN]
import { spawnSync } from 'node:child_process';
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

/** Runs all levels and returns how many test cases passed and failed. */
export function nativeTests({ sanitize = '', filter = '', jobs = 2 } = {}) {
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
    ]),
  );
  must('building', run('cmake', ['--build', folder, '--parallel', String(jobs)]));
  const binary = path.join(root, folder, 'test/native/kindling_tests');
  const highest = run(binary, ['--print-isa']).stdout.trim();
  const totals = { passed: 0, failed: 0 };
  for (const isa of levels) {
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
    if (sanitize === 'thread') break;
  }
  return totals;
}

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = nativeTests({ sanitize: option('--sanitize'), filter: option('--filter') });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

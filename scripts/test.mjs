// `npm test`: the C++ tests, then the TypeScript tests, at every instruction set that this CPU has.
// Then, once, the operators, layers and optimizers on device cuda, which is the emulator (docs/cuda-emulator.md).
// Arguments go to Jest and leave the C++ tests and the run on the emulator out: npm test -- autograd
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildEmulatedCuda, emulatedCuda, levels, nativeTests } from './native-tests.mjs';
import { root, setup } from './setup.mjs';
import { requireTools } from './tools.mjs';

const jestArguments = process.argv.slice(2);
/** A run of Jest that has not ended by then hangs: what a test left running keeps the process alive. Milliseconds. */
const longestRun = 20 * 60_000;
/**
 * What also runs with all tensors on the CUDA backend: the whole operator table, layers, optimizers, gradients, compiled
 * steps, training. Files, printing, processes and the examples on whole datasets have nothing to do with it.
 */
const onCuda = ['ops', 'nn', 'optim', 'autograd', 'train', 'compile', 'tensor/tensor', 'tensor/dtypes'];

/** The highest level of this CPU, as the addon finds it. */
function highestLevel() {
  const find = createRequire(import.meta.url)('node-gyp-build');
  return levels.indexOf(find(root).describe().isaDetected);
}

/** What Jest counted. A suite that cannot be loaded has no failed test of its own, and a crash leaves no report. */
function countsOf(report, result) {
  if (!existsSync(report)) {
    console.log(`Jest ended without a report (${result.signal ?? `exit status ${result.status}`})`);
    return { passed: 0, failed: 1 };
  }
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  const titles = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'passed');
  const gradients = titles.filter(({ title }) => title.startsWith('gradient: ')).length;
  const badInputs = titles.filter(({ title }) => title.startsWith('bad input: ')).length;
  const leftOut = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'pending')
    .map(({ fullName }) => fullName);
  const failedAtAll = failed === 0 && result.status !== 0 ? 1 : failed;
  return { passed: numPassedTests, failed: failedAtAll, gradients, badInputs, leftOut };
}

function runJest(isa, filters = jestArguments, environment = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-test-'));
  const report = path.join(folder, 'report.json');
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  const args = ['--expose-gc', jest, '--json', `--outputFile=${report}`, ...filters];
  try {
    // With --json Jest writes what people read to stderr and the report to stdout as well.
    const result = spawnSync(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: longestRun,
      killSignal: 'SIGKILL',
      env: {
        ...process.env,
        KINDLING_ISA: isa,
        KINDLING_CUDA_LIBRARY: emulatedCuda,
        KINDLING_EMULATOR_DEVICES: '2',
        ...environment,
      },
    });
    if (result.signal !== null)
      console.log(`Jest was ended by ${result.signal}; the longest it may run is ${longestRun / 60_000} min`);
    return countsOf(report, result);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

requireTools();
setup();
const totals = { passed: 0, failed: 0 };
function add({ passed, failed }) {
  totals.passed += passed;
  totals.failed += failed;
}

if (jestArguments.length === 0) add(nativeTests());
else buildEmulatedCuda();
const highest = highestLevel();
levels.forEach((isa, i) => {
  if (i > highest) {
    console.log(`TypeScript tests, ${isa}: skipped, this CPU does not support ${isa}`);
    return;
  }
  const counts = runJest(isa);
  console.log(
    `TypeScript tests, ${isa}: ${counts.passed} passed, ${counts.failed} failed; among them ` +
      `${counts.gradients ?? 0} gradient checks, ${counts.badInputs ?? 0} bad-input cases`,
  );
  add(counts);
});
if (jestArguments.length === 0) {
  const start = performance.now();
  // Waiting after each operation has an error thrown by the one that made it, as on the CPU.
  const environment = { KINDLING_DEVICE: 'cuda', KINDLING_CUDA_BLOCKING: '1' };
  const filters = [...onCuda.map((name) => `test/${name}`), '--testTimeout=120000'];
  const counts = runJest(levels[highest], filters, environment);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const what = `TypeScript tests, cuda (emulator; ${onCuda.join(', ')})`;
  console.log(`${what}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s`);
  for (const name of counts.leftOut ?? []) console.log(`${what}: left out, since it is of the CPU alone: ${name}`);
  add(counts);
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

// `npm test`: the C++ tests, then the TypeScript tests, at every instruction set that this CPU has.
// Arguments go to Jest and leave the C++ tests out: npm test -- autograd
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { levels, nativeTests } from './native-tests.mjs';
import { root, setup } from './setup.mjs';
import { requireTools } from './tools.mjs';

const jestArguments = process.argv.slice(2);

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
  return { passed: numPassedTests, failed: failed === 0 && result.status !== 0 ? 1 : failed, gradients, badInputs };
}

function runJest(isa) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-test-'));
  const report = path.join(folder, 'report.json');
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  const args = ['--expose-gc', jest, '--json', `--outputFile=${report}`, ...jestArguments];
  try {
    // With --json Jest writes what people read to stderr and the report to stdout as well.
    const result = spawnSync(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, KINDLING_ISA: isa },
    });
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
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

// `npm test`: the C++ tests, then the TypeScript tests, at every instruction set that this CPU has.
// Arguments go to Jest and leave the C++ tests out: npm test -- autograd
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nativeTests } from './native-tests.mjs';
import { root, setup } from './setup.mjs';

const levels = ['scalar', 'avx2', 'avx512'];
const jestArguments = process.argv.slice(2);

/** The highest level of this CPU, as the addon finds it. */
function highestLevel() {
  const find = createRequire(import.meta.url)('node-gyp-build');
  return levels.indexOf(find(root).describe().isaDetected);
}

function runJest(isa) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-test-'));
  const report = path.join(folder, 'report.json');
  try {
    const result = spawnSync(
      process.execPath,
      [
        '--expose-gc',
        path.join(root, 'node_modules/jest/bin/jest.js'),
        '--json',
        `--outputFile=${report}`,
        ...jestArguments,
      ],
      { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, KINDLING_ISA: isa } },
    );
    const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, 'utf8'));
    // A suite that fails to load has no failed tests of its own.
    const failed = numFailedTests + (numFailedTests === 0 ? numFailedTestSuites : 0);
    return { passed: numPassedTests, failed: failed === 0 && result.status !== 0 ? 1 : failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

setup();
const totals = { passed: 0, failed: 0 };
const add = ({ passed, failed }) => {
  totals.passed += passed;
  totals.failed += failed;
};
if (jestArguments.length === 0) add(nativeTests());
const highest = highestLevel();
levels.forEach((isa, i) => {
  if (i > highest) {
    console.log(`TypeScript tests, ${isa}: skipped, this CPU does not support ${isa}`);
    return;
  }
  console.log(`TypeScript tests, ${isa}`);
  add(runJest(isa));
});
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

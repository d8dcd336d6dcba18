// `npm run lint`: every check of form in one command; --fix lets the formatters write.
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { generateOps, isUpToDate } from './generate-ops.mjs';
import { root, setup } from './setup.mjs';

const fix = process.argv.includes('--fix');
const failed = [];

function report(name, passed) {
  console.log(`lint: ${name} ${passed ? 'ok' : 'failed'}`);
  if (!passed) failed.push(name);
}

/** The C++ files that git knows or would add. */
function nativeSources() {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', 'native', 'test/native'];
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((file) => /\.(cc|h)$/.test(file) && !file.includes('third_party'));
}

// Before the set-up, which writes the table.
if (fix) generateOps();
report('op table', isUpToDate());
setup();

// ESLint's fixes are formatted by Prettier after it.
const checks = [
  ['clang-format', 'clang-format/index.js', fix ? ['-i'] : ['--dry-run', '-Werror'], nativeSources()],
  ['types', 'typescript/bin/tsc', ['-p', 'tsconfig.json'], []],
  ['eslint', 'eslint/bin/eslint.js', fix ? ['--fix'] : [], ['.']],
  ['prettier', 'prettier/bin/prettier.cjs', [fix ? '--write' : '--check', '--log-level', 'warn'], ['.']],
];
for (const [name, program, options, files] of checks) {
  const args = [path.join(root, 'node_modules', program), ...options, ...files];
  report(name, spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0);
}
if (failed.length > 0) {
  console.log(`lint: ${failed.join(', ')} failed${fix ? '' : '; `npm run lint:fix` mends what a program can mend'}`);
  process.exit(1);
}

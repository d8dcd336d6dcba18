// `npm run lint`: every check of form in one command; --fix lets the formatters write.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { root, setup } from './setup.mjs';

const fix = process.argv.includes('--fix');
setup();

const sources = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', 'native', 'test/native'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter((file) => /\.(cc|h)$/.test(file) && !file.includes('third_party'));

const bin = (name) => path.join(root, 'node_modules', name);
const checks = [
  ['op table', [path.join(root, 'scripts/generate-ops.mjs'), ...(fix ? [] : ['--check'])]],
  ['clang-format', [bin('clang-format/index.js'), ...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...sources]],
  ['prettier', [bin('prettier/bin/prettier.cjs'), fix ? '--write' : '--check', '--log-level', 'warn', '.']],
  ['types', [bin('typescript/bin/tsc'), '-p', 'tsconfig.json']],
  ['eslint', [bin('eslint/bin/eslint.js'), ...(fix ? ['--fix'] : []), '.']],
];

let failed = false;
for (const [name, args] of checks) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  console.log(`lint: ${name} ${status === 0 ? 'ok' : 'failed'}`);
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);

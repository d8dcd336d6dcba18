// `npm run test:package`: packs the package and tests it as its users get it. Arguments name test files: binary install
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pack } from './pack.mjs';
import { root } from './setup.mjs';
import { requireTools } from './tools.mjs';

const folder = 'test/package';

/** Runs test files with the runner of Node; returns its counts. */
function runTests(files, env) {
  const args = ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files];
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  process.stdout.write(stdout);
  const count = (name) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(stdout)?.[1] ?? 0);
  const failed = count('fail') + count('cancelled');
  return { passed: count('pass'), failed: failed === 0 && status !== 0 ? 1 : failed };
}

requireTools();
const wanted = process.argv.slice(2);
const files = readdirSync(path.join(root, folder))
  .filter((name) => name.endsWith('.test.mjs'))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace('.test.mjs', '')))
  .map((name) => path.join(folder, name));
const { file, size } = await pack();
console.log(`${path.relative(root, file)}: ${(size / 2 ** 20).toFixed(1)} MiB`);
const { passed, failed } = runTests(files, { KINDLING_TARBALL: file });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

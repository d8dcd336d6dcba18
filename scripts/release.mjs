// `npm run release -- --dry-run`: all that a release needs, and what would be published. Without --dry-run it publishes.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { manifest, npmProgram, pack } from './pack.mjs';
import { root } from './setup.mjs';
import { stop } from './tools.mjs';

const largest = 15 * 2 ** 20;

const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false } } });
const dryRun = values['dry-run'];
const { name, version } = manifest();

/** A dry run reports all that is missing; a release stops at the first. */
const missing = [];
function need(holds, text) {
  console.log(`release: ${holds ? 'ok' : 'MISSING'}: ${text}`);
  if (holds) return;
  if (!dryRun) stop(`nothing was published: ${text}`);
  missing.push(text);
}

const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

function checkVersion() {
  need(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version), `${version} is a semantic version`);
  const heading = new RegExp(`^## ${version.replaceAll('.', '\\.')} \\(\\d{4}-\\d{2}-\\d{2}\\)$`, 'm');
  need(
    heading.test(readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8')),
    `CHANGELOG.md has ${version} with its date`,
  );
  need(git('status', '--porcelain') === '', 'nothing is uncommitted');
  need(git('tag', '--list', `v${version}`) === '', `there is no tag v${version} yet`);
}

function check(script, ...args) {
  const { status } = spawnSync(process.execPath, [path.join(root, 'scripts', script), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  need(status === 0, `node scripts/${[script, ...args].join(' ')} passes`);
}

/** What is in the tarball, the largest first, small files by folder. */
function list({ files, size, unpackedSize }) {
  const sizes = new Map();
  for (const { path: file, size: bytes } of files) {
    const group =
      file.startsWith('prebuilds/') || !file.includes('/') ? file : `${file.split('/').slice(0, 3).join('/')}`;
    const kind = group.endsWith(path.extname(file)) ? group : `${group}/…`;
    sizes.set(kind, (sizes.get(kind) ?? 0) + bytes);
  }
  const kilobytes = (bytes) => `${(bytes / 1024).toFixed(0).padStart(7)} KiB`;
  for (const [group, bytes] of [...sizes].sort((a, b) => b[1] - a[1])) console.log(`${kilobytes(bytes)}  ${group}`);
  console.log(`${kilobytes(unpackedSize)}  unpacked, ${files.length} files`);
  console.log(`${kilobytes(size)}  packed`);
}

checkVersion();
check('lint.mjs');
check('test.mjs');
check('test-package.mjs');
check('arm64-tests.mjs');
const packed = await pack();
list(packed);
need(statSync(packed.file).size < largest, 'the tarball is under 15 MB');

if (dryRun) {
  console.log(
    missing.length === 0
      ? `release: ${name} ${version} is ready; nothing was published`
      : `release: ${missing.length} missing; nothing was published`,
  );
  process.exit(missing.length === 0 ? 0 : 1);
}
execFileSync(process.execPath, [npmProgram(), 'publish', packed.file], { cwd: root, stdio: 'inherit' });
git('tag', `v${version}`);
console.log(`release: ${name} ${version} was published; push the tag v${version}`);

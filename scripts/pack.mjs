// The package as it is published: `npm pack` and `npm publish` call this first (--prepare), and tests and
// `npm run release` call pack().
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { prebuild } from './prebuild.mjs';
import { compileAfresh, root } from './setup.mjs';
import { stop } from './tools.mjs';

/** npm's own program, so that a PATH without it will do. */
export function npmProgram() {
  const beside = path.resolve(path.dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  const found = [process.env.npm_execpath, beside].find((file) => file?.endsWith('npm-cli.js') && existsSync(file));
  return found ?? path.join(execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim(), 'npm/bin/npm-cli.js');
}

/** Current addons, and compiled TypeScript without what is left of sources that are gone. */
async function prepare() {
  await prebuild();
  compileAfresh();
}

/** Makes the tarball; returns its path and what npm says about it. */
export async function pack() {
  await prepare();
  const folder = path.join(root, 'build/package');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const args = [npmProgram(), 'pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const said = JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }));
  // npm 11 answers with an array, newer ones with an object by name.
  const [summary] = Object.values(said);
  return { ...summary, file: path.join(folder, summary.filename) };
}

export function manifest() {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] !== '--prepare') stop('pack.mjs is called by npm pack; it takes only --prepare');
  await prepare();
}

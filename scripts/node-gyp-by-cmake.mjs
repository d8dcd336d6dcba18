#!/usr/bin/env node
// Stands in for node-gyp when prebuildify calls it (`rebuild --target=… --arch=… --release`): the same build by
// cmake-js, into the working folder.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './setup.mjs';

const { values } = parseArgs({
  strict: false,
  options: { target: { type: 'string' }, arch: { type: 'string' }, runtime: { type: 'string', default: 'node' } },
});
const args = ['rebuild', '--directory', root, '--out', path.resolve('build'), '--config', 'Release'];
args.push('--runtime', values.runtime, '--runtime-version', values.target, '--arch', values.arch);
args.push('--parallel', String(availableParallelism()));
for (const option of JSON.parse(process.env.KINDLING_CMAKE_OPTIONS ?? '[]')) args.push(`--CD${option}`);
const cmakeJs = path.join(root, 'node_modules/cmake-js/bin/cmake-js');
const { status } = spawnSync(process.execPath, [cmakeJs, ...args], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
// prebuildify strips the addon; what a crash report or a disassembly means is in this copy.
if (existsSync('build/Release/kindling.node')) {
  copyFileSync('build/Release/kindling.node', 'build/kindling-with-symbols.node');
}

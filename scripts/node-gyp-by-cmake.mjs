#!/usr/bin/env node
// Stands in for node-gyp when prebuildify calls it (`rebuild --target=… --arch=… --release`): the same build by
// cmake-js, into the working folder.
import { spawnSync } from 'node:child_process';
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
const cmakeJs = path.join(root, 'node_modules/cmake-js/bin/cmake-js');
process.exit(spawnSync(process.execPath, [cmakeJs, ...args], { stdio: 'inherit' }).status ?? 1);

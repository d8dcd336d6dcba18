/** The installed package in worker threads, in a cluster, from the command line, and by Electron's rules. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test, { before, after } from 'node:test';
import { prebuildFolder } from '../../scripts/prebuild.mjs';
import { root } from '../../scripts/setup.mjs';
import { bareEnvironment, emptyFolder, npm, run, tarball, write } from './support.mjs';

const cleanups = [];
let folder;
let env;

before(() => {
  const context = { after: (work) => cleanups.push(work) };
  folder = emptyFolder(context);
  env = bareEnvironment(context, process.execPath);
  npm(process.execPath, ['install', tarball], { cwd: folder });
});
after(() => cleanups.forEach((work) => work()));

const train = `
  const { manualSeed, nn, rand } = require('kindling');
  module.exports = async () => {
    manualSeed(1);
    const x = rand([256, 2]);
    const y = x.sum(1, { keepDims: true });
    const model = nn.sequential(nn.linear(2, 1));
    model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
    const { history } = await model.fit({ x, y }, { epochs: 3, verbose: 0 });
    return history.loss;
  };`;

test('worker threads train beside the main thread, with the same result', () => {
  write(folder, 'train.cjs', train);
  write(
    folder,
    'workers.cjs',
    `const { Worker, isMainThread, parentPort } = require('node:worker_threads');
     const train = require('./train.cjs');
     if (!isMainThread) train().then((loss) => parentPort.postMessage(loss));
     else {
       const inWorker = () => new Promise((resolve, reject) => new Worker(__filename).on('message', resolve).on('error', reject));
       Promise.all([train(), inWorker(), inWorker()]).then((losses) => console.log(JSON.stringify(losses)));
     }`,
  );
  const [main, first, second] = JSON.parse(run(process.execPath, ['workers.cjs'], { cwd: folder, env }));
  assert.equal(main.length, 3);
  assert.ok(main.every(Number.isFinite));
  assert.deepEqual(first, main);
  assert.deepEqual(second, main);
});

test('processes of a cluster train', () => {
  write(folder, 'train.cjs', train);
  write(
    folder,
    'cluster.cjs',
    `const cluster = require('node:cluster');
     const train = require('./train.cjs');
     if (cluster.isPrimary) {
       const losses = [];
       cluster.on('message', (worker, loss) => {
         losses.push(loss);
         worker.disconnect();
         if (losses.length === 2) console.log(JSON.stringify(losses));
       });
       for (let i = 0; i < 2; i++) cluster.fork({ KINDLING_NUM_THREADS: '1' });
     } else train().then((loss) => process.send(loss));`,
  );
  const [first, second] = JSON.parse(run(process.execPath, ['cluster.cjs'], { cwd: folder, env }));
  assert.ok(first.length === 3 && first.every(Number.isFinite));
  assert.deepEqual(second, first);
});

test('the command works where it is installed, and the doctor finds nothing wrong', () => {
  const command = path.join(folder, 'node_modules/.bin/kindling');
  assert.match(run(process.execPath, [command, 'info'], { cwd: folder, env }), /^Instruction set +\w+$/m);
  assert.match(run(process.execPath, [command, 'doctor'], { cwd: folder, env }), /Nothing is wrong/);
});

test('no buffer is ever made over memory outside V8, which Electron forbids', () => {
  const addon = path.join(prebuildFolder('x64'), 'kindling.glibc.node');
  const imported = execFileSync('nm', ['-D', '--undefined-only', addon], { encoding: 'utf8' });
  assert.match(imported, /napi_/);
  assert.doesNotMatch(imported, /napi_create_external_(arraybuffer|buffer)|node_api_create_buffer_from_arraybuffer/);
  // Nor the wrapper's way to it, which asks for the function by name.
  const binding = path.join(root, 'native/binding');
  const sources = readdirSync(binding).map((name) => readFileSync(path.join(binding, name), 'utf8'));
  assert.doesNotMatch(sources.join('\n'), /ArrayBuffer::New|Buffer<.*>::New|create_external/);
});

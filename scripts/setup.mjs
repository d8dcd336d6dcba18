// Prepares a checkout: dependencies, the op table, the native addon, the compiled TypeScript. A step is skipped
// when nothing that it depends on has changed. Plain JavaScript without dependencies, since it installs them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateOps } from './generate-ops.mjs';
import { requireNode, requireTools, stop } from './tools.mjs';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const inRoot = (name) => path.join(root, name);

/** Runs a command quietly; if it fails, shows all that it printed and stops. */
export function step(title, command, args, options = {}) {
  process.stderr.write(`kindling: ${title} … `);
  const start = performance.now();
  const settings = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28, ...options };
  const result = spawnSync(command, args, settings);
  if (result.status === 0) {
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return;
  }
  process.stderr.write(`failed\n${result.stdout ?? ''}${result.stderr ?? ''}`);
  const reason = result.error?.message ?? result.signal ?? `exit status ${result.status}`;
  stop(`${title} failed: ${reason} (${[path.basename(command), ...args].join(' ')})`);
}

function filesOf(item) {
  if (!existsSync(item)) return [];
  if (!statSync(item).isDirectory()) return [item];
  return readdirSync(item)
    .sort()
    .flatMap((name) => filesOf(path.join(item, name)));
}

/** By content, so that the new times of a fresh checkout or of another branch do not rebuild by themselves. */
function fingerprint(inputs) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of inputs.flatMap((input) => filesOf(inRoot(input)))) {
    hash.update(`\n${path.relative(root, file)}\n`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** Runs `work` unless its outputs are there and its stamp holds the fingerprint of its inputs. Waits where it must. */
export function whenChanged({ stamp, inputs, outputs }, work) {
  const file = inRoot(stamp);
  const now = fingerprint(inputs);
  const complete = outputs.every((output) => existsSync(inRoot(output)));
  if (complete && existsSync(file) && readFileSync(file, 'utf8') === now) return;
  // Without its stamp a step that is interrupted runs again.
  rmSync(file, { force: true });
  const done = () => {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, now);
  };
  const pending = work(complete);
  return pending ? pending.then(done) : done();
}

function installDependencies() {
  requireTools();
  // No dependency needs its install script.
  step('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts']);
}

function buildAddon() {
  requireTools();
  const cache = inRoot('build/CMakeCache.txt');
  if (existsSync(cache) && !readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`)) {
    rmSync(cache); // The checkout was moved or copied; cmake would refuse.
  }
  const cmakeJs = inRoot('node_modules/cmake-js/bin/cmake-js');
  const options = ['--out', 'build', '--config', 'Release', '--parallel', String(os.availableParallelism())];
  step('building the native core', process.execPath, [cmakeJs, 'build', ...options]);
}

function compileTypeScript(complete) {
  // The compiler's own record says that an output which somebody has deleted is up to date.
  if (!complete) rmSync(inRoot('dist/.tsbuildinfo'), { force: true });
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  step('compiling TypeScript', process.execPath, [tsc, '-p', 'tsconfig.build.json']);
}

const dependenciesStamp = 'node_modules/.kindling-setup';

/** All of it, or without the addon of this machine, which a package does not hold. */
export function setup({ addon = true } = {}) {
  requireNode();
  whenChanged(
    { stamp: dependenciesStamp, inputs: ['package-lock.json'], outputs: ['node_modules'] },
    installDependencies,
  );
  generateOps();
  if (addon) {
    whenChanged(
      {
        stamp: 'build/.kindling-native',
        inputs: ['CMakeLists.txt', 'native', dependenciesStamp],
        outputs: ['build/Release/kindling.node'],
      },
      buildAddon,
    );
  }
  whenChanged(
    {
      stamp: 'dist/.kindling-typescript',
      inputs: ['lib', 'examples', 'scripts', 'tsconfig.json', 'tsconfig.build.json', dependenciesStamp],
      outputs: ['dist/lib/index.js', 'dist/examples/mnist.js'],
    },
    compileTypeScript,
  );
}

/** Without what is left in dist/ of sources that are gone, as a package must be. */
export function compileAfresh() {
  rmSync(inRoot('dist'), { recursive: true, force: true });
  setup({ addon: false });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();

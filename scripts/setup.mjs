// Prepares a checkout: dependencies, the native addon, the compiled TypeScript. Each step is skipped when
// what it depends on has not changed. Plain JavaScript without dependencies, since it installs them.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const isWindows = process.platform === 'win32';

function stop(message) {
  console.error(`kindling: ${message}`);
  process.exit(1);
}

/** Runs a command quietly; on failure shows all it printed and stops. */
export function step(title, command, args, options = {}) {
  process.stderr.write(`kindling: ${title} … `);
  const start = performance.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    shell: isWindows,
    maxBuffer: 1 << 28,
    ...options,
  });
  if (result.status === 0) {
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result.stdout;
  }
  process.stderr.write('failed\n');
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return stop(`${title} failed${result.error ? `: ${result.error.message}` : ''} (${command} ${args.join(' ')})`);
}

function versionOf(command, args = ['--version']) {
  try {
    const text = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return /\d+(\.\d+)+/.exec(text)?.[0] ?? '0';
  } catch {
    return null;
  }
}

function isAtLeast(version, wanted) {
  const [a, b] = [version, wanted].map((v) => v.split('.').map(Number));
  for (let i = 0; i < b.length; i++) if ((a[i] ?? 0) !== b[i]) return (a[i] ?? 0) > b[i];
  return true;
}

/** One line about the first thing that is missing, or null. Parameters make it testable. */
export function missingTool(node = process.versions.node, find = versionOf) {
  if (!isAtLeast(node, '20')) return `Node 20 or newer is needed, this is ${node}`;
  const cmake = find('cmake');
  if (cmake === null) return 'cmake is not installed; it is needed to build the native core (3.18 or newer)';
  if (!isAtLeast(cmake, '3.18')) return `cmake 3.18 or newer is needed, this is ${cmake}`;
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  if (!compilers.some((compiler) => find(compiler) !== null)) {
    return `no C++17 compiler was found (tried ${compilers.join(', ')}); install g++ or clang++, or set CXX`;
  }
  return null;
}

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(full);
    else yield full;
  }
}

/** A fingerprint of files: by content, so that a checkout's new times do not rebuild. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const item of paths) {
    const full = path.join(root, item);
    if (!existsSync(full)) continue;
    const files = statSync(full).isDirectory() ? [...filesUnder(full)].sort() : [full];
    for (const file of files) hash.update(path.relative(root, file)).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** Runs `work` unless its stamp file holds this fingerprint already. */
function whenChanged(stamp, paths, work) {
  const file = path.join(root, stamp);
  const now = fingerprint(paths);
  if (existsSync(file) && readFileSync(file, 'utf8') === now) return;
  work();
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, now);
}

export function setup() {
  whenChanged('node_modules/.kindling-setup', ['package-lock.json'], () => {
    const problem = missingTool();
    if (problem !== null) stop(problem);
    step('installing dependencies', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts']);
  });
  step.quiet = true;
  execFileSync(process.execPath, [path.join(root, 'scripts/generate-ops.mjs')], { stdio: 'inherit' });
  const addon = path.join(root, 'build/Release/kindling.node');
  const native = [
    'CMakeLists.txt',
    'native',
    'node_modules/.kindling-setup',
    ...(existsSync(addon) ? [] : ['missing']),
  ];
  whenChanged('build/.kindling-native', native, () => {
    const problem = missingTool();
    if (problem !== null) stop(problem);
    step('building the native core', process.execPath, [
      path.join(root, 'node_modules/cmake-js/bin/cmake-js'),
      'compile',
      '--out',
      'build',
      '--parallel',
      '4',
    ]);
  });
  whenChanged(
    'dist/.kindling-typescript',
    ['lib', 'examples', 'scripts', 'tsconfig.json', 'tsconfig.build.json'],
    () => {
      step('compiling TypeScript', process.execPath, [
        path.join(root, 'node_modules/typescript/bin/tsc'),
        '-p',
        'tsconfig.build.json',
      ]);
    },
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();

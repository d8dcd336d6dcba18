// Builds libkindling_cuda.so with nvcc, for all architectures, any warning an error, and reads what each compilation
// recorded (scripts/nvcc-recorded.mjs): registers, spills, shared memory and occupancy of each kernel, and what
// instructions its PTX has. A spill in a hot kernel is a failure. Then the library is loaded. Needs no GPU.
//   node scripts/cuda-report.mjs [--jobs 2] [--json build/cuda-report.json]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { askingForMuch, emulatedCudaTests } from './native-tests.mjs';
import { root, setup } from './setup.mjs';

/** What the figures are for; the others are compiled and looked at for spills. */
const reported = 'sm_90';
/** A spill in these is a failure. */
const hot = /^(gemm|convolution|attention|recurrent)/;

const build = path.join(root, 'build/cuda');
const objects = path.join(build, 'native/cuda/CMakeFiles/kindling_cuda.dir');
const library = path.join(build, 'libkindling_cuda.so');

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2' },
    json: { type: 'string', default: path.join(root, 'build/cuda-report.json') },
  },
});
const sources = readdirSync(path.join(root, 'native/cuda')).filter((name) => name.endsWith('.cu'));
const recordOf = (source) => path.join(objects, `${source}.o.json`);

/** Builds the library; objects without a record, which another way of building left, are made again. */
function buildLibrary() {
  const launcher = `${process.execPath};${path.join(root, 'scripts/nvcc-recorded.mjs')}`;
  const options = [
    '-DKINDLING_CUDA=ON',
    '-DCMAKE_BUILD_TYPE=Release',
    `-DCMAKE_CUDA_COMPILER_LAUNCHER=${launcher}`,
    // All of them, whatever scripts/gpu-check built here.
    '-UKINDLING_CUDA_ARCHITECTURES',
  ];
  const run = (args) => spawnSync('cmake', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  const configured = run(['-S', '.', '-B', build, ...options]);
  if (configured.status !== 0) return configured;
  for (const source of sources) {
    const object = path.join(objects, `${source}.o`);
    const isRecorded = existsSync(recordOf(source)) && existsSync(object);
    if (!isRecorded || statSync(recordOf(source)).mtimeMs < statSync(object).mtimeMs) rmSync(object, { force: true });
  }
  return run(['--build', build, '--target', 'kindling_cuda', '--parallel', values.jobs]);
}

/** What `nvcc` calls its own folder; the occupancy calculator is a header in it. */
function toolkit() {
  const dry = spawnSync('nvcc', ['--dryrun', 'x.cu'], { encoding: 'utf8' }).stderr;
  return /TOP=(.*)/.exec(dry)[1].trim();
}

/** The dynamic shared memory of each kernel, of which no compiler knows: what it was given in its tests on the emulator. */
function addDynamicShared(rows) {
  if (!existsSync(emulatedCudaTests)) {
    console.log('nvcc: dynamic shared memory is not counted, since the tests on the emulator were not built');
    return;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-launches-'));
  try {
    const file = path.join(folder, 'launches');
    const env = { ...process.env, KINDLING_EMULATOR_CAPABILITY: '9.0', KINDLING_EMULATOR_LAUNCHES: file };
    const scope = `--source-file=${askingForMuch.map((name) => `*${name}*`).join(',')}`;
    const { status, stdout } = spawnSync(emulatedCudaTests, [scope], { cwd: root, env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${emulatedCudaTests} failed\n${stdout}`);
    const seen = new Map();
    for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
      const [name, least, most] = line.split(' ');
      seen.set(name, { leastDynamic: Number(least), mostDynamic: Number(most) });
    }
    for (const row of rows) Object.assign(row, seen.get(row.name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Adds how many warps are resident on a multiprocessor, with the most and the least shared memory, by NVIDIA's calculator. */
function addOccupancy(rows) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-occupancy-'));
  try {
    const program = path.join(folder, 'occupancy');
    const args = ['-std=c++17', `-I${toolkit()}/include`, 'scripts/cuda-occupancy.cc', '-o', program];
    execFileSync('g++', args, { cwd: root });
    for (const [key, dynamic] of Object.entries({ fewestWarps: 'mostDynamic', mostWarps: 'leastDynamic' })) {
      const input = rows.map((row) => `${row.registers} ${row.shared + (row[dynamic] ?? 0)} ${row.threads ?? 256}`);
      const answers = execFileSync(program, { input: input.join('\n'), encoding: 'utf8' })
        .trim()
        .split('\n');
      rows.forEach((row, i) => (row[key] = (Number(answers[i]) * (row.threads ?? 256)) / 32));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readableNames(rows) {
  const names = spawnSync('c++filt', { input: rows.map((row) => row.name).join('\n'), encoding: 'utf8' }).stdout;
  const lines = names?.trim().split('\n') ?? [];
  rows.forEach((row, i) => {
    row.kernel = (lines[i] ?? row.name)
      .replaceAll('kindling::cuda::', '')
      .replace(/^void /, '')
      .replace(/\([^()]*(\([^()]*\)[^()]*)*\)$/, '');
  });
}

/** What the addon says of the library: it must take it, whether or not there is a device. */
function load() {
  setup();
  const say = 'console.log(require("./dist/lib").cudaStatus().reason ?? "a device is there")';
  const env = { ...process.env, KINDLING_CUDA_LIBRARY: library };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', say], { cwd: root, env, encoding: 'utf8' });
  const reason = stdout.trim();
  return { reason: reason || stderr, works: status === 0 && /a device is there|driver|no CUDA device/.test(reason) };
}

const start = performance.now();
const built = buildLibrary();
if (built.status !== 0) {
  console.log(`${built.stdout}${built.stderr}\nnvcc: the library was not built\n0 passed, 1 failed`);
  process.exit(1);
}
const seconds = (performance.now() - start) / 1000;
const records = sources.map((source) => JSON.parse(readFileSync(recordOf(source), 'utf8')));
records.sort((a, b) => b.seconds - a.seconds);
const rows = records.flatMap(({ source, rows: found }) => found.map((row) => ({ file: source, ...row })));
const spilling = rows.filter(({ spilled }) => spilled > 0);
for (const row of spilling) {
  const verdict = hot.test(row.file) ? ', and is hot' : '';
  console.log(`${row.file}: ${row.name} spills ${row.spilled} bytes on ${row.architecture}${verdict}`);
}
const shown = rows.filter((row) => row.architecture === reported);
addDynamicShared(shown);
addOccupancy(shown);
readableNames(shown);
writeFileSync(values.json, `${JSON.stringify(shown, null, 1)}\n`);

const compiled = records.reduce((sum, record) => sum + record.seconds, 0);
const longest = records.slice(0, 5).map((record) => `${record.source} ${record.seconds.toFixed(0)}`);
console.log(
  `nvcc: built in ${seconds.toFixed(0)} s; compilations took ${compiled.toFixed(0)} s (${longest.join(', ')})`,
);
const architectures = new Set(rows.map(({ architecture }) => architecture)).size;
const names = new Set(spilling.map(({ name }) => name)).size;
const fewest = shown.reduce((least, row) => Math.min(least, row.fewestWarps), Infinity);
console.log(
  `nvcc: ${sources.length} sources for ${architectures} architectures, ${shown.length} kernels, ${names} with spills, ` +
    `${fewest} warps on a multiprocessor of ${reported} at least; ${path.relative(root, values.json)}`,
);
const loaded = load();
console.log(`${path.relative(root, library)}: ${(statSync(library).size / 2 ** 20).toFixed(1)} MiB; ${loaded.reason}`);
const failed = new Set(spilling.filter(({ file }) => hot.test(file)).map(({ file }) => file)).size;
const failures = failed + (loaded.works ? 0 : 1);
// A source with all its kernels is a check, and so is the library.
console.log(`${sources.length + 1 - failures} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);

// Compiles every CUDA source with nvcc, as the library is compiled: for all architectures, any warning an error.
// From what the assembler says it records registers, spills, shared memory and occupancy of each kernel, and from
// the PTX what instructions a kernel has. A spill in a hot kernel is a failure. Needs no GPU.
//   node scripts/cuda-report.mjs [--only gemm,attention] [--jobs 2] [--json FILE]
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const architectures = ['80', '86', '89', '90', '100', '120'];
/** What the figures are for; the others are compiled and looked at for spills. */
const reported = 'sm_90';
/** A spill in these is a failure. */
const hot = /^(gemm|convolution|attention|recurrent)/;

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

/** The kernels in the PTX: the largest block that they are declared for, and how often each instruction is there. */
function readPtx(text) {
  const kernels = new Map();
  for (const [, name, body] of text.matchAll(/\.visible \.entry (\w+)\(([\s\S]*?\n\})/g)) {
    const threads = /\.maxntid (\d+)(?:, (\d+), (\d+))?/.exec(body);
    const instructions = {};
    for (const [, opcode] of body.matchAll(/^\t(?:@!?%p\d+ )?([a-z][\w.:]*)[ ;]/gm)) {
      const kind = kindOf(opcode);
      instructions[kind] = (instructions[kind] ?? 0) + 1;
    }
    const size = threads?.slice(1).reduce((product, extent) => product * Number(extent ?? 1), 1);
    kernels.set(name, { threads: size ?? null, instructions });
  }
  return kernels;
}

/** The class of an instruction in the mix. */
function kindOf(opcode) {
  const known = [
    [/^mma/, 'mma'],
    [/^ldmatrix/, 'ldmatrix'],
    [/^cp\.async/, 'cp.async'],
    [/^ld\.(global|shared|param|const|local)/, undefined],
    [/^st\.(global|shared|local)/, undefined],
    [/^(atom|red)/, 'atomic'],
    [/^bar/, 'barrier'],
    [/^shfl/, 'shuffle'],
    [/^fma.*\.f32/, 'fma.f32'],
    [/^fma.*\.f64/, 'fma.f64'],
    [/^(ex2|lg2|rsqrt|sqrt|rcp|sin|cos|tanh)/, 'special function'],
    [/\.f(16|32|64)$/, 'other float'],
    [/\.(s|u|b)(16|32|64)$/, 'integer'],
    [/^(bra|ret|call)/, 'branch'],
  ];
  for (const [pattern, kind] of known) {
    const found = pattern.exec(opcode);
    if (found) return kind ?? found[0];
  }
  return 'other';
}

/** What ptxas -v said of each kernel on each architecture. */
function readAssembler(text) {
  const rows = [];
  let row;
  for (const line of text.split('\n')) {
    const start = /Compiling entry function '(\w+)' for '(sm_\d+)'/.exec(line);
    if (start)
      rows.push((row = { name: start[1], architecture: start[2], registers: 0, shared: 0, spilled: 0, stack: 0 }));
    const memory = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (memory && row && row.registers === 0) {
      row.stack = Number(memory[1]);
      row.spilled = Number(memory[2]) + Number(memory[3]);
    }
    const used = /Used (\d+) registers/.exec(line);
    if (used && row) {
      row.registers = Number(used[1]);
      row.shared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
    }
  }
  return rows;
}

/** Compiles one source; resolves with its rows, or with the compiler's words where it failed. */
function compile(file) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-nvcc-'));
  const codes = architectures.map((architecture) => `sm_${architecture}`).join(',');
  const args = [
    '-std=c++17',
    '-O3',
    '-Inative',
    '-c',
    path.join('native/cuda', file),
    '-o',
    path.join(folder, 'out.o'),
  ];
  args.push('-gencode', 'arch=compute_75,code=sm_75', '-gencode', `arch=compute_80,code=[${codes},compute_80]`);
  args.push(
    '--compress-mode=size',
    '-Werror',
    'all-warnings',
    '-Xcompiler',
    '-fPIC,-fvisibility=hidden,-Wall,-fno-rtti',
  );
  args.push('--resource-usage', '--keep', '--keep-dir', folder);
  const start = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.env.KINDLING_NVCC ?? 'nvcc', args, { cwd: root });
    let said = '';
    const listen = (data) => (said += data);
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('error', (error) => resolve({ file, failure: error.message }));
    child.on('close', (status) => {
      const seconds = (performance.now() - start) / 1000;
      if (status !== 0) return resolve({ file, failure: said });
      const ptx = readdirSync(folder).find((name) => name.endsWith('.ptx') && name.includes('compute_80'));
      const declared = ptx ? readPtx(readFileSync(path.join(folder, ptx), 'utf8')) : new Map();
      rmSync(folder, { recursive: true, force: true });
      const rows = readAssembler(said).map((row) => ({ file, ...row, ...declared.get(row.name) }));
      resolve({ file, seconds, rows });
    });
  });
}

/** Adds how many blocks are resident on a multiprocessor, by NVIDIA's own calculator. */
function addOccupancy(rows) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-occupancy-'));
  try {
    const nvcc = execFileSync('sh', ['-c', 'readlink -f "$(command -v nvcc)"'], { encoding: 'utf8' }).trim();
    const dry = spawnSync('nvcc', ['--dryrun', 'x.cu'], { encoding: 'utf8' }).stderr;
    const top = /TOP=(.*)/.exec(dry)?.[1].trim() ?? path.dirname(path.dirname(nvcc));
    const program = path.join(folder, 'occupancy');
    execFileSync('g++', ['-std=c++17', `-I${top}/include`, 'scripts/cuda-occupancy.cc', '-o', program], { cwd: root });
    const input = rows.map((row) => `${row.registers} ${row.shared} ${row.threads ?? 256}`).join('\n');
    const answers = execFileSync(program, { input, encoding: 'utf8' }).trim().split('\n');
    rows.forEach((row, i) => {
      row.warps = (Number(answers[i]) * (row.threads ?? 256)) / 32;
      row.occupancy = row.warps / 64;
    });
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

const only = option('--only', '').split(',').filter(Boolean);
const sources = readdirSync(path.join(root, 'native/cuda'))
  .filter((name) => name.endsWith('.cu'))
  .filter((name) => only.length === 0 || only.some((prefix) => name.startsWith(prefix)));
const queue = [...sources];
const results = [];
async function work() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const result = await compile(file);
    results.push(result);
    const spilling = result.rows?.filter(({ spilled }) => spilled > 0).length ?? 0;
    const outcome = result.failure ? 'failed' : `${result.seconds.toFixed(0)} s, ${spilling} spilling`;
    console.log(`${file}: ${outcome}`);
  }
}
await Promise.all(Array.from({ length: Number(option('--jobs', '2')) }, work));

let failures = 0;
for (const { file, failure } of results.filter((result) => result.failure)) {
  failures++;
  console.log(`${file}: nvcc failed\n${failure}`);
}
const rows = results.flatMap((result) => result.rows ?? []);
for (const row of rows.filter(({ file, spilled }) => spilled > 0 && hot.test(file))) {
  failures++;
  console.log(`${row.file}: ${row.name} spills ${row.spilled} bytes on ${row.architecture}`);
}
const shown = rows.filter((row) => row.architecture === reported);
if (shown.length > 0) {
  addOccupancy(shown);
  readableNames(shown);
}
const json = path.resolve(root, option('--json', 'build/cuda-report.json'));
mkdirSync(path.dirname(json), { recursive: true });
writeFileSync(json, `${JSON.stringify(shown, null, 1)}\n`);
const spilling = new Set(rows.filter(({ spilled }) => spilled > 0).map(({ name }) => name)).size;
const fewest = shown.reduce((least, row) => Math.min(least, row.warps), Infinity);
console.log(
  `nvcc: ${results.length} sources for 7 architectures, ${shown.length} kernels, ${spilling} with spills, ` +
    `${fewest} warps on a multiprocessor of ${reported} at least; ${path.relative(root, json)}`,
);
console.log(`${results.length - results.filter(({ failure }) => failure).length} passed, ${failures} failed`);
process.exit(failures === 0 && results.length > 0 ? 0 : 1);

// The last part of scripts/gpu-check: what share of the device's measured limits some ops reach, and PyTorch beside.
//   node scripts/gpu-table.mjs [--dry-run]   runs every case once, small, and prints no figure (for the emulator)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dryRun = process.argv.includes('--dry-run');
const kindling = createRequire(import.meta.url)('../dist/lib');

/** `flops` or `bytes` are what a run must do or move at least. */
const cases = [
  ['matmul', 'float32', [4096, 4096, 4096]],
  ['matmul', 'tf32', [4096, 4096, 4096]],
  ['matmul', 'float32', [64, 4096, 4096]],
  ['conv2d', 'float32', [64, 128, 128, 28]],
  ['conv2d', 'tf32', [64, 128, 128, 28]],
  ['attention', 'float32', [8, 16, 1024, 64]],
  ['add', 'memory', [64, 1 << 20]],
  ['softmax', 'memory', [16384, 1024]],
  ['sum', 'memory', [16384, 4096]],
].map(([kind, limit, shape]) => {
  const size = dryRun ? shape.map((extent) => Math.min(extent, 24)) : shape;
  return { name: `${kind} ${size.join('x')} ${limit}`, kind, limit, shape: size, repeats: dryRun ? 1 : 20 };
});

/** What one run must do (operations) or move (bytes). */
function amountOf({ kind, shape }) {
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (kind === 'matmul') return 2 * count;
  if (kind === 'conv2d') return 2 * 9 * count * shape[3];
  if (kind === 'attention') return 4 * count * shape[2];
  return 4 * count * { add: 3, softmax: 2, sum: 1 }[kind];
}

function workOf({ kind, shape }) {
  const { randn, matmul, nn, softmax, sum, add } = kindling;
  const device = 'cuda';
  const random = (...extents) => randn(extents, { device });
  if (kind === 'matmul') {
    const [m, n, k] = shape;
    const [a, b] = [random(m, k), random(k, n)];
    return () => matmul(a, b);
  }
  if (kind === 'conv2d') {
    const [batch, channels, filters, size] = shape;
    const [x, w] = [random(batch, channels, size, size), random(filters, channels, 3, 3)];
    return () => nn.functional.conv2d(x, w, undefined, { padding: 1 });
  }
  if (kind === 'attention') {
    const [q, k, v] = [random(...shape), random(...shape), random(...shape)];
    return () => nn.functional.scaledDotProductAttention(q, k, v);
  }
  const [x, y] = [random(...shape), random(...shape)];
  return { add: () => add(x, y), softmax: () => softmax(x, -1), sum: () => sum(x, -1) }[kind];
}

/** Seconds of one run: the shortest of eight rounds of several. */
function measure(test) {
  kindling.cuda.allowTf32(test.limit === 'tf32');
  const work = workOf(test);
  let best = Infinity;
  for (let round = 0; round < (dryRun ? 1 : 8); round++) {
    kindling.cuda.synchronize();
    const start = performance.now();
    for (let i = 0; i < test.repeats; i++) kindling.tidy(() => void work());
    kindling.cuda.synchronize();
    best = Math.min(best, (performance.now() - start) / 1e3 / test.repeats);
  }
  return best;
}

function limits() {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-limits-'));
  try {
    const program = path.join(folder, 'limits');
    const built = spawnSync('nvcc', ['-O3', '-std=c++17', '-arch=native', 'scripts/gpu-limits.cu', '-o', program], {
      cwd: root,
      encoding: 'utf8',
    });
    if (built.status !== 0) throw new Error(built.stderr);
    return JSON.parse(spawnSync(program, { encoding: 'utf8' }).stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds by case in PyTorch; nothing, with the reason printed, where there is none with a GPU. */
function torch() {
  const python = process.env.KINDLING_BENCH_PYTHON ?? 'python3';
  const result = spawnSync(python, ['scripts/gpu-torch.py'], {
    cwd: root,
    input: JSON.stringify(cases),
    encoding: 'utf8',
  });
  if (result.status === 0) return JSON.parse(result.stdout);
  const reason = result.error?.message ?? result.stderr.trim().split('\n').at(-1);
  console.log(`PyTorch: skipped, ${reason}`);
  return {};
}

if (dryRun) {
  for (const test of cases) {
    measure(test);
    console.log(`${test.name}: ran`);
  }
} else {
  if (kindling.cudaStatus().isEmulated) throw new Error('the emulator has no speed; this is for a GPU');
  const most = limits();
  const theirs = torch();
  console.log(`limits: ${JSON.stringify(most)} (GFLOP/s; memory in GB/s)`);
  for (const test of cases) {
    const rate = amountOf(test) / measure(test) / 1e9;
    const unit = test.limit === 'memory' ? 'GB/s' : 'GFLOP/s';
    const share = ((100 * rate) / most[test.limit]).toFixed(0);
    const other =
      theirs[test.name] === undefined ? '' : `, PyTorch ${(amountOf(test) / theirs[test.name] / 1e9).toFixed(0)}`;
    console.log(`${test.name.padEnd(40)} ${rate.toFixed(0).padStart(9)} ${unit} ${share} % of the limit${other}`);
  }
}

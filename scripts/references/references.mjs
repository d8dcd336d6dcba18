// Makes the reference values of the tests with PyTorch: test/fixtures/ops/*.json for the operator table,
// test/fixtures/nn/*.json for the layers' trajectories.
//   npm run references [-- family ...]     KINDLING_PYTHON names a Python that has torch (default: python3)
// Only needed when a row changes; the values are committed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root, setup, step } from '../setup.mjs';

setup();
const out = 'build/references';
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
step('compiling the tables', process.execPath, [tsc, '-p', 'tsconfig.json', '--noEmit', 'false', '--outDir', out]);
// Where the compiled sources look for the addon.
mkdirSync(path.join(root, out, 'build'), { recursive: true });
const link = path.join(root, out, 'build/Release');
if (!existsSync(link)) symlinkSync(path.join(root, 'build/Release'), link);
const require = createRequire(import.meta.url);
process.chdir(root);
const { families } = require(path.join(root, out, 'test/ops/rows/index.js'));
const { families: layers } = require(path.join(root, out, 'test/nn/trajectories/index.js'));
const optimizers = require(path.join(root, out, 'test/optim/trajectories.js'));
const { fingerprint, fingerprintOf } = require(path.join(root, out, 'test/ops/fixture.js'));
const wanted = process.argv.slice(2);

/** Asks Python for what the file does not have yet. `describe` gives a row's fingerprint and its description. */
function update(folder, family, rows, script, describe) {
  if (wanted.length > 0 && !wanted.includes(family)) return;
  const file = path.join(root, 'test/fixtures', folder, `${family}.json`);
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const result = {};
  const missing = {};
  for (const [name, row] of Object.entries(rows)) {
    if (typeof row.torch !== 'string') continue;
    const [made, description] = describe(row);
    if ((before[name]?.inputs ?? before[name]?.made) === made) result[name] = before[name];
    else missing[name] = { made, ...description };
  }
  if (Object.keys(missing).length > 0) {
    const python = process.env.KINDLING_PYTHON ?? 'python3';
    const made = spawnSync(python, [path.join(root, 'scripts/references', script)], {
      // JSON has no NaN and no infinities.
      input: JSON.stringify(missing, (_, v) => (typeof v === 'number' && !Number.isFinite(v) ? String(v) : v)),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (made.status !== 0) {
      console.error(made.stderr, made.error?.message ?? '');
      process.exitCode = 1;
      return;
    }
    Object.assign(result, JSON.parse(made.stdout));
  }
  const text = Object.keys(rows)
    .filter((name) => result[name] !== undefined)
    .map((name) => `${JSON.stringify(name)}: ${JSON.stringify(result[name])}`);
  mkdirSync(path.dirname(file), { recursive: true });
  if (text.length > 0) writeFileSync(file, `{\n${text.join(',\n')}\n}\n`);
  console.log(`${folder}/${family}: ${text.length} rows, ${Object.keys(missing).length} made anew`);
}

for (const [family, rows] of Object.entries(families)) {
  update('ops', family, rows, 'ops.py', (row) => [
    fingerprint(row),
    { torch: row.torch, gradient: row.gradient, samples: row.samples },
  ]);
}
for (const [family, rows] of Object.entries(layers)) {
  update('nn', family, rows, 'layers.py', ({ torch, torchCall, inputs }) => [
    fingerprintOf([torch, torchCall, inputs]),
    { torch, call: torchCall ?? `m(${inputs.map((_, i) => `x${i}`).join(', ')})`, inputs },
  ]);
}
const kinds = { optimizers: 'optimizer', schedules: 'schedule', lineSearches: 'lineSearch', sparse: 'sparse' };
for (const [family, kind] of Object.entries(kinds)) {
  update('optim', family, optimizers[family], 'optimizers.py', ({ torch }) => [fingerprintOf(torch), { torch, kind }]);
}

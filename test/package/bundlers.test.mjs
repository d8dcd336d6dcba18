/** esbuild and webpack with the package left outside, as docs/installation.md has it. */
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import {
  asCommonJS,
  assertLearned,
  bareEnvironment,
  emptyFolder,
  firstProgram,
  npm,
  run,
  tarball,
} from './support.mjs';
import { write } from './support.mjs';

/** A folder with the package and a bundler, whose binaries come as packages of their own. */
function project(t, ...packages) {
  const folder = emptyFolder(t);
  npm(process.execPath, ['install', tarball, ...packages], { cwd: folder });
  return { folder, env: bareEnvironment(t, process.execPath) };
}

test('esbuild bundles a program that trains', (t) => {
  const { folder, env } = project(t, 'esbuild@0.28');
  write(folder, 'app.mjs', firstProgram());
  const options = ['--bundle', '--platform=node', '--external:kindling', '--format=esm', '--outfile=out.mjs'];
  run(path.join(folder, 'node_modules/@esbuild/linux-x64/bin/esbuild'), ['app.mjs', ...options], { cwd: folder });
  assertLearned(run(process.execPath, ['out.mjs'], { cwd: folder, env }));
});

test('webpack bundles a program that trains', (t) => {
  const { folder, env } = project(t, 'webpack@5');
  write(folder, 'app.cjs', asCommonJS(firstProgram()));
  write(
    folder,
    'bundle.cjs',
    `require('webpack')({
       mode: 'production',
       entry: './app.cjs',
       target: 'node',
       externals: { kindling: 'commonjs kindling' },
       output: { path: __dirname, filename: 'out.cjs' },
     }, (error, stats) => {
       if (error || stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); }
     });`,
  );
  run(process.execPath, ['bundle.cjs'], { cwd: folder });
  const output = run(process.execPath, ['out.cjs'], { cwd: folder, env });
  assertLearned(output);
  assert.match(output, /Epoch 1/);
});

/** What a newcomer does: install the package where there is nothing but Node, paste the first program, run it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { root } from '../../scripts/setup.mjs';
import { asCommonJS, assertLearned, bareEnvironment, emptyFolder, firstProgram, newerMajors } from './support.mjs';
import { nodeOf, npm, run, tarball, write } from './support.mjs';

/** An empty folder in which the package has been installed. */
function install(t, node) {
  const folder = emptyFolder(t);
  const env = bareEnvironment(t, node);
  npm(node, ['install', tarball], { cwd: folder, env });
  return { folder, env };
}

test('the first program has at most 15 lines and stands on the first screen of the README', () => {
  const program = firstProgram();
  assert.ok(program.trimEnd().split('\n').length <= 15);
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  assert.ok(readme.indexOf('npm install kindling') < readme.indexOf(program));
  assert.ok(readme.slice(0, readme.indexOf(program) + program.length).split('\n').length <= 40);
});

for (const major of [Number(process.versions.node.split('.')[0]), ...newerMajors]) {
  test(`Node ${major}: installs without scripts, trains from ESM and CommonJS, and uninstalls`, (t) => {
    const node = newerMajors.includes(major) ? nodeOf(major) : process.execPath;
    const { folder, env } = install(t, node);
    const program = firstProgram();
    write(folder, 'first.mjs', program);
    write(folder, 'first.cjs', asCommonJS(program));
    for (const file of ['first.mjs', 'first.cjs']) assertLearned(run(node, [file], { cwd: folder, env }));

    const installed = readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
    assert.deepEqual(installed.sort(), ['kindling', 'node-gyp-build']);
    npm(node, ['uninstall', 'kindling'], { cwd: folder, env });
    const left = existsSync(path.join(folder, 'node_modules'))
      ? readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
      : [];
    assert.deepEqual(left, []);
    assert.doesNotMatch(readFileSync(path.join(folder, 'package.json'), 'utf8'), /kindling/);
  });
}

test('TypeScript: the first program compiles strictly as both kinds of module, without other types, and runs', (t) => {
  const { folder, env } = install(t, process.execPath);
  const program = firstProgram();
  write(folder, 'first.mts', program);
  const imported = program.replace(/^(import .*;)$/m, '$1\nasync function main() {');
  write(folder, 'first.cts', `${imported}}\nvoid main();\n`);
  // The library's declarations are checked with the program: no skipLibCheck.
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2022',
    types: [],
    outDir: 'out',
    rootDir: '.',
  };
  write(folder, 'tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.mts', '*.cts'] }));
  run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc')], { cwd: folder, env });
  for (const file of ['out/first.mjs', 'out/first.cjs']) {
    assertLearned(run(process.execPath, [file], { cwd: folder, env }));
  }
});

test('both kinds of module get the same library', (t) => {
  const { folder, env } = install(t, process.execPath);
  write(
    folder,
    'same.mjs',
    `import { createRequire } from 'node:module';
     import * as esm from 'kindling';
     const cjs = createRequire(import.meta.url)('kindling');
     const other = Object.keys(cjs).filter((name) => cjs[name] !== esm[name]);
     console.log(JSON.stringify({ count: Object.keys(cjs).length, other }));`,
  );
  const { count, other } = JSON.parse(run(process.execPath, ['same.mjs'], { cwd: folder, env }));
  assert.ok(count > 100);
  assert.deepEqual(other, []);
});

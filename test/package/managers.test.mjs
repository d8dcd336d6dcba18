/** pnpm and yarn install the package as npm does. */
import path from 'node:path';
import test from 'node:test';
import { assertLearned, bareEnvironment, emptyFolder, firstProgram, npm, run, tarball, write } from './support.mjs';

/** A package manager from npm, in a folder of its own; returns its program. */
function manager(t, name, program) {
  const folder = emptyFolder(t);
  npm(process.execPath, ['install', name], { cwd: folder });
  return path.join(folder, 'node_modules', program);
}

const managers = [
  ['pnpm', 'pnpm@10', 'pnpm/bin/pnpm.cjs', ['add']],
  ['yarn', 'yarn@1', 'yarn/bin/yarn.js', ['add', '--no-progress', '--non-interactive']],
];

for (const [name, version, program, args] of managers) {
  test(`${name} installs the package, and the first program trains`, (t) => {
    const script = manager(t, version, program);
    const folder = emptyFolder(t);
    // Its caches go with the folder.
    const env = {
      ...bareEnvironment(t, process.execPath),
      HOME: emptyFolder(t),
      XDG_DATA_HOME: '',
      XDG_CACHE_HOME: '',
    };
    write(folder, 'package.json', '{"private":true}');
    run(process.execPath, [script, ...args, tarball], { cwd: folder, env });
    write(folder, 'first.mjs', firstProgram());
    assertLearned(run(process.execPath, ['first.mjs'], { cwd: folder, env }));
  });
}

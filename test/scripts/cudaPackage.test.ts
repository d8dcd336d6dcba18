/** The package of the CUDA backend, made from a library that a compiler here can build. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '../..');
let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'kindling-cuda-')));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function make(library: string): ReturnType<typeof spawnSync> {
  const script = path.join(root, 'scripts/cuda-package.mjs');
  const args = [script, '--library', library, '--out', path.join(folder, 'package')];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

test('a program that requires the package gets the path of the library', () => {
  const library = path.join(folder, 'lib.so');
  // Any shared library of this machine will do.
  copyFileSync(path.join(root, 'build/Release/kindling.node'), library);
  const { status, stdout } = make(library);
  expect(status).toBe(0);
  expect(stdout).toMatch(/libkindling_cuda.so is \d+\.\d MiB/);
  expect(readdirSync(path.join(folder, 'package')).sort()).toEqual(
    ['LICENSE', 'README.md', 'index.js', 'libkindling_cuda.so', 'package.json'].sort(),
  );
  const program = `console.log(require(${JSON.stringify(path.join(folder, 'package'))}))`;
  const found = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trim();
  expect(readFileSync(found).equals(readFileSync(library))).toBe(true);
});

test('it installs only where it runs, and beside the same version', () => {
  const library = path.join(folder, 'lib.so');
  copyFileSync(path.join(root, 'build/Release/kindling.node'), library);
  make(library);
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  expect(JSON.parse(readFileSync(path.join(folder, 'package/package.json'), 'utf8'))).toMatchObject({
    name: 'kindling-cuda-linux-x64',
    version,
    os: ['linux'],
    cpu: ['x64'],
    libc: ['glibc'],
    peerDependencies: { kindling: version },
  });
});

test('what is no library for linux-x64 is refused', () => {
  const file = path.join(folder, 'text.so');
  writeFileSync(file, 'This is not a library.');
  expect(make(file)).toMatchObject({ status: 1, stderr: expect.stringMatching(/is not a shared library/) as unknown });
  const missing = make(path.join(folder, 'none.so'));
  expect(missing).toMatchObject({ status: 1, stderr: expect.stringMatching(/does not exist/) as unknown });
});

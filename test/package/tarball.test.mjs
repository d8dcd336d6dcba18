/** What is in the tarball, and what is not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { root } from '../../scripts/setup.mjs';
import { emptyFolder, tarball } from './support.mjs';

const largest = 15 * 2 ** 20;

const files = () =>
  execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''));

test('the tarball is under 15 MB', () => {
  const { size } = statSync(tarball);
  assert.ok(size > 1 << 20 && size < largest, `${size} bytes`);
});

test('it holds the library with its types, the addons, and what a reader needs; nothing else', () => {
  const list = files();
  for (const name of [
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'package.json',
    'dist/lib/index.js',
    'dist/lib/index.d.ts',
  ]) {
    assert.ok(list.includes(name), name);
  }
  const prebuilds = list.filter((name) => name.startsWith('prebuilds/'));
  assert.deepEqual(prebuilds.sort(), [
    'prebuilds/linux-arm64/kindling.glibc.node',
    'prebuilds/linux-x64/kindling.glibc.node',
  ]);
  const expected =
    /^(dist\/lib\/.*\.(js|js\.map|d\.ts)|docs\/[\w-]+\.md|prebuilds\/.*|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
  assert.deepEqual(
    list.filter((name) => !expected.test(name)),
    [],
  );
});

test('each compiled file has a source: nothing stale was packed', () => {
  const sources = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'lib'], {
    cwd: root,
    encoding: 'utf8',
  });
  const stale = files().filter((name) => {
    const source = /^dist\/(lib\/.*?)\.(js|js\.map|d\.ts)$/.exec(name)?.[1];
    return source !== undefined && !sources.includes(`${source}.ts\n`);
  });
  assert.deepEqual(stale, []);
});

test('nothing runs at install, and there is one dependency', (t) => {
  const folder = emptyFolder(t);
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package/package.json'), 'utf8'));
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preuninstall', 'postuninstall'];
  assert.deepEqual(
    hooks.filter((name) => name in manifest.scripts),
    [],
  );
  // npm would run node-gyp for it.
  assert.ok(!files().includes('binding.gyp'));
  assert.deepEqual(Object.keys(manifest.dependencies), ['node-gyp-build']);
  assert.equal(manifest.optionalDependencies, undefined);
});

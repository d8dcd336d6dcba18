/** Each thing that can be wrong with an installation is found, and a healthy one has no findings. */
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { examine, type Patient } from '../../lib/cli/doctor';

const root = path.resolve(__dirname, '../..');
const tuple = `${process.platform}-${process.arch}`;
let folder: string;

const at = (name: string): string => path.join(folder, name);

function write(name: string, content: string | Buffer): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
}

function place(name: string): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  copyFileSync(path.join(root, 'build/Release/kindling.node'), at(name));
}

/** An installed package that nothing is wrong with, but for `changes`. */
function patient(changes: Partial<Patient> = {}): Patient {
  const healthy = { node: 'v20.1.0', platform: process.platform, arch: process.arch, glibc: '2.36', env: {} };
  return { folder, workingFolder: folder, ...healthy, ...changes };
}

const texts = (changes: Partial<Patient> = {}): string[] => examine(patient(changes)).map(({ text }) => text);

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'kindling-doctor-')));
  write('package.json', '{"name":"kindling"}');
  write('dist/lib/index.js', '');
  write('node_modules/node-gyp-build/package.json', '{}');
  place(`prebuilds/${tuple}/kindling.glibc.node`);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('a healthy installation has no findings', () => {
  expect(examine(patient())).toEqual([]);
});

test('an old Node', () => {
  expect(texts({ node: 'v18.20.0' })).toEqual(['Node v18.20.0 is too old']);
});

test('a system without prebuilt addon', () => {
  expect(texts({ platform: 'darwin', arch: 'arm64' })[0]).toMatch(/no prebuilt addon for darwin-arm64/);
});

test('musl', () => {
  expect(texts({ glibc: null })[0]).toMatch(/not glibc/);
});

test.each(['2.28', '2.30', '1.99'])('glibc %s', (glibc) => {
  expect(texts({ glibc })[0]).toMatch(/is older than 2.31/);
});

test.each(['2.31', '2.100', '3.0'])('glibc %s is new enough', (glibc) => {
  expect(texts({ glibc })).toEqual([]);
});

test('no addon', () => {
  rmSync(at('prebuilds'), { recursive: true });
  expect(texts()).toEqual([`the addon is missing: ${at(`prebuilds/${tuple}`)} has none`]);
});

test('a local build that hides the prebuilt addon', () => {
  place('build/Release/kindling.node');
  expect(examine(patient())).toMatchObject([
    { kind: 'remark', text: expect.stringMatching(/is used instead/) as unknown },
  ]);
});

test('two addons in one folder', () => {
  place(`prebuilds/${tuple}/other.glibc.node`);
  expect(texts()[0]).toMatch(/several addons \(kindling.glibc.node, other.glibc.node\)/);
});

test('a damaged addon', () => {
  write(`prebuilds/${tuple}/kindling.glibc.node`, 'version https://git-lfs.github.com/spec/v1');
  expect(texts()[0]).toMatch(/is not an addon/);
});

test('an addon for another machine', () => {
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18);
  write(`prebuilds/${tuple}/kindling.glibc.node`, header);
  expect(texts()[0]).toMatch(new RegExp(`is not for ${process.arch}`));
});

test('an addon that cannot be loaded', () => {
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header.writeUInt16LE(process.arch === 'x64' ? 62 : 183, 18);
  write(`prebuilds/${tuple}/kindling.glibc.node`, header);
  expect(texts()[0]).toMatch(/cannot be loaded: /);
});

test('a missing dependency', () => {
  rmSync(at('node_modules'), { recursive: true });
  expect(texts()).toEqual(['its only dependency, node-gyp-build, is not installed']);
});

test('a second copy', () => {
  write('program/node_modules/kindling/package.json', '{}');
  expect(texts({ workingFolder: at('program') })[0]).toMatch(/use another copy/);
});

test('a CUDA backend of another version', () => {
  write('package.json', '{"name":"kindling","version":"0.2.0"}');
  const name = `kindling-cuda-${tuple}`;
  write(`node_modules/${name}/package.json`, '{"version":"0.2.0"}');
  expect(texts()).toEqual([]);
  write(`node_modules/${name}/package.json`, '{"version":"0.1.0"}');
  expect(texts()).toEqual([`${name} 0.1.0 does not go with kindling 0.2.0`]);
});

test('a package without its compiled library', () => {
  rmSync(at('dist'), { recursive: true });
  expect(texts()[0]).toMatch(/no compiled library/);
});

test('an instruction set that the CPU does not have', () => {
  expect(texts({ env: { KINDLING_ISA: 'sse9' } })[0]).toMatch(/KINDLING_ISA=sse9 is unknown/);
});

test.each(['0', '-1', '257', 'all', ''])('KINDLING_NUM_THREADS=%j', (threads) => {
  expect(texts({ env: { KINDLING_NUM_THREADS: threads } })).toEqual([`KINDLING_NUM_THREADS=${threads} is ignored`]);
});

test.each(['1', '16', '256'])('KINDLING_NUM_THREADS=%s is right', (threads) => {
  expect(texts({ env: { KINDLING_NUM_THREADS: threads } })).toEqual([]);
});

test('problems come before remarks', () => {
  rmSync(at('node_modules'), { recursive: true });
  const kinds = examine(patient({ env: { KINDLING_NUM_THREADS: '0' } })).map(({ kind }) => kind);
  expect(kinds).toEqual(['problem', 'remark']);
});

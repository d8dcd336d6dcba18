/** Empty folders, the Node versions to be had from npm, and processes that see nothing but one of them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { npmProgram } from '../../scripts/pack.mjs';
import { root } from '../../scripts/setup.mjs';

/** The packed package; scripts/test-package.mjs sets it. */
export const tarball = process.env.KINDLING_TARBALL;

/** The majors that are tested beside the one that runs this; npm has their binaries as node-linux-…. */
export const newerMajors = [22, 23, 24, 25, 26];

/** A folder that is removed when the test ends. */
export function emptyFolder(t) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'kindling-package-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The binary of a Node major, fetched from npm once. */
export function nodeOf(major, arch = process.arch) {
  const binary = path.join(root, 'build/nodes', `${major}-${arch}`, 'node');
  if (existsSync(binary)) return binary;
  const folder = path.dirname(binary);
  mkdirSync(folder, { recursive: true });
  const args = [npmProgram(), 'pack', '--silent', `node-linux-${arch}@${major}`];
  const name = execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', name, '--strip-components=2', 'package/bin/node'], { cwd: folder });
  rmSync(path.join(folder, name));
  return binary;
}

/** The environment of a user who has Node and nothing else: no compiler, no shell tools, no settings of ours. */
export function bareEnvironment(t, node) {
  const folder = emptyFolder(t);
  symlinkSync(node, path.join(folder, 'node'));
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|kindling_|node_(options|path)$|path$)/i.test(name),
  );
  return { ...Object.fromEntries(kept), PATH: folder };
}

/** What a process printed; fails with all of it where the process did. */
export function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000, maxBuffer: 1 << 28, ...options });
  const said = `${path.basename(command)} ${args.join(' ')}\n${result.stdout}${result.stderr}`;
  assert.equal(result.status, 0, result.error ? `${result.error.message}\n${said}` : said);
  return result.stdout;
}

/** npm with install scripts disabled. */
export function npm(node, args, options) {
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier'];
  return run(node, [npmProgram(), ...args, ...quiet], options);
}

/** The program on the README's first screen. */
export function firstProgram() {
  const [, program] = /```(?:js|ts)\n(import [^]*?)```/.exec(readFileSync(path.join(root, 'README.md'), 'utf8'));
  return program;
}

/** The same as CommonJS, which has neither imports nor await at the top. */
export function asCommonJS(program) {
  const body = program.replace(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = require('$2');");
  assert.ok(!/^import /m.test(body));
  return `(async () => {\n${body}})();\n`;
}

/** Fails unless the first program's last line tells of a model that has learned its task. */
export function assertLearned(output) {
  const [, percent] = /([\d.]+) %\s*$/.exec(output) ?? [];
  assert.ok(Number(percent) > 95, output);
}

/** A file in a folder, written whole. */
export function write(folder, name, text) {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  return file;
}

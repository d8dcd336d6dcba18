/** Readers of text files: encodings, folders, and what is wrong with a place that cannot be read. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { data } from '../../lib';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kindling-texts-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, content: string | Buffer): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

test('a text is UTF-8, or Latin-1 where it cannot be', () => {
  expect(data.readText(write('a.txt', 'déjà vu ☂'))).toBe('déjà vu ☂');
  expect(data.readText(write('b.txt', Buffer.from('déjà vu', 'latin1')))).toBe('déjà vu');
  expect(data.readText(write('c.txt', ''))).toBe('');
});

test('lines come without blanks around them, blank ones not at all', () => {
  expect(data.readLines(write('a.txt', ' one\r\n\n two words \n   \nthree'))).toEqual(['one', 'two words', 'three']);
});

test('a folder gives the texts of its subfolders by name', () => {
  write('pos/10_1.txt', 'ten');
  write('pos/1_2.txt', 'one');
  write('pos/notes.md', 'no text');
  write('neg/0.txt', 'zero');
  write('unsup/0.txt', 'neither');
  write('urls.txt', 'no class');
  expect(data.readTextFolder(folder)).toEqual({
    texts: ['zero', 'ten', 'one', 'neither'],
    labels: Int32Array.of(0, 1, 1, 2),
    classes: ['neg', 'pos', 'unsup'],
  });
  expect(data.readTextFolder(folder, { classes: ['pos', 'neg'] })).toEqual({
    texts: ['ten', 'one', 'zero'],
    labels: Int32Array.of(0, 0, 1),
    classes: ['pos', 'neg'],
  });
});

test('what cannot be read is named', () => {
  const missing = path.join(folder, 'missing');
  expect(() => data.readText(missing)).toThrow(data.DataError);
  expect(() => data.readLines(missing)).toThrow(/missing: cannot be read: ENOENT/);
  expect(() => data.readTextFolder(missing)).toThrow(/missing: cannot be read/);
  expect(() => data.readTextFolder(folder)).toThrow(/has no subfolders/);
  write('pos/1.md', 'x');
  expect(() => data.readTextFolder(folder)).toThrow(/pos: has no .txt files/);
  expect(() => data.readTextFolder(folder, { classes: ['pos', 'neg'] })).toThrow(data.DataError);
  expect(() => data.readText(0 as unknown as string)).toThrow(/readText: the path must be a string, got number/);
  expect(() => data.readTextFolder(3 as unknown as string)).toThrow(TypeError);
});

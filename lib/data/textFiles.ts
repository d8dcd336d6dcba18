/** Readers of text files, alone and sorted into folders. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { TextDecoder } from 'node:util';
import { DataError } from './errors';

function readable<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DataError(`${place}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** A number would be a file descriptor, of a terminal perhaps: reading it could wait for ever. */
function checkPath(op: string, given: unknown): void {
  if (typeof given !== 'string') throw new TypeError(`${op}: the path must be a string, got ${typeof given}`);
}

/**
 * A text file in UTF-8, or, where its bytes are no UTF-8, in Latin-1, as older collections have it.
 * @throws DataError if the file cannot be read.
 */
export function readText(file: string): string {
  checkPath('readText', file);
  const bytes = readable(file, () => readFileSync(file));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

/**
 * The lines of a {@link readText} that are not blank, without blanks at their ends.
 * @throws DataError if the file cannot be read.
 */
export function readLines(file: string): string[] {
  const lines = readText(file).split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

/** Texts, and the class of each. */
export interface LabelledTexts {
  readonly texts: readonly string[];
  /** Positions in `classes`. */
  readonly labels: Int32Array;
  readonly classes: readonly string[];
}

/** Options of {@link readTextFolder}. */
export interface TextFolderOptions {
  /** The subfolders to read. Default: all, in the order of their names. */
  classes?: readonly string[];
}

/**
 * Reads a folder that has one subfolder per class and in it one .txt file per text, the files in the order of their
 * names, as the Large Movie Review Dataset (Maas et al., 2011) comes.
 * @throws DataError if a folder is missing or has no texts.
 */
export function readTextFolder(folder: string, options: TextFolderOptions = {}): LabelledTexts {
  checkPath('readTextFolder', folder);
  const classes = options.classes ?? subfolders(folder);
  const texts: string[] = [];
  const labels: number[] = [];
  classes.forEach((name, label) => {
    const inner = path.join(folder, name);
    const files = readable(inner, () => readdirSync(inner)).filter((file) => file.endsWith('.txt'));
    if (files.length === 0) throw new DataError(`${inner}: has no .txt files`);
    for (const file of files.sort()) {
      texts.push(readText(path.join(inner, file)));
      labels.push(label);
    }
  });
  return { texts, labels: Int32Array.from(labels), classes };
}

function subfolders(folder: string): string[] {
  const entries = readable(folder, () => readdirSync(folder, { withFileTypes: true }));
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (names.length === 0) throw new DataError(`${folder}: has no subfolders, one for each class`);
  return names.sort();
}

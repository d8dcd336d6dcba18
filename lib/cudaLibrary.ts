/** Where the shared library of the CUDA backend may be. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from './native';

const fileName = 'libkindling_cuda.so';

/** The optional package that brings the library for this machine; it exports the library's path. */
const packageName = `kindling-cuda-${process.platform}-${process.arch}`;

/** Folders of a checkout that builds put it in. */
const buildFolders = ['build/cuda', 'build/Release'];

function fromPackage(): string | null {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the package is optional and found at run time
    const found: unknown = require(packageName);
    return typeof found === 'string' ? found : null;
  } catch {
    return null;
  }
}

/** The files to try, in their order. KINDLING_CUDA_LIBRARY leaves no other choice. */
export function cudaLibraries(): string[] {
  const { KINDLING_CUDA_LIBRARY: given } = process.env;
  if (given !== undefined && given !== '') return [path.resolve(given)];
  const packaged = fromPackage();
  const built = buildFolders.map((folder) => path.join(packageRoot(), folder, fileName));
  return [...(packaged === null ? [] : [packaged]), ...built.filter((file) => existsSync(file))];
}

/** What to say where there is no file to try. */
export function missingLibrary(): string {
  return `install ${packageName}, or set KINDLING_CUDA_LIBRARY to the path of ${fileName}`;
}

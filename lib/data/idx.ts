/** The idx format of MNIST: a typed array with its shape, big-endian, often gzipped. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { constants, gunzipSync, type ZlibOptions } from 'node:zlib';
import { DataError } from './errors';

interface IdxArrays {
  uint8: Uint8Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** The contents of an idx file. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly dtype: keyof IdxArrays;
  readonly data: IdxArrays[keyof IdxArrays];
}

interface ElementType {
  readonly dtype: keyof IdxArrays;
  readonly bytes: number;
  readonly view: (buffer: ArrayBuffer) => IdxArrays[keyof IdxArrays];
}

const elementTypes: Readonly<Record<number, ElementType>> = {
  0x08: { dtype: 'uint8', bytes: 1, view: (buffer) => new Uint8Array(buffer) },
  0x09: { dtype: 'int8', bytes: 1, view: (buffer) => new Int8Array(buffer) },
  0x0b: { dtype: 'int16', bytes: 2, view: (buffer) => new Int16Array(buffer) },
  0x0c: { dtype: 'int32', bytes: 4, view: (buffer) => new Int32Array(buffer) },
  0x0d: { dtype: 'float32', bytes: 4, view: (buffer) => new Float32Array(buffer) },
  0x0e: { dtype: 'float64', bytes: 8, view: (buffer) => new Float64Array(buffer) },
};

/** A file that claims more is not read: 4 GB, the most that one Node buffer surely holds. */
const maxBytes = 2 ** 32;

interface Header {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly dataBytes: number;
}

function readHeader(bytes: Uint8Array, name: string): Header {
  if (bytes.length < 4) throw new DataError(`${name}: not an idx file: ${bytes.length} bytes are no header`);
  if (bytes[0] !== 0 || bytes[1] !== 0) {
    throw new DataError(`${name}: not an idx file: it must begin with two zero bytes`);
  }
  if (!Object.hasOwn(elementTypes, bytes[2])) {
    throw new DataError(`${name}: unknown idx element type 0x${bytes[2].toString(16).padStart(2, '0')}`);
  }
  const type = elementTypes[bytes[2]];
  const rank = bytes[3];
  const start = 4 + 4 * rank;
  if (bytes.length < start) {
    throw new DataError(`${name}: truncated header: ${rank} dimensions need ${start} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const dataBytes = shape.reduce((product, extent) => product * extent, type.bytes);
  if (dataBytes > maxBytes) {
    throw new DataError(`${name}: shape [${shape.join(',')}] claims ${dataBytes} bytes, more than ${maxBytes}`);
  }
  return { type, shape, start, dataBytes };
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacks no more than the header says there is, so that a small file cannot fill the memory. */
function unpack(bytes: Uint8Array, name: string): Uint8Array {
  const inflate = (packed: Uint8Array, options: ZlibOptions): Uint8Array => {
    try {
      return gunzipSync(packed, options);
    } catch (cause) {
      const tooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      const what = tooLong ? 'trailing bytes' : 'damaged gzip data';
      throw new DataError(`${name}: ${what}: ${(cause as Error).message}`, { cause });
    }
  };
  // A kilobyte of deflate data never unpacks to more than 1032 times its size.
  const head = inflate(bytes.subarray(0, 1024), { finishFlush: constants.Z_SYNC_FLUSH });
  const { start, dataBytes } = readHeader(head, name);
  return inflate(bytes, { maxOutputLength: Math.max(1, start + dataBytes) });
}

/**
 * Reads idx data, plain or gzipped.
 * @param name stands in error messages; default 'idx data'
 * @throws DataError naming the rule broken: a wrong magic number or type, truncated or trailing bytes.
 */
export function parseIdx(bytes: Uint8Array, name = 'idx data'): IdxArray {
  const plain = isGzip(bytes) ? unpack(bytes, name) : bytes;
  const { type, shape, start, dataBytes } = readHeader(plain, name);
  const got = plain.length - start;
  if (got !== dataBytes) {
    const what = got < dataBytes ? 'truncated' : 'trailing bytes';
    throw new DataError(
      `${name}: ${what}: ${type.dtype} [${shape.join(',')}] needs ${dataBytes} bytes of data, got ${got}`,
    );
  }
  // A copy of its own: the caller's bytes stay as they are, and the elements are aligned.
  const own = new ArrayBuffer(dataBytes);
  const element = Buffer.from(own);
  element.set(plain.subarray(start));
  if (type.bytes === 2) element.swap16();
  else if (type.bytes === 4) element.swap32();
  else if (type.bytes === 8) element.swap64();
  return { shape, dtype: type.dtype, data: type.view(own) };
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DataError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** A number would be a file descriptor, of a terminal perhaps: reading it could wait for ever. */
function checkPath(op: string, path: unknown): void {
  if (typeof path !== 'string') throw new TypeError(`${op}: the path must be a string, got ${typeof path}`);
}

/** Reads an idx file, plain or gzipped: which of the two is seen from its contents. */
export function readIdxSync(path: string): IdxArray {
  checkPath('readIdxSync', path);
  const bytes = readable(path, () => readFileSync(path));
  return parseIdx(bytes, path);
}

/** {@link readIdxSync} without blocking while the file is read. */
export async function readIdx(path: string): Promise<IdxArray> {
  checkPath('readIdx', path);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new DataError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  return parseIdx(bytes, path);
}

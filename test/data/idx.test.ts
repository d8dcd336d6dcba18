import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { data } from '../../lib';
import { loadMnistFiles } from '../../lib/data/mnist';

const { parseIdx, readIdx, readIdxSync, DataError } = data;

function idx(type: number, shape: number[], body: number[] | Uint8Array): Buffer {
  const sizes = shape.flatMap((extent) => [extent >>> 24, (extent >>> 16) & 255, (extent >>> 8) & 255, extent & 255]);
  return Buffer.from([0, 0, type, shape.length, ...sizes, ...body]);
}

const noise = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => Math.imul(i, 2654435761) >>> 24);
const halved = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kindling-idx-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, contents: Uint8Array): string {
  const full = path.join(folder, name);
  writeFileSync(full, contents);
  return full;
}

describe('parseIdx', () => {
  test.each([
    ['uint8', 0x08, [1, 255], [1, 255]],
    ['int8', 0x09, [1, 255], [1, -1]],
    ['int16', 0x0b, [1, 2, 255, 254], [258, -2]],
    ['int32', 0x0c, [0, 0, 1, 0, 255, 255, 255, 255], [256, -1]],
    ['float32', 0x0d, [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], [1, -2]],
    ['float64', 0x0e, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0], [1, -2]],
  ])('%s, big-endian', (dtype, type, bytes, expected) => {
    const array = parseIdx(idx(type, [2], bytes));
    expect(array.dtype).toBe(dtype);
    expect(Array.from(array.data)).toEqual(expected);
  });

  test('leaves the bytes it was given alone', () => {
    const bytes = idx(0x0b, [2], [1, 2, 3, 4]);
    const before = Buffer.from(bytes);
    parseIdx(bytes);
    expect(bytes.equals(before)).toBe(true);
  });

  test('shapes, empty and scalar ones too', () => {
    expect(parseIdx(idx(8, [2, 3], [1, 2, 3, 4, 5, 6])).shape).toEqual([2, 3]);
    expect(parseIdx(idx(8, [0, 28], [])).data).toHaveLength(0);
    expect(parseIdx(idx(8, [], [7])).data[0]).toBe(7);
  });

  test('gzip is seen from the contents', async () => {
    const packed = file('packed-without-suffix', gzipSync(idx(8, [3], [1, 2, 3])));
    expect(Array.from(readIdxSync(packed).data)).toEqual([1, 2, 3]);
    expect(Array.from((await readIdx(packed)).data)).toEqual([1, 2, 3]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['no bytes', Buffer.alloc(0), /0 bytes are no header/],
    ['text', Buffer.from('hello, world'), /two zero bytes/],
    ['an unknown type', idx(0x0a, [1], [0]), /unknown idx element type 0x0a/],
    ['a truncated header', Buffer.from([0, 0, 8, 3, 0, 0]), /truncated header: 3 dimensions need 16 bytes, got 6/],
    ['missing data', idx(8, [4], [1, 2, 3]), /truncated: uint8 \[4\] needs 4 bytes of data, got 3/],
    ['trailing data', idx(8, [1], [1, 2]), /trailing bytes: uint8 \[1\] needs 1 bytes of data, got 2/],
    ['sizes that overflow', idx(8, [0xffffffff, 0xffffffff, 0xffffffff], []), /claims .* bytes, more than/],
    [
      'a damaged archive',
      Buffer.concat([gzipSync(idx(8, [2000], new Uint8Array(2000))).subarray(0, 20)]),
      /truncated|damaged/,
    ],
    ['an archive of more than the header says', gzipSync(idx(8, [2], new Uint8Array(1 << 20))), /trailing bytes/],
    ['half an archive', halved(gzipSync(idx(8, [9999], noise(9999)))), /damaged gzip data/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseIdx(bytes, 'some.file')).toThrow(message);
    expect(() => parseIdx(bytes, 'some.file')).toThrow(DataError);
    expect(() => parseIdx(bytes, 'some.file')).toThrow(/^some\.file: /);
  });

  test('a file that is not there is named', async () => {
    expect(() => readIdxSync('/no/such/file')).toThrow(/^\/no\/such\/file: cannot be read/);
    await expect(readIdx('/no/such/file')).rejects.toThrow(DataError);
  });
});

describe('mnist files', () => {
  const write = (images: Buffer, labels: Buffer): void => {
    for (const part of ['train', 't10k']) {
      file(`${part}-images-idx3-ubyte.gz`, gzipSync(images));
      file(`${part}-labels.idx1-ubyte`, labels);
    }
  };

  test('are found under their usual names, packed or not', () => {
    write(idx(8, [2, 1, 2], [0, 255, 51, 0]), idx(8, [2], [3, 9]));
    const { train, test: held } = data.mnist({ dir: folder });
    expect(train.length).toBe(2);
    expect(train.x.shape).toEqual([2, 1, 2]);
    expect((train.x.toArray() as number[][][])[1][0][0]).toBeCloseTo(0.2, 6);
    expect(held.y.toArray()).toEqual([3, 9]);
    expect(held.y.dtype).toBe('int32');
  });

  test('are checked against each other', () => {
    write(idx(8, [2, 1, 1], [0, 0]), idx(8, [3], [0, 0, 0]));
    expect(() => loadMnistFiles({ dir: folder })).toThrow(/3 labels for 2 images/);
    write(idx(8, [2, 1], [0, 0]), idx(8, [2], [0, 0]));
    expect(() => loadMnistFiles({ dir: folder })).toThrow(
      /expected uint8 images \[n, height, width\], got uint8 \[2,1\]/,
    );
    write(idx(8, [1, 1, 1], [0]), idx(0x0c, [1], [0, 0, 0, 0]));
    expect(() => loadMnistFiles({ dir: folder })).toThrow(/expected uint8 labels \[n\], got int32/);
  });

  test('a folder without them is named', () => {
    expect(() => loadMnistFiles({ dir: path.join(folder, 'nowhere') })).toThrow(/there is no folder .*nowhere/);
  });

  test('the real ones are the well-known digits', () => {
    const { train, test: held } = loadMnistFiles();
    expect(train.images.shape).toEqual([60000, 28, 28]);
    expect(held.images.shape).toEqual([10000, 28, 28]);
    expect(Array.from(train.labels.data.slice(0, 5))).toEqual([5, 0, 4, 1, 9]);
    expect(Array.from(held.labels.data.slice(0, 5))).toEqual([7, 2, 1, 0, 4]);
  });
});

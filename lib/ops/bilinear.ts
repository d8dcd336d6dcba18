import { ShapeError } from '../errors';
import { formatShape, sizeOf } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add } from './binary';
import { einsum } from './einsum';
import { requireFloat } from './reduce';
import { reshape } from './views';

/**
 * y[o] = aᵀ·W[o]·b + bias[o] over the last axes.
 * @param a float [..., in1]
 * @param b float [..., in2], with a's leading axes
 * @param weight [out, in1, in2]
 * @param bias [out], or null
 * @throws ShapeError naming what does not fit.
 */
export function bilinear(a: AnyTensor, b: AnyTensor, weight: AnyTensor, bias: AnyTensor | null = null): Tensor {
  const x = requireFloat('bilinear', 'a', a);
  const y = requireFloat('bilinear', 'b', b);
  const w = requireFloat('bilinear', 'weight', weight);
  const lead = x.shape.slice(0, -1);
  const fits =
    w.rank === 3 &&
    x.rank > 0 &&
    x.rank === y.rank &&
    formatShape(lead) === formatShape(y.shape.slice(0, -1)) &&
    x.shape[x.rank - 1] === w.shape[1] &&
    y.shape[y.rank - 1] === w.shape[2];
  if (!fits) {
    throw new ShapeError(
      `bilinear: a ${formatShape(x.shape)} and b ${formatShape(y.shape)} do not fit weight ${formatShape(w.shape)}: ` +
        'expected [..., in1], [..., in2] and [out, in1, in2]',
    );
  }
  const rows = sizeOf(lead);
  const product = einsum('ni,oij,nj->no', reshape(x, [rows, w.shape[1]]), w, reshape(y, [rows, w.shape[2]]));
  const out = reshape(product, [...lead, w.shape[0]]);
  if (bias === null) return out;
  const shift = requireFloat('bilinear', 'bias', bias);
  if (shift.rank !== 1 || shift.size !== w.shape[0]) {
    throw new ShapeError(`bilinear: bias ${formatShape(shift.shape)} must be [${String(w.shape[0])}]`);
  }
  return add(out, shift);
}

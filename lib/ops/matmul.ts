/** Matrix products. */
import { isRecording, record } from '../autograd/node';
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { broadcastShapes, formatShape, sizeOf, type Shape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { type AnyTensor } from '../tensor/tensor';
import { requireFloating, requireSame, sum } from './reduce';
import { run } from './run';
import { expand, reshape, transpose, unsqueeze } from './views';

function dot(a: Tensor, b: Tensor): Tensor {
  return reshape(matmul(unsqueeze(a, 0), unsqueeze(b, 1)), []);
}

function batchOf(x: Tensor): Shape {
  return x.shape.slice(0, -2);
}

/**
 * The matrix product of the last two axes; the axes before them are batches and broadcast. A vector
 * counts as a row on the left and as a column on the right, and its axis is removed again.
 * Operands of float16 or bfloat16 are multiplied and summed in float32; the result is rounded to their dtype.
 * @throws ShapeError if the inner dimensions differ; DTypeError unless both have one floating-point dtype.
 */
export function matmul(a: AnyTensor, b: AnyTensor): Tensor {
  const x = requireFloating('matmul', 'a', a);
  const y = requireFloating('matmul', 'b', b);
  requireSame('matmul', x, y);
  if (x.rank === 0 || y.rank === 0) {
    throw new ShapeError(`matmul: a scalar is no matrix: ${formatShape(x.shape)} × ${formatShape(y.shape)}`);
  }
  const inner = y.shape[Math.max(0, y.rank - 2)];
  if (x.shape[x.rank - 1] !== inner) {
    throw new ShapeError(`matmul: inner dimensions differ: ${formatShape(x.shape)} × ${formatShape(y.shape)}`);
  }
  if (x.rank === 1 && y.rank === 1) return dot(x, y);
  if (x.rank === 1) return squeezeAt(matmul(unsqueeze(x, 0), y), -2);
  if (y.rank === 1) return squeezeAt(matmul(x, unsqueeze(y, 1)), -1);
  if (x.rank === 2 && y.rank === 2) return product(x, y);
  const batch = broadcastShapes('matmul', batchOf(x), batchOf(y));
  return product(toFullBatch(x, batch), toFullBatch(y, batch));
}

function toFullBatch(x: Tensor, batch: Shape): Tensor {
  const wide = [...batch, ...x.shape.slice(-2)];
  return wide.length === x.rank && wide.every((extent, i) => extent === x.shape[i]) ? x : expand(x, wide);
}

function squeezeAt(x: Tensor, axis: number): Tensor {
  const at = axis + x.rank;
  return reshape(
    x,
    x.shape.filter((_, i) => i !== at),
  );
}

/** Operands of one rank with equal batch axes. */
function product(x: Tensor, y: Tensor): Tensor {
  const shape = [...x.shape.slice(0, -1), y.shape[y.rank - 1]];
  const out = run('matmul', [x, y], shape, x.dtype);
  if (isRecording(x, y)) {
    record('matmul', out, [x, y], [x, y], (grad, { saved, needs }) => {
      const [left, right] = saved as Tensor[];
      return [needs[0] ? product(grad, transpose(right)) : null, needs[1] ? product(transpose(left), grad) : null];
    });
  }
  return out;
}

/** `x` with all axes but the last merged into rows. */
function rows(x: Tensor): Tensor {
  return x.rank === 2 ? x : reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]]);
}

/**
 * `x · weightᵀ + bias` over the last axis: a fully connected layer. float16 and bfloat16 are summed in float32, the
 * bias included, and rounded once.
 * @param x shape [..., inFeatures]
 * @param weight shape [outFeatures, inFeatures], as PyTorch keeps it
 * @param bias shape [outFeatures], or null for none
 * @returns shape [..., outFeatures]
 */
export function linear(x: AnyTensor, weight: AnyTensor, bias: AnyTensor | null = null): Tensor {
  const input = requireFloating('linear', 'x', x);
  const w = requireFloating('linear', 'weight', weight);
  requireSame('linear', input, w);
  if (w.rank !== 2 || input.rank === 0 || input.shape[input.rank - 1] !== w.shape[1]) {
    throw new ShapeError(
      `linear: x ${formatShape(input.shape)} does not fit weight ${formatShape(w.shape)}: ` +
        'the last axis of x must be the second of a [out, in] weight',
    );
  }
  if (bias === null) return matmul(input, transpose(w));
  const b = requireFloating('linear', 'bias', bias);
  requireSame('linear', input, b);
  if (b.rank !== 1 || b.size !== w.shape[0]) {
    throw new ShapeError(
      `linear: bias ${formatShape(b.shape)} does not fit weight ${formatShape(w.shape)}: expected [${String(w.shape[0])}]`,
    );
  }
  const out = run('linear', [input, w, b], [...input.shape.slice(0, -1), w.shape[0]], input.dtype);
  if (isRecording(input, w, b)) {
    record('linear', out, [input, w, b], [input, w], (grad, { saved, needs }) => {
      const [inputSaved, wSaved] = saved as Tensor[];
      const flat = rows(grad);
      return [
        needs[0] ? reshape(matmul(flat, wSaved), inputSaved.shape) : null,
        needs[1] ? matmul(transpose(flat), rows(inputSaved)) : null,
        needs[2] ? sum(flat, 0) : null,
      ];
    });
  }
  return out;
}

declare module '../tensor/tensor' {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- a merged interface repeats the parameters
  interface Tensor<D extends DType = 'float32'> {
    /** {@link matmul} */
    matmul(other: AnyTensor): Tensor;
  }
}
defineMethods({ matmul });

/** Copies: contiguous layout, other dtypes, rows by index, concatenation. */
import { isRecording, record } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { checkDType, isFloat, type DType } from '../tensor/dtype';
import { checkAxis, formatShape, type Shape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { tensorHooks, type AnyTensor } from '../tensor/tensor';
import { checkTensor } from './define';
import { run } from './run';
import { slice } from './views';

/** A copy in memory of its own, in row-major order. */
export function clone<D extends DType>(x: Tensor<D>): Tensor<D> {
  checkTensor('clone', x);
  const out = run('copy', [x], x.shape, x.dtype);
  if (isRecording(x)) record('clone', out, [x], [], (grad) => [grad]);
  return out;
}

/** `x` itself if it is row-major without gaps, else a copy that is. */
export function contiguous<D extends DType>(x: Tensor<D>): Tensor<D> {
  checkTensor('contiguous', x);
  return x.isContiguous ? x : clone(x);
}
tensorHooks.contiguous = contiguous;

/**
 * The elements as another dtype. A float becomes an integer toward zero and saturates, NaN becomes 0;
 * integers wrap; anything but 0 is true; halves round to nearest. Between floats gradients flow through.
 * Returns `x` itself if it has the dtype already.
 */
export function cast<E extends DType>(x: AnyTensor, dtype: E): Tensor<E> {
  checkTensor('cast', x);
  checkDType('cast', dtype);
  if (x.dtype === dtype) return x as unknown as Tensor<E>;
  const out = run('cast', [x], x.shape, dtype);
  if (isFloat(dtype) && isRecording(x)) {
    const { dtype: before } = x;
    record('cast', out, [x], [], (grad) => [cast(grad, before) as Tensor]);
  }
  return out;
}
tensorHooks.cast = cast;

/** @internal The rows of `x` that `index` names; see indexSelect. */
export function indexRows<D extends DType>(x: Tensor<D>, index: Tensor<'int32'>): Tensor<D> {
  const out = run('indexSelect', [x, index], [index.size, ...x.shape.slice(1)], x.dtype);
  if (isRecording(x)) {
    const { shape } = x;
    record('indexSelect', out, [x], [index], (grad, { saved }) => [addRows(grad, saved[0] as Tensor<'int32'>, shape)]);
  }
  return out;
}

/** @internal Zeros of `shape` to whose rows those of `grad` are added: the gradient of {@link indexRows}. */
export function addRows(grad: Tensor, index: Tensor<'int32'>, shape: Shape): Tensor {
  const out = run('indexAdd', [grad, index], shape, grad.dtype);
  if (isRecording(grad)) {
    record('indexAdd', out, [grad], [index], (second, { saved }) => [indexRows(second, saved[0] as Tensor<'int32'>)]);
  }
  return out;
}

function concatTwo<D extends DType>(a: Tensor<D>, b: Tensor<D>, axis: number): Tensor<D> {
  const shape = a.shape.map((extent, i) => (i === axis ? extent + b.shape[i] : extent));
  const out = run('concat', [a, b], shape, a.dtype, [axis]);
  if (isRecording(a, b)) {
    const at = a.shape[axis];
    const part = (grad: Tensor, from: number, to: number | null): Tensor =>
      slice(grad, ...shape.slice(0, axis + 1).map((_, i) => (i === axis ? ([from, to] as const) : null)));
    record('concat', out, [a, b], [], (grad) => [part(grad, 0, at), part(grad, at, null)]);
  }
  return out;
}

/**
 * Tensors of one dtype joined along an existing axis; the other extents must agree.
 * @throws ShapeError naming the tensor that does not fit.
 */
export function concat<D extends DType>(tensors: readonly Tensor<D>[], axis = 0): Tensor<D> {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ShapeError('concat: needs at least one tensor');
  }
  const [first, ...rest] = tensors as readonly Tensor<D>[];
  checkTensor('concat', first);
  const joined = checkAxis('concat', axis, first.rank);
  rest.forEach((tensor, i) => {
    checkTensor('concat', tensor);
    if (tensor.dtype !== first.dtype) {
      throw new DTypeError(`concat: tensor ${String(i + 1)} is ${tensor.dtype}, the first ${first.dtype}`);
    }
    const fits =
      tensor.rank === first.rank && tensor.shape.every((extent, j) => j === joined || extent === first.shape[j]);
    if (!fits) {
      throw new ShapeError(
        `concat: tensor ${String(i + 1)} has shape ${formatShape(tensor.shape)}, ` +
          `which does not fit ${formatShape(first.shape)} along axis ${String(joined)}`,
      );
    }
  });
  if (rest.length === 0) return clone(first);
  // Halves, so that n tensors are copied log n times rather than n times.
  const join = (list: readonly Tensor<D>[]): Tensor<D> => {
    if (list.length === 1) return list[0];
    const half = list.length >> 1;
    const left = join(list.slice(0, half));
    const right = join(list.slice(half));
    const out = concatTwo(left, right, joined);
    if (half > 1) left.dispose();
    if (list.length - half > 1) right.dispose();
    return out;
  };
  return join(tensors as readonly Tensor<D>[]);
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link clone} */
    clone(): Tensor<D>;
    /** {@link contiguous} */
    contiguous(): Tensor<D>;
    /** {@link cast} */
    cast<E extends DType>(dtype: E): Tensor<E>;
  }
}
defineMethods({ clone, contiguous, cast });

/** Reductions made of others: variance, norms, the logarithm of a sum of powers. */
import { isRecording, record } from '../autograd/node';
import type { DType, FloatOf } from '../tensor/dtype';
import { floatOf } from '../tensor/dtype';
import { axesMask, checkNumber, reducedShape, type Shape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { abs, exp, log, sqrt, square } from './unary';
import { add, div, mul, pow, sub } from './binary';
import { equal, notEqual, where } from './compare';
import { cast } from './copies';
import { checkTensor } from './define';
import { max, mean, min, sum, type Axes, type ReduceOptions } from './reduce';
import { reshape } from './views';

function asFloat(op: string, x: AnyTensor): Tensor {
  checkTensor(op, x);
  return cast(x, floatOf(x.dtype)) as Tensor;
}

function axesOf(op: string, axes: Axes | undefined, rank: number): number[] {
  const mask = axesMask(op, axes, rank);
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => (mask >> axis) & 1);
}

function countOf(shape: Shape, axes: readonly number[]): number {
  return axes.reduce((product, axis) => product * shape[axis], 1);
}

/** `x` without its reduced axes, or with them. */
function settle(x: Tensor, full: Shape, axes: readonly number[], keepDims: boolean): Tensor {
  if (keepDims || axes.length === 0) return x;
  return reshape(
    x,
    full.filter((_, axis) => !axes.includes(axis)),
  );
}

/** Options of {@link variance} and {@link std}. */
export interface VarianceOptions extends ReduceOptions {
  /** The divisor is the count less this. Default 1, Bessel's correction; 0 for the plain mean square. */
  correction?: number;
}

/**
 * The variance over `axes` (default all), in two passes; NaN where the divisor is 0. Integers become float32.
 * @throws RangeError for an axis out of range or a correction that is NaN.
 */
export function variance<D extends DType>(
  x: Tensor<D>,
  axes?: Axes,
  options: VarianceOptions = {},
): Tensor<FloatOf<D>> {
  const input = asFloat('variance', x);
  const { correction = 1, keepDims = false } = options;
  checkNumber('variance', 'correction', correction);
  const over = axesOf('variance', axes, input.rank);
  const divisor = Math.max(0, countOf(input.shape, over) - correction);
  const squares = square(sub(input, mean(input, over, { keepDims: true })));
  return div(sum(squares, over, { keepDims }), divisor) as Tensor<FloatOf<D>>;
}

/** The square root of the {@link variance}. */
export function std<D extends DType>(x: Tensor<D>, axes?: Axes, options: VarianceOptions = {}): Tensor<FloatOf<D>> {
  return safeRoot(variance(x, axes, options) as Tensor) as Tensor<FloatOf<D>>;
}

/** √x with a gradient of 0, not of infinity, at 0. */
function safeRoot(x: Tensor): Tensor {
  const root = sqrt(x.detach());
  if (!isRecording(x)) return root;
  record('sqrt', root, [x], [root], (grad, { saved }) => {
    const [y] = saved as Tensor[];
    const isZero = equal(y, 0);
    return [where(isZero, 0, div(mul(grad, 0.5), where(isZero, 1, y)))];
  });
  return root;
}

/** Options of {@link norm}. */
export interface NormOptions extends ReduceOptions {
  /** The order: 2 (default), 1, any other number, Infinity, -Infinity, or 0 for the count of non-zeros. */
  p?: number;
}

/** The vector norm (Σ |x|^p)^(1/p) over `axes` (default all). Its gradient at 0 is 0. */
export function norm<D extends DType>(x: Tensor<D>, axes?: Axes, options: NormOptions = {}): Tensor<FloatOf<D>> {
  const input = asFloat('norm', x);
  const { p = 2, keepDims = false } = options;
  checkNumber('norm', 'p', p);
  const over = axesOf('norm', axes, input.rank);
  return normOf(input, p, over, keepDims) as Tensor<FloatOf<D>>;
}

function normOf(x: Tensor, p: number, axes: readonly number[], keepDims: boolean): Tensor {
  const reduced = { keepDims };
  if (p === 2) return safeRoot(sum(square(x), axes, reduced));
  if (p === 1) return sum(abs(x), axes, reduced);
  if (p === Infinity) return max(abs(x), axes, reduced);
  if (p === -Infinity) return min(abs(x), axes, reduced);
  if (p === 0) return sum(cast(notEqual(x, 0), x.dtype) as Tensor, axes, reduced);
  return pow(sum(pow(abs(x), p), axes, reduced), 1 / p);
}

/** log Σ e^x over `axes` (default all), shifted by the maximum so that it does not overflow. */
export function logSumExp<D extends DType>(x: Tensor<D>, axes?: Axes, options: ReduceOptions = {}): Tensor<FloatOf<D>> {
  const input = asFloat('logSumExp', x);
  const over = axesOf('logSumExp', axes, input.rank);
  const shape = reducedShape(input.shape, axesMask('logSumExp', axes, input.rank), true);
  if (input.size === 0) return log(sum(exp(input), over, options)) as Tensor<FloatOf<D>>;
  const top = max(input.detach(), over, { keepDims: true });
  // Infinite maxima must not make NaN of ∞ - ∞.
  const shift = where(top.isFinite(), top, 0);
  const total = add(log(sum(exp(sub(input, shift)), over, { keepDims: true })), shift);
  return settle(total, shape, over, options.keepDims ?? false) as Tensor<FloatOf<D>>;
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link variance} */
    variance(axes?: Axes, options?: VarianceOptions): Tensor<FloatOf<D>>;
    /** {@link std} */
    std(axes?: Axes, options?: VarianceOptions): Tensor<FloatOf<D>>;
    /** {@link norm} */
    norm(axes?: Axes, options?: NormOptions): Tensor<FloatOf<D>>;
    /** {@link logSumExp} */
    logSumExp(axes?: Axes, options?: ReduceOptions): Tensor<FloatOf<D>>;
  }
}
defineMethods({ variance, std, norm, logSumExp });

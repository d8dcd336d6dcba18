/** Norms, and what rests on the singular values: rank, pseudo-inverse, least squares. */
import { isRecording, noGrad, record } from '../../autograd/node';
import { ShapeError } from '../../errors';
import type { DType, FloatOf } from '../../tensor/dtype';
import { checkAxis, checkNumber, describe, formatShape } from '../../tensor/shape';
import type { Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { abs, div, equal, greater, maximum, mul, neg, notEqual, pow, sqrt, square, sub, where } from '../elementwise';
import { matmul } from '../matmul';
import { max, min, requireFloat, requireSame, sum, type ReduceOptions } from '../reduce';
import { permute, transpose, unsqueeze } from '../views';
import { checkFlag, colsOf, requireMatrix, rowsOf } from './common';
import { decompose, singularValues } from './decompose';

/** Options of {@link vectorNorm}. */
export interface VectorNormOptions {
  /** Which norm: any number, Infinity and -Infinity included. Default 2. */
  ord?: number;
  /** The axes that make up a vector; default all of them. */
  axes?: number | readonly number[];
  /** Leave the reduced axes in the shape, with extent 1. Default false. */
  keepDims?: boolean;
}

/**
 * The norm (Σ|x|^ord)^(1/ord) of vectors; the largest |x| for Infinity, the smallest for -Infinity, the number of
 * elements that are not 0 for 0.
 * @param x any shape; the vectors' axes are flattened
 * @throws RangeError unless `ord` is a number and for bad axes; ShapeError for an infinite norm of no elements.
 * The gradient of the 2-norm at 0 is 0, as in PyTorch.
 */
export function vectorNorm<D extends DType>(x: Tensor<D>, options: VectorNormOptions = {}): Tensor<FloatOf<D>> {
  const op = 'vectorNorm';
  const given = requireFloat(op, 'x', x);
  const ord = checkNumber(op, 'ord', options.ord ?? 2);
  const keepDims = checkFlag(op, 'keepDims', options.keepDims, false);
  return reduceNorm(given, ord, options.axes, { keepDims }) as Tensor<FloatOf<D>>;
}

type Axes = number | readonly number[] | undefined;

function reduceNorm(x: Tensor, ord: number, axes: Axes, options: ReduceOptions): Tensor {
  if (ord === Infinity) return max(abs(x), axes, options);
  if (ord === -Infinity) return min(abs(x), axes, options);
  if (ord === 0) return sum(cast(notEqual(x, 0), x.dtype), axes, options);
  if (ord === 1) return sum(abs(x), axes, options);
  if (ord === 2) return rootOf(sum(square(x), axes, options), (y) => sqrt(y));
  return rootOf(sum(pow(abs(x), ord), axes, options), (y) => pow(y, 1 / ord));
}

/** A root whose gradient at 0 is 0 instead of infinite. */
function rootOf(total: Tensor, root: (y: Tensor) => Tensor): Tensor {
  const isZero = equal(total, 0);
  const value = root(where(isZero, 1, total));
  return where(isZero, 0, value);
}

/** The matrix norms by name; the numbers are 1, -1, 2, -2, Infinity and -Infinity. */
export type MatrixOrd = 'fro' | 'nuc' | number;

/** Options of {@link matrixNorm}. */
export interface MatrixNormOptions {
  /**
   * 'fro' (default): the root of the sum of squares; 'nuc': the sum of the singular values; 2 or -2: the largest or
   * smallest of them; 1 or -1: the largest or smallest column sum of |x|; Infinity or -Infinity: of the row sums.
   */
  ord?: MatrixOrd;
  /** The axes of rows and columns; default the last two. */
  axes?: readonly [number, number];
  /** Leave the two axes in the shape, with extent 1. Default false. */
  keepDims?: boolean;
}

/**
 * The norm of matrices.
 * @param x shape [..., m, n]
 * @throws ShapeError below rank 2; RangeError for another `ord` or bad axes; LinAlgError for NaN where singular values
 * are needed.
 */
export function matrixNorm<D extends DType>(x: Tensor<D>, options: MatrixNormOptions = {}): Tensor<FloatOf<D>> {
  const op = 'matrixNorm';
  const given = requireMatrix(op, 'x', x);
  const keepDims = checkFlag(op, 'keepDims', options.keepDims, false);
  const ord = options.ord ?? 'fro';
  const axes: unknown = options.axes ?? [-2, -1];
  if (!Array.isArray(axes) || axes.length !== 2) throw new RangeError(`${op}: axes must be two axes`);
  const [rows, cols] = axes.map((axis) => checkAxis(op, axis, given.rank));
  if (rows === cols) throw new RangeError(`${op}: axes must be two different axes, got ${String(rows)} twice`);
  const kept = given.shape.map((_, axis) => axis).filter((axis) => axis !== rows && axis !== cols);
  const result = normOfMatrix(op, permute(given, [...kept, rows, cols]), ord);
  if (!keepDims) return result as Tensor<FloatOf<D>>;
  const [first, second] = rows < cols ? [rows, cols] : [cols, rows];
  return unsqueeze(unsqueeze(result, first), second) as Tensor<FloatOf<D>>;
}

function normOfMatrix(op: string, x: Tensor, ord: unknown): Tensor {
  switch (ord) {
    case 'fro':
      return reduceNorm(x, 2, [-2, -1], {});
    case 'nuc':
      return sum(singularValues(x), -1);
    case 2:
      return max(singularValues(x), -1);
    case -2:
      return min(singularValues(x), -1);
    case 1:
      return max(sum(abs(x), -2), -1);
    case -1:
      return min(sum(abs(x), -2), -1);
    case Infinity:
      return max(sum(abs(x), -1), -1);
    case -Infinity:
      return min(sum(abs(x), -1), -1);
    default:
      throw new RangeError(`${op}: ord must be 'fro', 'nuc', 1, -1, 2, -2, Infinity or -Infinity, got ${String(ord)}`);
  }
}

/** Options of {@link norm}. */
export interface NormOptions {
  /** A vector norm's number, or a matrix norm's name or number. Default: the 2-norm of all elements. */
  ord?: MatrixOrd;
  /** One axis for vectors, two for matrices. Default: all elements as one vector, or with `ord` as `x`'s rank says. */
  axes?: number | readonly number[];
  /** Leave the reduced axes in the shape, with extent 1. Default false. */
  keepDims?: boolean;
}

/**
 * A vector or a matrix norm, by the number of axes: see {@link vectorNorm} and {@link matrixNorm}. Without `ord` it is
 * the 2-norm over `axes`, however many; with `ord` and without `axes`, `x` must be a vector or a matrix.
 * @throws as these; ShapeError where `ord` is given without `axes` for another rank.
 */
export function norm<D extends DType>(x: Tensor<D>, options: NormOptions = {}): Tensor<FloatOf<D>> {
  const given = requireFloat('norm', 'x', x);
  const { ord, axes, keepDims } = options;
  if (ord === undefined) return vectorNorm(given, { axes, keepDims }) as Tensor<FloatOf<D>>;
  if (axes === undefined && given.rank !== 1 && given.rank !== 2) {
    throw new ShapeError(
      `norm: with ord and without axes, x must be a vector or a matrix, got ${formatShape(given.shape)}`,
    );
  }
  const list: readonly number[] = axes === undefined ? given.shape.map((_, axis) => axis) : [axes].flat();
  if (list.length === 2) {
    return matrixNorm(given, { ord, axes: [list[0], list[1]], keepDims }) as Tensor<FloatOf<D>>;
  }
  if (typeof ord !== 'number') throw new RangeError(`norm: ord ${describe(ord)} needs two axes`);
  return vectorNorm(given, { ord, axes, keepDims }) as Tensor<FloatOf<D>>;
}

/** Options of {@link matrixRank} and {@link pinv}. */
export interface ToleranceOptions {
  /** Singular values up to `rtol` times the largest count as 0. Default max(m, n) · ε of the dtype. */
  rtol?: number;
  /** Singular values up to this count as 0. Default 0; where it is given and `rtol` is not, `rtol` is 0. */
  atol?: number;
}

/** The size up to which singular values count as 0, shape [..., 1]. */
function threshold(op: string, x: Tensor, s: Tensor, options: ToleranceOptions): Tensor {
  const atol = checkNumber(op, 'atol', options.atol ?? 0, 0);
  const epsilon = x.dtype === ('float64' as DType) ? 2 ** -52 : 2 ** -23;
  const usual = atol > 0 ? 0 : Math.max(rowsOf(x), colsOf(x)) * epsilon;
  const rtol = checkNumber(op, 'rtol', options.rtol ?? usual, 0);
  return maximum(mul(max(s, -1, { keepDims: true }), rtol), atol);
}

/**
 * The number of singular values above the tolerance.
 * @param a shape [..., m, n]
 * @returns int32 of shape [...]; it has no gradient
 * @throws ShapeError below rank 2; RangeError for a negative tolerance; LinAlgError for NaN or infinite elements.
 */
export function matrixRank<D extends DType>(a: Tensor<D>, options: ToleranceOptions = {}): Tensor<'int32'> {
  const x = requireMatrix('matrixRank', 'a', a);
  return noGrad(() => {
    const s = singularValues(x);
    if (s.shape[s.rank - 1] === 0) return sum(cast(s, 'int32'), -1);
    return sum(cast(greater(s, threshold('matrixRank', x, s, options)), 'int32'), -1);
  });
}

/**
 * The Moore-Penrose pseudo-inverse, by the singular value decomposition.
 * @param a shape [..., m, n]
 * @param options which singular values count as 0
 * @returns shape [..., n, m]
 * @throws ShapeError below rank 2; RangeError for a negative tolerance; LinAlgError for NaN or infinite elements.
 * Gradient: Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems, 1973,
 * for matrices whose rank does not change nearby.
 */
export function pinv<D extends DType>(a: Tensor<D>, options: ToleranceOptions = {}): Tensor<FloatOf<D>> {
  return pseudoInverse('pinv', requireMatrix('pinv', 'a', a), options) as Tensor<FloatOf<D>>;
}

function pseudoInverse(op: string, x: Tensor, options: ToleranceOptions): Tensor {
  const y = noGrad(() => {
    const { u, s, vh } = decompose(x, false);
    if (s.shape[s.rank - 1] === 0) return matmul(transpose(vh), transpose(u));
    const isUsed = greater(s, threshold(op, x, s, options));
    const inverted = where(isUsed, div(1, where(isUsed, s, 1)), 0);
    return matmul(mul(transpose(vh), unsqueeze(inverted, -2)), transpose(u));
  });
  if (isRecording(x)) {
    record(op, y, [x], [x, y], (grad, { saved }) => {
      const [a, b] = saved as Tensor[];
      const bT = transpose(b);
      const gT = transpose(grad);
      // b = a⁺: db = -b da b + b bᵀ daᵀ (1 - a b) + (1 - b a) daᵀ bᵀ b
      const inner = neg(matmul(matmul(bT, grad), bT));
      const right = matmul(gT, matmul(b, bT));
      const left = matmul(matmul(bT, b), gT);
      const first = sub(right, matmul(transpose(matmul(a, b)), right));
      const second = sub(left, matmul(left, transpose(matmul(b, a))));
      return [inner.add(first).add(second)];
    });
  }
  return y;
}

/**
 * The least-squares solution x of `a x = b`: of all that minimize |a x - b|, the smallest. By the pseudo-inverse, so
 * `a` may have any rank.
 * @param a shape [..., m, n]
 * @param b shape [..., m, k], with the same batch axes or such as broadcast
 * @param options which singular values count as 0
 * @returns `solution` of shape [..., n, k]
 * @throws ShapeError for shapes that do not fit; DTypeError for dtypes that differ; LinAlgError for NaN or infinite
 * elements of `a`.
 */
export function lstsq<D extends DType>(
  a: Tensor<D>,
  b: Tensor<D>,
  options: ToleranceOptions = {},
): { readonly solution: Tensor<FloatOf<D>> } {
  const x = requireMatrix('lstsq', 'a', a);
  const y = requireMatrix('lstsq', 'b', b);
  requireSame('lstsq', x, y);
  if (rowsOf(x) !== rowsOf(y)) {
    throw new ShapeError(
      `lstsq: a ${formatShape(x.shape)} does not fit b ${formatShape(y.shape)}: b must be [..., ${String(rowsOf(x))}, k]`,
    );
  }
  return { solution: matmul(pseudoInverse('lstsq', x, options), y) as Tensor<FloatOf<D>> };
}

/** Inverses, linear systems, the Cholesky factorization and determinants. */
import { isRecording, noGrad, record } from '../../autograd/node';
import { ShapeError } from '../../errors';
import type { DType, FloatOf } from '../../tensor/dtype';
import { checkInteger, formatShape, sameShape } from '../../tensor/shape';
import type { Tensor } from '../../tensor/tensor';
import { equal, mul, neg, where } from '../elementwise';
import { matmul } from '../matmul';
import { tril, triu } from '../rearrange';
import { requireFloat, requireSame } from '../reduce';
import { run } from '../run';
import { expand, slice, squeeze, transpose, unsqueeze } from '../views';
import { clone, concat } from '../copies';
import { full } from '../../tensor/creation';
import {
  batchOf,
  broadcastBatches,
  checkFlag,
  identity,
  mirrorLower,
  requireMatrix,
  requireSquare,
  rowsOf,
  runEach,
} from './common';
import { svd } from './decompose';

/**
 * The inverse of square matrices. Computed in float64 whatever the dtype, by the LU factorization with partial
 * pivoting. To multiply by an inverse, {@link solve} is faster and more accurate.
 * @param a shape [..., n, n]
 * @returns shape [..., n, n]
 * @throws ShapeError unless `a` is square; LinAlgError naming the matrix of the batch that is singular.
 * Gradient: Giles, Collected matrix derivative results for forward and reverse mode, 2008, section 2.2.3.
 */
export function inv<D extends DType>(a: Tensor<D>): Tensor<FloatOf<D>> {
  return inverse(requireSquare('inv', 'a', a)) as Tensor<FloatOf<D>>;
}

function inverse(a: Tensor): Tensor {
  const y = run('inv', [a], a.shape, a.dtype);
  if (isRecording(a)) {
    record('inv', y, [a], [y], (grad, { saved }) => {
      const yT = transpose(saved[0] as Tensor);
      return [neg(matmul(matmul(yT, grad), yT))];
    });
  }
  return y;
}

/** Whether `b` stands for one vector per matrix of `a`, by PyTorch's rule. */
function isVectorSide(a: Tensor, b: Tensor): boolean {
  return b.rank === 1 || (a.rank - 1 === b.rank && sameShape(b.shape, a.shape.slice(0, -1)));
}

function checkRightSide(op: string, a: Tensor, b: Tensor, rows: number): void {
  requireSame(op, a, b);
  if (b.rank < 2 || rows !== rowsOf(a)) {
    throw new ShapeError(
      `${op}: a ${formatShape(a.shape)} does not fit b ${formatShape(b.shape)}: ` +
        `b must be [..., ${String(rowsOf(a))}, k]`,
    );
  }
}

/**
 * The solution x of `a x = b`, by the LU factorization with partial pivoting, in float64 whatever the dtype.
 * @param a shape [..., n, n]
 * @param b shape [..., n, k]; or [n], or `a`'s shape without its last axis, for one vector per matrix. Batch axes
 * broadcast.
 * @returns shape [..., n, k], or [..., n] for vectors
 * @throws ShapeError for shapes that do not fit, DTypeError for dtypes that differ, LinAlgError naming the matrix of
 * the batch that is singular.
 * Gradient: Giles 2008, section 2.3.1.
 */
export function solve<D extends DType>(a: Tensor<D>, b: Tensor<D>): Tensor<FloatOf<D>> {
  const matrix = requireSquare('solve', 'a', a);
  const right = requireFloat('solve', 'b', b);
  const isVector = isVectorSide(matrix, right);
  const columns = isVector ? unsqueeze(right, -1) : right;
  checkRightSide('solve', matrix, columns, columns.rank < 2 ? -1 : rowsOf(columns));
  const x = solveFull(...broadcastBatches('solve', matrix, columns));
  return (isVector ? squeeze(x, -1) : x) as Tensor<FloatOf<D>>;
}

/** {@link solve} for operands with equal batch axes. */
function solveFull(a: Tensor, b: Tensor): Tensor {
  const x = run('solve', [a, b], b.shape, b.dtype);
  if (isRecording(a, b)) {
    record('solve', x, [a, b], [a, x], (grad, { saved, needs }) => {
      const [aSaved, xSaved] = saved as Tensor[];
      const toB = solveFull(transpose(aSaved), grad);
      return [needs[0] ? neg(matmul(toB, transpose(xSaved))) : null, needs[1] ? toB : null];
    });
  }
  return x;
}

/** Options of {@link solveTriangular}. */
export interface SolveTriangularOptions {
  /** Whether `a` is upper triangular; else it is lower triangular. The other triangle is not read. */
  upper: boolean;
  /** Solve `a x = b`; else `x a = b`. Default true. */
  left?: boolean;
  /** Take the diagonal of `a` as 1 without reading it. Default false. */
  unitriangular?: boolean;
}

/**
 * The solution x of `a x = b` (or `x a = b`) for a triangular `a`.
 * @param a shape [..., n, n]
 * @param b shape [..., n, k] (or [..., k, n]); batch axes broadcast
 * @returns the shape of `b` with all batch axes
 * @throws ShapeError for shapes that do not fit, DTypeError for dtypes that differ, TypeError unless `upper` is given,
 * LinAlgError for a 0 on the diagonal, where PyTorch gives infinities.
 * Gradient: Giles 2008, section 2.3.1, restricted to the triangle.
 */
export function solveTriangular<D extends DType>(
  a: Tensor<D>,
  b: Tensor<D>,
  options: SolveTriangularOptions,
): Tensor<FloatOf<D>> {
  const op = 'solveTriangular';
  const matrix = requireSquare(op, 'a', a);
  const right = requireMatrix(op, 'b', b);
  const given = options as SolveTriangularOptions | undefined;
  if (typeof given?.upper !== 'boolean') throw new TypeError(`${op}: options must say { upper: true } or false`);
  const { upper } = given;
  const left = checkFlag(op, 'left', options.left, true);
  const unit = checkFlag(op, 'unitriangular', options.unitriangular, false);
  const columns = left ? right : transpose(right);
  checkRightSide(op, matrix, columns, rowsOf(columns));
  const [full, sides] = broadcastBatches(op, matrix, columns);
  // x a = b is aᵀ xᵀ = bᵀ.
  const x = left
    ? solveTriangle(full, sides, upper, unit)
    : transpose(solveTriangle(transpose(full), sides, !upper, unit));
  return x as Tensor<FloatOf<D>>;
}

/** {@link solveTriangular} from the left for operands with equal batch axes. */
export function solveTriangle(a: Tensor, b: Tensor, upper: boolean, unit = false): Tensor {
  const x = run('solveTriangular', [a, b], b.shape, b.dtype, [Number(upper), Number(unit)]);
  if (isRecording(a, b)) {
    record('solveTriangular', x, [a, b], [a, x], (grad, { saved, needs }) => {
      const [aSaved, xSaved] = saved as Tensor[];
      const toB = solveTriangle(transpose(aSaved), grad, !upper, unit);
      const toA = (): Tensor => neg(matmul(toB, transpose(xSaved)));
      const inside = unit ? 1 : 0;
      return [needs[0] ? (upper ? triu(toA(), inside) : tril(toA(), -inside)) : null, needs[1] ? toB : null];
    });
  }
  return x;
}

/**
 * The Cholesky factor of symmetric positive definite matrices: L with `a = L Lᵀ`, or U with `a = Uᵀ U`. Computed in
 * float64 whatever the dtype.
 * @param a shape [..., n, n]; only its lower triangle is read (the upper one for `upper`)
 * @param options `upper`: default false
 * @returns shape [..., n, n], the other triangle 0
 * @throws ShapeError unless `a` is square; LinAlgError naming the matrix of the batch that is not positive definite.
 * Gradient: Murray, Differentiation of the Cholesky decomposition, 2016, section 4. It is symmetric: that of a
 * function of the symmetric matrix.
 */
export function cholesky<D extends DType>(a: Tensor<D>, options: { upper?: boolean } = {}): Tensor<FloatOf<D>> {
  const x = requireSquare('cholesky', 'a', a);
  const upper = checkFlag('cholesky', 'upper', options.upper, false);
  const y = run('cholesky', [x], x.shape, x.dtype, [Number(upper)]);
  if (isRecording(x)) {
    record('cholesky', y, [x], [y], (grad, { saved }) => {
      const factor = saved[0] as Tensor;
      return [upper ? choleskyBackward(transpose(factor), transpose(grad)) : choleskyBackward(factor, grad)];
    });
  }
  return y as Tensor<FloatOf<D>>;
}

function choleskyBackward(lower: Tensor, grad: Tensor): Tensor {
  const lowerT = transpose(lower);
  // L⁻ᵀ P L⁻¹ with P, the symmetric matrix from the lower triangle of Lᵀ grad, halved.
  const p = mul(mirrorLower(matmul(lowerT, grad)), 0.5);
  const half = solveTriangle(lowerT, p, true);
  return transpose(solveTriangle(lowerT, transpose(half), true));
}

/**
 * The determinant of square matrices, 1 for [0, 0]. By the LU factorization, in float64 whatever the dtype.
 * @param a shape [..., n, n]
 * @returns shape [...]
 * @throws ShapeError unless `a` is square.
 * Gradient: det(a) a⁻ᵀ (Giles 2008, section 2.2.4). Where a matrix of the batch is singular, the matrix of cofactors
 * is computed from the singular value decomposition instead.
 */
export function det<D extends DType>(a: Tensor<D>): Tensor<FloatOf<D>> {
  const x = requireSquare('det', 'a', a);
  const y = run('det', [x], batchOf(x), x.dtype);
  if (isRecording(x)) {
    record('det', y, [x], [x, y], (grad, { saved }) => {
      const [xSaved, ySaved] = saved as Tensor[];
      const scale = (factor: Tensor): Tensor => unsqueeze(unsqueeze(factor, -1), -1);
      const isSingular = ySaved.dataSync().some((value) => value === 0);
      if (isSingular) return [mul(scale(grad), cofactors(xSaved))];
      return [mul(scale(mul(grad, ySaved)), transpose(inverse(xSaved)))];
    });
  }
  return y as Tensor<FloatOf<D>>;
}

/** The matrix of cofactors, det(a) a⁻ᵀ where that exists: det(U) det(V) U diag(products of the other s) Vᵀ. */
function cofactors(a: Tensor): Tensor {
  const { u, s, vh } = svd(a);
  const n = rowsOf(a);
  const isDiagonal = equal(identity(n, a), 1);
  const others = productOfLast(where(isDiagonal, 1, unsqueeze(s, -2)));
  const sign = noGrad(() => mul(det(u), det(vh)).detach());
  const weights = mul(others, unsqueeze(sign, -1));
  return matmul(mul(u, unsqueeze(weights, -2)), vh);
}

/** The product over the last axis, by halves. */
function productOfLast(x: Tensor): Tensor {
  const n = x.shape[x.rank - 1];
  if (n === 1) return squeeze(x, -1);
  const all = Array.from({ length: x.rank - 1 }, () => null);
  const odd = n % 2 === 1;
  const one: Tensor = full([...x.shape.slice(0, -1), 1], 1, { like: x });
  const padded = odd ? concat([x, one], -1) : x;
  const half = (n + Number(odd)) / 2;
  return productOfLast(mul(slice(padded, ...all, [0, half]), slice(padded, ...all, [half, 2 * half])));
}

/** Sign and logarithm of determinants; see {@link slogdet}. */
export interface SlogdetResult<D extends DType = 'float32'> {
  /** -1, 0 or 1, shape [...]. */
  readonly sign: Tensor<D>;
  /** ln |det|, -Infinity for a singular matrix; shape [...]. */
  readonly logAbsDet: Tensor<D>;
}

/**
 * The sign and the natural logarithm of the size of determinants, which themselves may overflow.
 * @param a shape [..., n, n]
 * @returns `sign` and `logAbsDet`, both of shape [...]
 * @throws ShapeError unless `a` is square; LinAlgError from `backward` for a singular matrix.
 * Gradient: a⁻ᵀ (Giles 2008, section 2.2.4); that of the sign is 0.
 */
export function slogdet<D extends DType>(a: Tensor<D>): SlogdetResult<FloatOf<D>> {
  const x = requireSquare('slogdet', 'a', a);
  const shape = batchOf(x);
  const [sign, logAbsDet] = runEach('slogdet', x, [shape, shape]);
  if (isRecording(x)) {
    record('slogdet', logAbsDet, [x], [x], (grad, { saved }) => [
      mul(unsqueeze(unsqueeze(grad, -1), -1), transpose(inverse(saved[0] as Tensor))),
    ]);
  }
  return { sign, logAbsDet } as unknown as SlogdetResult<FloatOf<D>>;
}

/**
 * Integer powers of square matrices: 0 gives the identity, a negative exponent powers of the inverse.
 * @param a shape [..., n, n]
 * @param exponent an integer in [-2^31, 2^31)
 * @returns shape [..., n, n]
 * @throws ShapeError unless `a` is square; RangeError for another exponent; LinAlgError for a negative power of a
 * singular matrix.
 */
export function matrixPower<D extends DType>(a: Tensor<D>, exponent: number): Tensor<FloatOf<D>> {
  const x = requireSquare('matrixPower', 'a', a);
  checkInteger('matrixPower', 'exponent', exponent, -(2 ** 31), 2 ** 31 - 1);
  let base = exponent < 0 ? inverse(x) : x;
  let result: Tensor | null = null;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result === null ? base : matmul(result, base);
    if (rest > 1) base = matmul(base, base);
  }
  if (result === x) return clone(x) as Tensor<FloatOf<D>>;
  return (result ?? clone(expand(identity(rowsOf(x), x), x.shape))) as Tensor<FloatOf<D>>;
}

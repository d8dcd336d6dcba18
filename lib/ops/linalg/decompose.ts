/** QR, singular values and symmetric eigenvalues. */
import { isRecording, record } from '../../autograd/node';
import { GradientError } from '../../errors';
import type { DType, FloatOf } from '../../tensor/dtype';
import type { Tensor } from '../../tensor/tensor';
import { div, mul, sub } from '../elementwise';
import { matmul } from '../matmul';
import { run } from '../run';
import { concat } from '../copies';
import { zeros } from '../../tensor/creation';
import { slice, transpose, unsqueeze, type SliceSpec } from '../views';
import {
  batchOf,
  checkChoice,
  checkFlag,
  colsOf,
  differences,
  mirrorLower,
  requireMatrix,
  requireSquare,
  rowsOf,
  runEach,
} from './common';
import { solveTriangle } from './solve';

/** Columns [from, to) of matrices. */
function columns(x: Tensor, from: number, to: number): Tensor {
  return slice(x, ...batchOf(x).map((): SliceSpec => null), null, [from, to]);
}

/** Rows [from, to) of matrices. */
function rows(x: Tensor, from: number, to: number): Tensor {
  return slice(x, ...batchOf(x).map((): SliceSpec => null), [from, to]);
}

/** The result of {@link qr}. */
export interface QRResult<D extends DType = 'float32'> {
  /** Orthonormal columns. */
  readonly q: Tensor<D>;
  /** Upper triangular. */
  readonly r: Tensor<D>;
}

/**
 * The QR decomposition `a = q r`, by Householder reflections in float64 whatever the dtype. The signs are those of
 * LAPACK: r's diagonal may be negative.
 * @param a shape [..., m, n]; k = min(m, n)
 * @param options `mode`: 'reduced' (default) gives q [..., m, k] and r [..., k, n], 'complete' q [..., m, m] and r
 * [..., m, n]
 * @throws ShapeError below rank 2; RangeError for another mode; from `backward`: GradientError for mode 'complete' with
 * m > n, whose last columns of q are arbitrary, LinAlgError where the first k columns are linearly dependent.
 * Gradient: Seeger et al., Auto-differentiating linear algebra, 2017, for m >= n; Walter and Lehmann, Algorithmic
 * differentiation of linear algebra functions, 2010.
 */
export function qr<D extends DType>(
  a: Tensor<D>,
  options: { mode?: 'reduced' | 'complete' } = {},
): QRResult<FloatOf<D>> {
  const x = requireMatrix('qr', 'a', a);
  const mode = checkChoice('qr', 'mode', options.mode ?? 'reduced', ['reduced', 'complete']);
  const m = rowsOf(x);
  const n = colsOf(x);
  const width = mode === 'reduced' ? Math.min(m, n) : m;
  const batch = batchOf(x);
  const [q, r] = runEach('qr', x, [
    [...batch, m, width],
    [...batch, width, n],
  ]);
  if (isRecording(x)) {
    const check = (): void => {
      if (width > n)
        throw new GradientError("qr: mode 'complete' has no gradient for matrices with more rows than columns");
    };
    const saved = [x, q, r];
    record('qr', q, [x], saved, (grad, node) => {
      check();
      return [qrBackward(grad, null, node.saved as Tensor[])];
    });
    record('qr', r, [x], saved, (grad, node) => {
      check();
      return [qrBackward(null, grad, node.saved as Tensor[])];
    });
  }
  return { q, r } as unknown as QRResult<FloatOf<D>>;
}

function qrBackward(gradQ: Tensor | null, gradR: Tensor | null, [a, q, r]: readonly Tensor[]): Tensor {
  const m = rowsOf(a);
  const n = colsOf(a);
  if (m >= n) return tallBackward(gradQ, gradR, q, r);
  // Wide: the left square block of `a` decides q; the rest of r is qᵀ times the rest of `a`.
  const square = columns(r, 0, m);
  if (gradR === null) return padRight(tallBackward(gradQ, null, q, square), n);
  const gradRest = columns(gradR, m, n);
  const toQ = matmul(columns(a, m, n), transpose(gradRest));
  const left = tallBackward(toQ, columns(gradR, 0, m), q, square);
  return concat([left, matmul(q, gradRest)], -1);
}

function padRight(x: Tensor, cols: number): Tensor {
  const rest: Tensor = zeros([...x.shape.slice(0, -1), cols - colsOf(x)], { like: x });
  return concat([x, rest], -1);
}

/** (gradQ + q copyltu(r gradRᵀ - gradQᵀ q)) r⁻ᵀ */
function tallBackward(gradQ: Tensor | null, gradR: Tensor | null, q: Tensor, r: Tensor): Tensor {
  const fromR = gradR === null ? null : matmul(r, transpose(gradR));
  const fromQ = gradQ === null ? null : matmul(transpose(gradQ), q);
  const middle = fromR === null ? (fromQ as Tensor).neg() : fromQ === null ? fromR : sub(fromR, fromQ);
  const inside = matmul(q, mirrorLower(middle));
  const sum = gradQ === null ? inside : gradQ.add(inside);
  return transpose(solveTriangle(r, transpose(sum), true));
}

/** The result of {@link svd}. */
export interface SVDResult<D extends DType = 'float32'> {
  /** Left singular vectors, the columns. */
  readonly u: Tensor<D>;
  /** Singular values in descending order, shape [..., min(m, n)]. */
  readonly s: Tensor<D>;
  /** Right singular vectors, the rows. */
  readonly vh: Tensor<D>;
}

/**
 * The singular value decomposition `a = u diag(s) vh`, by the method of Golub and Reinsch in float64 whatever the
 * dtype, with a QR decomposition first for m ≠ n. Singular vectors are defined up to their signs only, and up to a
 * rotation where singular values repeat; results and gradients that depend on these choices are arbitrary.
 * @param a shape [..., m, n]; k = min(m, n)
 * @param options `fullMatrices`: square u [..., m, m] and vh [..., n, n], default true as in PyTorch; else u [..., m, k]
 * and vh [..., k, n]
 * @throws ShapeError below rank 2; LinAlgError naming the matrix of the batch with a NaN or infinite element.
 * Gradient: Townsend, Differentiating the singular value decomposition, 2016, as PyTorch's; not finite where singular
 * values repeat, nor for vectors of m ≠ n where one is 0. The extra vectors of `fullMatrices` have no gradient.
 */
export function svd<D extends DType>(a: Tensor<D>, options: { fullMatrices?: boolean } = {}): SVDResult<FloatOf<D>> {
  const x = requireMatrix('svd', 'a', a);
  const isFull = checkFlag('svd', 'fullMatrices', options.fullMatrices, true);
  return decompose(x, isFull) as unknown as SVDResult<FloatOf<D>>;
}

/** {@link svd} of a checked matrix. */
export function decompose(x: Tensor, isFull: boolean): SVDResult {
  const m = rowsOf(x);
  const n = colsOf(x);
  const k = Math.min(m, n);
  const batch = batchOf(x);
  const shapes = [
    [...batch, m, isFull ? m : k],
    [...batch, k],
    [...batch, isFull ? n : k, n],
  ];
  const [u, s, vh] = runEach('svd', x, shapes);
  if (isRecording(x)) {
    const saved = [u, s, vh];
    const parts = (kept: readonly Tensor[]): Parts => {
      const [uSaved, sSaved, vhSaved] = kept;
      return { u: columns(uSaved, 0, k), s: sSaved, v: transpose(rows(vhSaved, 0, k)) };
    };
    record('svd', u, [x], saved, (grad, node) => {
      return [leftBackward(columns(grad, 0, k), parts(node.saved as Tensor[]))];
    });
    record('svd', s, [x], saved, (grad, node) => {
      const { u: left, v } = parts(node.saved as Tensor[]);
      return [matmul(mul(left, unsqueeze(grad, -2)), transpose(v))];
    });
    record('svd', vh, [x], saved, (grad, node) => {
      // The decomposition of the transpose has the left and right vectors exchanged.
      const { u: left, s: values, v } = parts(node.saved as Tensor[]);
      return [transpose(leftBackward(transpose(rows(grad, 0, k)), { u: v, s: values, v: left }))];
    });
  }
  return { u, s, vh };
}

interface Parts {
  /** [..., m, k], [..., k] and [..., n, k]. */
  readonly u: Tensor;
  readonly s: Tensor;
  readonly v: Tensor;
}

/** The gradient of `a` from that of u alone. */
function leftBackward(grad: Tensor, { u, s, v }: Parts): Tensor {
  const product = matmul(transpose(u), grad);
  const skew = sub(product, transpose(product));
  const squares = mul(s, s);
  const row = unsqueeze(s, -2);
  const inside = matmul(u, mul(div(skew, differences(squares)), row));
  if (rowsOf(u) === colsOf(u)) return matmul(inside, transpose(v));
  const outside = div(sub(grad, matmul(u, product)), row);
  return matmul(inside.add(outside), transpose(v));
}

/**
 * The singular values of matrices in descending order. See {@link svd}; without the vectors it is several times faster
 * (unless gradients are recorded, which need them).
 * @param a shape [..., m, n]
 * @returns shape [..., min(m, n)]
 * @throws ShapeError below rank 2; LinAlgError naming the matrix of the batch with a NaN or infinite element.
 */
export function svdvals<D extends DType>(a: Tensor<D>): Tensor<FloatOf<D>> {
  const x = requireMatrix('svdvals', 'a', a);
  return singularValues(x) as Tensor<FloatOf<D>>;
}

/** {@link svdvals} of a checked matrix. */
export function singularValues(x: Tensor): Tensor {
  if (isRecording(x)) return decompose(x, false).s;
  return run('svdvals', [x], [...batchOf(x), Math.min(rowsOf(x), colsOf(x))], x.dtype);
}

/** The result of {@link eigh}. */
export interface EighResult<D extends DType = 'float32'> {
  /** Eigenvalues in ascending order, shape [..., n]. */
  readonly values: Tensor<D>;
  /** Orthonormal eigenvectors, the columns of [..., n, n]. */
  readonly vectors: Tensor<D>;
}

/** Options of {@link eigh} and {@link eigvalsh}. */
export interface EighOptions {
  /** The triangle that is read: lower 'L' (default) or upper 'U'. */
  uplo?: 'L' | 'U';
}

/**
 * Eigenvalues and eigenvectors of symmetric matrices, by Householder reduction to a tridiagonal matrix and implicitly
 * shifted QR steps, in float64 whatever the dtype. Eigenvectors are defined up to their signs only, and up to a rotation
 * where eigenvalues repeat; results and gradients that depend on these choices are arbitrary.
 * @param a shape [..., n, n]; one triangle is read
 * @throws ShapeError unless `a` is square; RangeError for another `uplo`; LinAlgError naming the matrix of the batch
 * with a NaN or infinite element.
 * Gradient: Giles 2008, section 3.1, made symmetric; not finite for vectors where eigenvalues repeat.
 */
export function eigh<D extends DType>(a: Tensor<D>, options: EighOptions = {}): EighResult<FloatOf<D>> {
  const x = requireSquare('eigh', 'a', a);
  const uplo = checkChoice('eigh', 'uplo', options.uplo ?? 'L', ['L', 'U']);
  return eigen(x, uplo) as unknown as EighResult<FloatOf<D>>;
}

function eigen(x: Tensor, uplo: 'L' | 'U'): EighResult {
  const shapes = [x.shape.slice(0, -1), x.shape];
  const [values, vectors] = runEach('eigh', x, shapes, [Number(uplo === 'U')]);
  if (isRecording(x)) {
    const saved = [values, vectors];
    record('eigh', values, [x], saved, (grad, node) => {
      const v = node.saved[1] as Tensor;
      return [matmul(mul(v, unsqueeze(grad, -2)), transpose(v))];
    });
    record('eigh', vectors, [x], saved, (grad, node) => {
      const [w, v] = node.saved as Tensor[];
      const product = matmul(transpose(v), grad);
      const skew = mul(sub(product, transpose(product)), 0.5);
      return [matmul(matmul(v, div(skew, differences(w))), transpose(v))];
    });
  }
  return { values, vectors };
}

/**
 * The eigenvalues of symmetric matrices in ascending order. See {@link eigh}; without the vectors it is faster (unless
 * gradients are recorded, which need them).
 * @param a shape [..., n, n]; one triangle is read
 * @returns shape [..., n]
 * @throws as {@link eigh}.
 */
export function eigvalsh<D extends DType>(a: Tensor<D>, options: EighOptions = {}): Tensor<FloatOf<D>> {
  const x = requireSquare('eigvalsh', 'a', a);
  const uplo = checkChoice('eigvalsh', 'uplo', options.uplo ?? 'L', ['L', 'U']);
  const values = isRecording(x)
    ? eigen(x, uplo).values
    : run('eigvalsh', [x], x.shape.slice(0, -1), x.dtype, [Number(uplo === 'U')]);
  return values as Tensor<FloatOf<D>>;
}

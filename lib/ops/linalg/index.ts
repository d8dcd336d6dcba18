/**
 * Linear algebra over matrices [..., m, n] in float32 and float64, in the manner of `torch.linalg`. The algorithms
 * work in float64 whatever the dtype.
 * @packageDocumentation
 */
export {
  cholesky,
  det,
  inv,
  matrixPower,
  slogdet,
  solve,
  solveTriangular,
  type SlogdetResult,
  type SolveTriangularOptions,
} from './solve';
export {
  eigh,
  eigvalsh,
  qr,
  svd,
  svdvals,
  type EighOptions,
  type EighResult,
  type QRResult,
  type SVDResult,
} from './decompose';
export {
  lstsq,
  matrixNorm,
  matrixRank,
  norm,
  pinv,
  vectorNorm,
  type MatrixNormOptions,
  type MatrixOrd,
  type NormOptions,
  type ToleranceOptions,
  type VectorNormOptions,
} from './norms';

/**
 * Discrete Fourier transforms of any length, in the manner of `torch.fft`.
 *
 * There is no complex dtype: complex numbers are pairs of real ones on a last axis of 2, so that n complex numbers have
 * the shape [n, 2]. `axis` counts the axes of the complex numbers, without that last one: -1 is the axis before it.
 * @packageDocumentation
 */
import { isRecording, record } from '../autograd/node';
import { ShapeError } from '../errors';
import { tensor } from '../tensor/creation';
import type { DType, FloatOf } from '../tensor/dtype';
import { axesMask, checkAxis, checkInteger, checkNumber, describe, formatShape } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';
import { roll } from './rearrange';
import { requireFloat } from './reduce';
import { run } from './run';

/**
 * Where the factor 1/n goes: 'backward' (default) to the inverse transform, 'forward' to the forward one, 'ortho' in
 * equal parts, 1/√n, to both.
 */
export type FftNorm = 'backward' | 'ortho' | 'forward';

/** Options of the transforms along one axis. */
export interface FftOptions {
  /** The length of the signal: the input is cut or padded with zeros. Default: as long as it is. */
  n?: number;
  /** The axis to transform, of the complex numbers' axes. Default -1. */
  axis?: number;
  /** Default 'backward'. */
  norm?: FftNorm;
}

/** Options of the transforms along two axes. */
export interface Fft2Options {
  /** The lengths along both axes: the input is cut or padded with zeros. Default: as long as it is. */
  s?: readonly [number, number];
  /** The axes to transform, of the complex numbers' axes. Default [-2, -1]. */
  axes?: readonly [number, number];
  /** Default 'backward'. */
  norm?: FftNorm;
}

/** The longest transform: native code counts with 32 bits. */
const maxLength = 2 ** 28;

// ---- native calls. The input is cut or padded to the length n, the output to `extent`; that makes the
// gradient of each transform another one.

type Transform = 'fft' | 'ifft' | 'rfft' | 'irfft';

interface Plan {
  readonly axis: number;
  readonly n: number;
  readonly scale: number;
  /** For the real transforms: a factor of the bins that stand for two. */
  readonly middle: number;
}

/** The transform whose matrix is the transpose (real and imaginary parts taken as separate numbers). */
const adjoints: Readonly<Record<Transform, { transform: Transform; middle: number }>> = {
  fft: { transform: 'ifft', middle: 1 },
  ifft: { transform: 'fft', middle: 1 },
  rfft: { transform: 'irfft', middle: 0.5 },
  irfft: { transform: 'rfft', middle: 2 },
};

function apply(transform: Transform, x: Tensor, plan: Plan, extent: number): Tensor {
  const { axis, n, scale, middle } = plan;
  const isReal = transform === 'rfft' || transform === 'irfft';
  const shape = x.shape.slice();
  const before = shape[axis];
  shape[axis] = extent;
  if (transform === 'rfft') shape.push(2);
  if (transform === 'irfft') shape.pop();
  const y = isReal
    ? run(transform, [x], shape, x.dtype, [axis, n], [scale, middle])
    : run('fft', [x], shape, x.dtype, [axis, n, Number(transform === 'ifft')], [scale]);
  if (isRecording(x)) {
    const adjoint = adjoints[transform];
    record(transform, y, [x], [], (grad) => [
      apply(adjoint.transform, grad, { axis, n, scale, middle: middle * adjoint.middle }, before),
    ]);
  }
  return y;
}

// ---- arguments

function requireComplex(op: string, x: Tensor<DType>): Tensor {
  const given = requireFloat(op, 'x', x);
  if (given.rank < 2 || given.shape[given.rank - 1] !== 2) {
    throw new ShapeError(
      `${op}: x must be complex, [..., n, 2] with real and imaginary parts on the last axis, ` +
        `got shape ${formatShape(given.shape)}`,
    );
  }
  return given;
}

function requireReal(op: string, x: Tensor<DType>): Tensor {
  const given = requireFloat(op, 'x', x);
  if (given.rank === 0) throw new ShapeError(`${op}: x must have an axis to transform, it is a scalar`);
  return given;
}

function scaleOf(op: string, norm: unknown, isInverse: boolean, n: number): number {
  switch (norm) {
    case undefined:
    case 'backward':
      return isInverse ? 1 / n : 1;
    case 'forward':
      return isInverse ? 1 : 1 / n;
    case 'ortho':
      return 1 / Math.sqrt(n);
    default:
      throw new RangeError(`${op}: norm must be 'backward', 'ortho' or 'forward', got ${describe(norm)}`);
  }
}

function lengthOf(op: string, name: string, given: number | undefined, otherwise: number): number {
  if (given !== undefined) return checkInteger(op, name, given, 1, maxLength);
  if (otherwise < 1 || otherwise > maxLength) {
    throw new ShapeError(`${op}: cannot transform ${String(otherwise)} numbers; lengths are in [1, 2^28]`);
  }
  return otherwise;
}

/** One transform with the options as the user gave them; `axes` is the rank without an axis of pairs. */
function transformAlong(op: string, transform: Transform, x: Tensor, options: FftOptions): Tensor {
  const isReal = transform === 'rfft';
  const axis = checkAxis(op, options.axis ?? -1, isReal ? x.rank : x.rank - 1);
  const extent = x.shape[axis];
  const n = lengthOf(op, 'n', options.n, transform === 'irfft' ? 2 * (extent - 1) : extent);
  const scale = scaleOf(op, options.norm, transform === 'ifft' || transform === 'irfft', n);
  return apply(transform, x, { axis, n, scale, middle: 1 }, isReal ? Math.floor(n / 2) + 1 : n);
}

// ---- along one axis

/**
 * The discrete Fourier transform Y[k] = Σ x[j] exp(-2πi jk/n).
 * @param x complex, shape [..., n, 2]
 * @returns shape [..., n, 2]
 * @throws ShapeError unless `x` is complex and there is something to transform; RangeError for a bad option; DTypeError
 * unless `x` is float32 or float64.
 * Any length: mixed radices for prime factors to 31, else Bluestein's chirp algorithm in float64. Gradient: the
 * inverse transform, without its factor.
 */
export function fft<D extends DType>(x: Tensor<D>, options: FftOptions = {}): Tensor<FloatOf<D>> {
  return transformAlong('fft', 'fft', requireComplex('fft', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The inverse of {@link fft}: x[j] = 1/n Σ Y[k] exp(2πi jk/n).
 * @param x complex, shape [..., n, 2]
 * @returns shape [..., n, 2]
 * @throws as {@link fft}.
 */
export function ifft<D extends DType>(x: Tensor<D>, options: FftOptions = {}): Tensor<FloatOf<D>> {
  return transformAlong('ifft', 'ifft', requireComplex('ifft', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The first half of the Fourier transform of a real signal; the rest is its mirror image, conjugated.
 * @param x real, shape [..., n]
 * @returns shape [..., floor(n/2) + 1, 2]
 * @throws ShapeError for a scalar or an empty signal; else as {@link fft}.
 */
export function rfft<D extends DType>(x: Tensor<D>, options: FftOptions = {}): Tensor<FloatOf<D>> {
  return transformAlong('rfft', 'rfft', requireReal('rfft', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The inverse of {@link rfft}: the real signal whose spectrum's first half is given. The imaginary parts of the lowest
 * and, for even n, the highest frequency are not read.
 * @param x complex, shape [..., floor(n/2) + 1, 2]
 * @param options `n`: the signal's length, default 2·(bins - 1); odd lengths must be given
 * @returns real, shape [..., n]
 * @throws as {@link fft}.
 */
export function irfft<D extends DType>(x: Tensor<D>, options: FftOptions = {}): Tensor<FloatOf<D>> {
  return transformAlong('irfft', 'irfft', requireComplex('irfft', x), options) as Tensor<FloatOf<D>>;
}

// ---- along two axes

function transformBoth(op: string, transform: Transform, x: Tensor, options: Fft2Options): Tensor {
  const rank = transform === 'rfft' ? x.rank : x.rank - 1;
  const pair = (name: string, value: unknown): readonly number[] => {
    if (!Array.isArray(value) || value.length !== 2) {
      throw new RangeError(`${op}: ${name} must be two numbers, got ${describe(value)}`);
    }
    return value as readonly number[];
  };
  if (rank < 2) throw new ShapeError(`${op}: x must have two axes to transform, got shape ${formatShape(x.shape)}`);
  const [first, last] = pair('axes', options.axes ?? [-2, -1]).map((axis) => checkAxis(op, axis, rank));
  if (first === last) throw new RangeError(`${op}: axes must be two different axes, got ${String(first)} twice`);
  const [n, m] = options.s === undefined ? [] : pair('s', options.s);
  const { norm } = options;
  // The real end of a real transform is the last axis.
  const along = (input: Tensor, kind: Transform, axis: number, length: number | undefined): Tensor =>
    transformAlong(op, kind, input, { n: length, axis, norm });
  if (transform === 'irfft') return along(along(x, 'ifft', first, n), 'irfft', last, m);
  return along(along(x, transform, last, m), transform === 'ifft' ? 'ifft' : 'fft', first, n);
}

/**
 * The Fourier transform along two axes.
 * @param x complex, shape [..., m, n, 2]
 * @returns shape [..., m, n, 2]
 * @throws as {@link fft}.
 */
export function fft2<D extends DType>(x: Tensor<D>, options: Fft2Options = {}): Tensor<FloatOf<D>> {
  return transformBoth('fft2', 'fft', requireComplex('fft2', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The inverse of {@link fft2}.
 * @param x complex, shape [..., m, n, 2]
 * @returns shape [..., m, n, 2]
 * @throws as {@link fft}.
 */
export function ifft2<D extends DType>(x: Tensor<D>, options: Fft2Options = {}): Tensor<FloatOf<D>> {
  return transformBoth('ifft2', 'ifft', requireComplex('ifft2', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The Fourier transform of real signals along two axes: half of the spectrum along the last of them.
 * @param x real, shape [..., m, n]
 * @returns shape [..., m, floor(n/2) + 1, 2]
 * @throws as {@link rfft}.
 */
export function rfft2<D extends DType>(x: Tensor<D>, options: Fft2Options = {}): Tensor<FloatOf<D>> {
  return transformBoth('rfft2', 'rfft', requireReal('rfft2', x), options) as Tensor<FloatOf<D>>;
}

/**
 * The inverse of {@link rfft2}.
 * @param x complex, shape [..., m, floor(n/2) + 1, 2]
 * @param options `s`: the signal's lengths; the last one, if odd, must be given
 * @returns real, shape [..., m, n]
 * @throws as {@link fft}.
 */
export function irfft2<D extends DType>(x: Tensor<D>, options: Fft2Options = {}): Tensor<FloatOf<D>> {
  return transformBoth('irfft2', 'irfft', requireComplex('irfft2', x), options) as Tensor<FloatOf<D>>;
}

// ---- frequencies and their order

/** Options of {@link fftFreq} and {@link rfftFreq}. */
export interface FreqOptions<D extends 'float32' | 'float64' = 'float32'> {
  /** The distance of the samples. Default 1. */
  d?: number;
  /** Default float32. */
  dtype?: D;
}

function frequencies<D extends 'float32' | 'float64'>(
  op: string,
  n: number,
  isHalf: boolean,
  options: FreqOptions<D>,
): Tensor<D> {
  checkInteger(op, 'n', n, 1, maxLength);
  const d = checkNumber(op, 'd', options.d ?? 1, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (d === 0) throw new RangeError(`${op}: d must not be 0`);
  const size = isHalf ? Math.floor(n / 2) + 1 : n;
  const values = Float64Array.from({ length: size }, (_, k) => (isHalf || 2 * k < n ? k : k - n) / (n * d));
  const { dtype = 'float32' as D } = options;
  return tensor(values, { dtype });
}

/**
 * The frequencies of {@link fft}'s n results, in cycles per unit of the distance `d`: 0, 1, …, -2, -1 over n·d. For even
 * n the middle one is negative, as in PyTorch.
 * @returns shape [n]
 * @throws RangeError unless n is a positive integer and `d` a number other than 0.
 */
export function fftFreq<D extends 'float32' | 'float64' = 'float32'>(
  n: number,
  options: FreqOptions<D> = {},
): Tensor<D> {
  return frequencies('fftFreq', n, false, options);
}

/**
 * The frequencies of {@link rfft}'s results: 0, 1, …, floor(n/2) over n·d.
 * @param n the signal's length
 * @returns shape [floor(n/2) + 1]
 * @throws as {@link fftFreq}.
 */
export function rfftFreq<D extends 'float32' | 'float64' = 'float32'>(
  n: number,
  options: FreqOptions<D> = {},
): Tensor<D> {
  return frequencies('rfftFreq', n, true, options);
}

/** Rotates axes by their half, rounded down or up. */
function shift<D extends DType>(
  op: string,
  x: Tensor<D>,
  axes: number | readonly number[],
  round: (n: number) => number,
) {
  if (!isTensor(x)) throw new TypeError(`${op}: x must be a tensor, got ${describe(x)}`);
  x._check(op);
  if ((axes as unknown) === undefined) throw new TypeError(`${op}: axes must be given`);
  const mask = axesMask(op, axes, x.rank);
  let result: Tensor<D> = x;
  for (let axis = 0; axis < x.rank; axis++) {
    if ((mask >> axis) & 1) result = roll(result, round(x.shape[axis] / 2), axis);
  }
  return result;
}

/**
 * Puts frequency 0 into the middle of each of `axes`.
 * @param x any tensor
 * @param axes axes of `x` itself; a complex tensor's last one holds the pairs and is none to shift
 * @throws RangeError for bad axes.
 */
export function fftShift<D extends DType>(x: Tensor<D>, axes: number | readonly number[]): Tensor<D> {
  return shift('fftShift', x, axes, Math.floor);
}

/**
 * Undoes {@link fftShift}.
 * @param x any tensor
 * @param axes as in {@link fftShift}
 * @throws RangeError for bad axes.
 */
export function ifftShift<D extends DType>(x: Tensor<D>, axes: number | readonly number[]): Tensor<D> {
  return shift('ifftShift', x, axes, Math.ceil);
}

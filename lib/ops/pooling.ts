/** Pooling over one, two or three axes. */
import { isRecording, record } from '../autograd/node';
import { ShapeError } from '../errors';
import { checkNumber, formatShape, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { mul, pow } from './binary';
import { requireFloat } from './reduce';
import { run, runMany } from './run';
import type { Sorted } from './sort';
import { perAxis, spatialOf, threeAxes, withBatch, type PerAxis } from './spatial';
import type { OpName } from './table';
import { squeeze } from './views';

/** Options that all pooling windows have. */
interface WindowOptions {
  /** Steps between windows. Default: the kernel's size, so that windows lie side by side. */
  stride?: PerAxis;
  /** Positions added on both sides, at most half the kernel. Default 0. */
  padding?: PerAxis;
  /** Also take a window that begins inside but ends beyond the input. Default false. */
  ceilMode?: boolean;
}

/** Options of {@link maxPool1d}, {@link maxPool2d} and {@link maxPool3d}. Padding never wins: it counts as -∞. */
export interface MaxPoolOptions extends WindowOptions {
  /** Distance between the elements of a window. Default 1. */
  dilation?: PerAxis;
  /** Return the maxima's positions too. Default false. */
  returnIndices?: boolean;
}

/** Options of {@link avgPool1d}, {@link avgPool2d} and {@link avgPool3d}. Padding counts as 0. */
export interface AvgPoolOptions extends WindowOptions {
  /** Divide by the window's size with its padding rather than without. Default true. */
  countIncludePad?: boolean;
  /** Divide by this instead. */
  divisorOverride?: number;
}

/** Options of {@link lpPool1d} and {@link lpPool2d}. */
export interface LpPoolOptions {
  /** Steps between windows. Default: the kernel's size. */
  stride?: PerAxis;
  /** Also take a window that begins inside but ends beyond the input. Default false. */
  ceilMode?: boolean;
}

/** Options of {@link adaptiveMaxPool1d} and {@link adaptiveMaxPool2d}. */
export interface AdaptiveMaxPoolOptions {
  /** Return the maxima's positions too. Default false. */
  returnIndices?: boolean;
}

/** Maxima, and the position of each in its flattened input plane (int32). */
export type Pooled = Sorted<'float32'>;

interface WithIndices {
  returnIndices: true;
}

// ---- windows

interface Windows {
  kernel: number[];
  stride: number[];
  padding: number[];
  dilation: number[];
  /** The shape of the result. */
  shape: number[];
}

function windowsOf(
  op: string,
  x: Tensor,
  axes: number,
  kernelSize: PerAxis,
  options: WindowOptions & { dilation?: PerAxis },
): Windows {
  const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1);
  const stride = perAxis(op, 'stride', options.stride ?? kernel, axes, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, axes, 0);
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
  padding.forEach((amount, i) => {
    if (2 * amount > kernel[i]) {
      throw new RangeError(
        `${op}: padding ${String(amount)} must be at most half of kernelSize ${formatShape(kernel)}`,
      );
    }
  });
  const extents = spatialOf(x, axes).map((extent, i) => {
    const span = dilation[i] * (kernel[i] - 1) + 1;
    const rest = (extent + 2 * padding[i] - span) / stride[i];
    if (options.ceilMode !== true) return Math.floor(rest) + 1;
    const count = Math.ceil(rest) + 1;
    // A window that would begin behind the input is no window.
    return (count - 1) * stride[i] >= extent + padding[i] ? count - 1 : count;
  });
  if (extents.some((extent) => extent < 1) || spatialOf(x, axes).includes(0)) {
    throw new ShapeError(
      `${op}: a window of ${formatShape(kernel)} with dilation ${formatShape(dilation)} does not fit into x ` +
        `${formatShape(x.shape)} with padding ${formatShape(padding)}`,
    );
  }
  return { kernel, stride, padding, dilation, shape: [...x.shape.slice(0, 2), ...extents] };
}

function windowInts({ kernel, stride, padding }: Windows): number[] {
  return [...threeAxes(kernel, 1), ...threeAxes(stride, 1), ...threeAxes(padding, 0)];
}

/** The shape of an adaptive result; null keeps an extent. */
function adaptiveShape(op: string, x: Tensor, axes: number, size: AdaptiveSize): number[] {
  const before = spatialOf(x, axes);
  if (before.includes(0)) throw new ShapeError(`${op}: x ${formatShape(x.shape)} has nothing to pool`);
  const keep = (wanted: number | null, i: number): number => wanted ?? before[i];
  const extents = size === null ? before : Array.isArray(size) ? (size as readonly (number | null)[]).map(keep) : size;
  return [...x.shape.slice(0, 2), ...perAxis(op, 'outputSize', extents, axes, 1)];
}

/** An extent for all axes or one per axis; null keeps the input's. */
export type AdaptiveSize = number | null | readonly (number | null)[];

// ---- the maximum

/** A plane whose positions int32 can hold. */
function checkPlane(op: string, x: Tensor): void {
  const size = x.shape.slice(2).reduce((product, extent) => product * extent, 1);
  if (size > 2 ** 31 - 1) throw new ShapeError(`${op}: x ${formatShape(x.shape)} has planes of more than 2^31 - 1`);
}

function maximum(op: 'maxPool' | 'adaptiveMaxPool', x: Tensor, shape: Shape, ints: readonly number[]): Pooled {
  const [values, indices] = runMany(
    op,
    [x],
    [
      [shape, x.dtype],
      [shape, 'int32'],
    ],
    ints,
  );
  if (isRecording(x)) {
    const { shape: before } = x;
    record(op, values, [x], [indices], (grad, { saved }) => [scatterTo(grad, saved[0], before)]);
  }
  return { values: values as Tensor, indices: indices as Tensor<'int32'> };
}

/** Adds each element of `grad` at its position of a plane. */
function scatterTo(grad: Tensor, positions: AnyTensor, shape: Shape): Tensor {
  const out = run('maxPoolBackward', [grad, positions], shape, grad.dtype);
  if (isRecording(grad)) {
    record('maxPoolBackward', out, [grad], [positions], (second, { saved }) => [gatherFrom(second, saved[0])]);
  }
  return out;
}

/** The elements at positions of planes: the adjoint of {@link scatterTo}. */
function gatherFrom(x: Tensor, positions: AnyTensor): Tensor {
  const out = run('maxPoolGather', [x, positions], positions.shape, x.dtype);
  if (isRecording(x)) {
    const { shape } = x;
    record('maxPoolGather', out, [x], [positions], (grad, { saved }) => [scatterTo(grad, saved[0], shape)]);
  }
  return out;
}

/** Runs a maximum on an input with or without a batch axis. */
function maximumOf(
  op: string,
  axes: number,
  x: AnyTensor,
  returnIndices: boolean | undefined,
  apply: (input: Tensor) => Pooled,
): Tensor | Pooled {
  let indices: Tensor<'int32'> | null = null;
  const values = withBatch(op, x, axes, (input) => {
    checkPlane(op, input);
    const pooled = apply(input);
    indices = pooled.indices;
    return pooled.values;
  });
  const positions = indices as unknown as Tensor<'int32'>;
  if (returnIndices !== true) {
    positions.dispose(); // the tape keeps them if it needs them
    return values;
  }
  return { values, indices: values.rank === axes + 1 ? squeeze(positions, 0) : positions };
}

function maxPool(op: string, axes: number, x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions) {
  return maximumOf(op, axes, x, options.returnIndices, (input) => {
    const windows = windowsOf(op, input, axes, kernelSize, options);
    return maximum('maxPool', input, windows.shape, [...windowInts(windows), ...threeAxes(windows.dilation, 1)]);
  });
}

/**
 * The largest element of each window along one axis; NaN if there is one.
 * @param x float [batch, channels, length], or [channels, length]
 * @param kernelSize the window's size
 * @returns [batch, channels, floor((length + 2·padding - dilation·(kernelSize - 1) - 1) / stride) + 1]; with
 * `returnIndices` also the position of each maximum in its input plane, the first of several
 * @throws ShapeError, DTypeError, RangeError naming the argument that does not fit.
 */
export function maxPool1d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions & WithIndices): Pooled;
export function maxPool1d(x: AnyTensor, kernelSize: PerAxis, options?: MaxPoolOptions): Tensor;
export function maxPool1d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor | Pooled {
  return maxPool('maxPool1d', 1, x, kernelSize, options);
}

/** {@link maxPool1d} over two axes: x [batch, channels, height, width]. */
export function maxPool2d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions & WithIndices): Pooled;
export function maxPool2d(x: AnyTensor, kernelSize: PerAxis, options?: MaxPoolOptions): Tensor;
export function maxPool2d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor | Pooled {
  return maxPool('maxPool2d', 2, x, kernelSize, options);
}

/** {@link maxPool1d} over three axes: x [batch, channels, depth, height, width]. */
export function maxPool3d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions & WithIndices): Pooled;
export function maxPool3d(x: AnyTensor, kernelSize: PerAxis, options?: MaxPoolOptions): Tensor;
export function maxPool3d(x: AnyTensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor | Pooled {
  return maxPool('maxPool3d', 3, x, kernelSize, options);
}

function adaptiveMaxPool(
  op: string,
  axes: number,
  x: AnyTensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions,
) {
  return maximumOf(op, axes, x, options.returnIndices, (input) =>
    maximum('adaptiveMaxPool', input, adaptiveShape(op, input, axes, outputSize), []),
  );
}

/**
 * Maxima over as many windows as the output is to have: position i covers the input from floor(i·in/out) to
 * ceil((i + 1)·in/out).
 * @param x float [batch, channels, length], or [channels, length]
 * @param outputSize the output's extent
 */
export function adaptiveMaxPool1d(
  x: AnyTensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions & WithIndices,
): Pooled;
export function adaptiveMaxPool1d(x: AnyTensor, outputSize: AdaptiveSize, options?: AdaptiveMaxPoolOptions): Tensor;
export function adaptiveMaxPool1d(
  x: AnyTensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions = {},
): Tensor | Pooled {
  return adaptiveMaxPool('adaptiveMaxPool1d', 1, x, outputSize, options);
}

/** {@link adaptiveMaxPool1d} over two axes: x [batch, channels, height, width]; null keeps an extent. */
export function adaptiveMaxPool2d(
  x: AnyTensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions & WithIndices,
): Pooled;
export function adaptiveMaxPool2d(x: AnyTensor, outputSize: AdaptiveSize, options?: AdaptiveMaxPoolOptions): Tensor;
export function adaptiveMaxPool2d(
  x: AnyTensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions = {},
): Tensor | Pooled {
  return adaptiveMaxPool('adaptiveMaxPool2d', 2, x, outputSize, options);
}

// ---- means

/** Runs a linear map of planes; its gradient is the adjoint, whose gradient is the map. */
export function linearMap(
  op: OpName,
  adjoint: OpName,
  x: Tensor,
  shape: Shape,
  ints: readonly number[],
  floats: readonly number[],
): Tensor {
  const out = run(op, [x], shape, x.dtype, ints, floats);
  if (isRecording(x)) {
    const { shape: before } = x;
    record(op, out, [x], [], (grad) => [linearMap(adjoint, op, grad, before, ints, floats)]);
  }
  return out;
}

function avgPool(op: string, axes: number, x: AnyTensor, kernelSize: PerAxis, options: AvgPoolOptions): Tensor {
  return withBatch(op, x, axes, (input) => {
    const { countIncludePad = true, divisorOverride } = options;
    if (divisorOverride !== undefined) {
      checkNumber(op, 'divisorOverride', divisorOverride, -Number.MAX_VALUE, Number.MAX_VALUE);
      if (divisorOverride === 0) throw new RangeError(`${op}: divisorOverride must not be 0`);
    }
    const windows = windowsOf(op, input, axes, kernelSize, options);
    const ints = [...windowInts(windows), Number(countIncludePad)];
    return linearMap('avgPool', 'avgPoolBackward', input, windows.shape, ints, [divisorOverride ?? 0]);
  });
}

/**
 * The mean of each window along one axis.
 * @param x float [batch, channels, length], or [channels, length]
 * @param kernelSize the window's size
 * @returns [batch, channels, floor((length + 2·padding - kernelSize) / stride) + 1]
 * @throws ShapeError, DTypeError, RangeError naming the argument that does not fit.
 */
export function avgPool1d(x: AnyTensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool('avgPool1d', 1, x, kernelSize, options);
}

/** {@link avgPool1d} over two axes: x [batch, channels, height, width]. */
export function avgPool2d(x: AnyTensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool('avgPool2d', 2, x, kernelSize, options);
}

/** {@link avgPool1d} over three axes: x [batch, channels, depth, height, width]. */
export function avgPool3d(x: AnyTensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool('avgPool3d', 3, x, kernelSize, options);
}

function adaptiveAvgPool(op: string, axes: number, x: AnyTensor, outputSize: AdaptiveSize): Tensor {
  return withBatch(op, x, axes, (input) => {
    const shape = adaptiveShape(op, input, axes, outputSize);
    return linearMap('adaptiveAvgPool', 'adaptiveAvgPoolBackward', input, shape, [], []);
  });
}

/**
 * Means over as many windows as the output is to have, cut as in {@link adaptiveMaxPool1d}.
 * @param x float [batch, channels, length], or [channels, length]
 * @param outputSize the output's extent; 1 is global pooling
 */
export function adaptiveAvgPool1d(x: AnyTensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool1d', 1, x, outputSize);
}

/** {@link adaptiveAvgPool1d} over two axes: x [batch, channels, height, width]; null keeps an extent. */
export function adaptiveAvgPool2d(x: AnyTensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool2d', 2, x, outputSize);
}

/** {@link adaptiveAvgPool1d} over three axes: x [batch, channels, depth, height, width]; null keeps an extent. */
export function adaptiveAvgPool3d(x: AnyTensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool3d', 3, x, outputSize);
}

function lpPool(
  op: string,
  axes: number,
  x: AnyTensor,
  normType: number,
  kernelSize: PerAxis,
  options: LpPoolOptions,
): Tensor {
  checkNumber(op, 'normType', normType, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (normType === 0) throw new RangeError(`${op}: normType must not be 0`);
  const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1);
  const { stride, ceilMode } = options;
  const means = avgPool(op, axes, pow(requireFloat(op, 'x', x), normType), kernel, { stride, ceilMode });
  const size = kernel.reduce((product, extent) => product * extent, 1);
  return pow(mul(means, size), 1 / normType);
}

/**
 * (Σ x^p)^(1/p) over each window along one axis.
 * @param x float [batch, channels, length], or [channels, length]
 * @param normType p, not 0
 * @param kernelSize the window's size
 */
export function lpPool1d(x: AnyTensor, normType: number, kernelSize: PerAxis, options: LpPoolOptions = {}): Tensor {
  return lpPool('lpPool1d', 1, x, normType, kernelSize, options);
}

/** {@link lpPool1d} over two axes: x [batch, channels, height, width]. */
export function lpPool2d(x: AnyTensor, normType: number, kernelSize: PerAxis, options: LpPoolOptions = {}): Tensor {
  return lpPool('lpPool2d', 2, x, normType, kernelSize, options);
}

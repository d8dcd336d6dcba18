/** Normalization: batch, layer, group, instance and RMS. */
import { gradients } from '../autograd/backward';
import { variable } from '../autograd/functional';
import { isGradEnabled, isRecording, record } from '../autograd/node';
import { ShapeError } from '../errors';
import { checkInteger, checkNumber, formatShape, sizeOf, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add, div, mul, sub } from './binary';
import { mean, requireFloat } from './reduce';
import { run, runMany } from './run';
import { norm } from './statistics';
import { rsqrt, square } from './unary';
import { reshape, transpose } from './views';

interface Normalized {
  y: Tensor;
  mean: Tensor;
  /** The mean squared distance from the mean: not Bessel's. */
  variance: Tensor;
}

const overGroup = [0, 2];
const keep = { keepDims: true };

/** The gradient by differentiable operations, for higher derivatives. */
function compositeGradient(grad: Tensor, x: Tensor, centred: boolean, eps: number): Tensor {
  const centre = centred ? sub(x, mean(x, overGroup, keep)) : x;
  const scale = rsqrt(add(mean(square(centre), overGroup, keep), eps));
  const y = mul(centre, scale);
  const part = mul(y, mean(mul(grad, y), overGroup, keep));
  const rest = sub(grad, part);
  return mul(centred ? sub(rest, mean(grad, overGroup, keep)) : rest, scale);
}

/** [outer, groups, inner] normalized over outer and inner. */
function normalizeGroups(x: Tensor, centred: boolean, eps: number): Normalized {
  const groups = [[x.shape[1]], x.dtype] as const;
  const [y, center, variance] = runMany(
    'normalize',
    [x],
    [[x.shape, x.dtype], groups, groups],
    [Number(centred)],
    [eps],
  );
  if (isRecording(x)) {
    record('normalize', y, [x], [x, y, variance], (grad, { saved }) => {
      const [input, output, spread] = saved as Tensor[];
      if (isGradEnabled()) return [compositeGradient(grad, input, centred, eps)];
      return [run('normalizeBackward', [grad, output, spread], input.shape, input.dtype, [Number(centred)], [eps])];
    });
  }
  return { y: y as Tensor, mean: center as Tensor, variance: variance as Tensor };
}

/** Weight and bias as one native kernel takes them: vectors over the groups, or over the positions in a group. */
interface Parameters {
  weight: Tensor;
  bias: Tensor;
  byPosition: boolean;
}

/** Both parameters in x's dtype, or null where ordinary operations must do. */
function parametersOf(x: Tensor, weight: Tensor | null, bias: Tensor | null, byPosition: boolean): Parameters | null {
  if (weight?.dtype !== x.dtype || bias?.dtype !== x.dtype) return null;
  return { weight: reshape(weight, [weight.size]), bias: reshape(bias, [bias.size]), byPosition };
}

/** The same by differentiable operations, for higher derivatives. */
function compositeAffine(x: Tensor, { weight, bias, byPosition }: Parameters, centred: boolean, eps: number): Tensor {
  const centre = centred ? sub(x, mean(x, overGroup, keep)) : x;
  const y = mul(centre, rsqrt(add(mean(square(centre), overGroup, keep), eps)));
  const wide = byPosition ? [1, 1, weight.size] : [1, weight.size, 1];
  return add(mul(y, reshape(weight, wide)), reshape(bias, wide)) as Tensor;
}

/** {@link normalizeGroups}, then scaled and shifted in the same pass. */
function normalizeAffine(x: Tensor, parameters: Parameters, centred: boolean, eps: number): Normalized {
  const { weight, bias, byPosition } = parameters;
  const groups = [[x.shape[1]], x.dtype] as const;
  const ints = [Number(centred), Number(byPosition)];
  const outputs = [[x.shape, x.dtype], groups, groups] as const;
  const [y, center, variance] = runMany('normalizeAffine', [x, weight, bias], outputs, ints, [eps]) as Tensor[];
  if (isRecording(x, weight, bias)) {
    record('normalize', y, [x, weight, bias], [x, weight, bias, center, variance], (grad, { saved }) => {
      const [input, scale, shift, ...statistics] = saved as Tensor[];
      if (isGradEnabled()) {
        const variables = [input, scale, shift].map((v) => variable('normalize', v));
        const [w, b] = variables.slice(1);
        const again = compositeAffine(variables[0], { weight: w, bias: b, byPosition }, centred, eps);
        return gradients(again, variables, { gradient: grad, createGraph: true, partial: true });
      }
      const likes = [input, scale, shift].map((v) => [v.shape, v.dtype] as const);
      return runMany('normalizeAffineBackward', [grad, input, scale, ...statistics], likes, ints, [eps]) as Tensor[];
    });
  }
  return { y, mean: center, variance };
}

/** y·weight + bias, either of which may be missing; both already broadcast to y. */
function affine(y: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const scaled = weight === null ? y : mul(y, weight);
  return bias === null ? scaled : add(scaled, bias);
}

function optional(op: string, name: string, x: AnyTensor | null | undefined): Tensor | null {
  return x === null || x === undefined ? null : requireFloat(op, name, x);
}

/** A parameter's shape, and where it stands in the input's. */
function parameterLike(
  op: string,
  name: string,
  x: AnyTensor | null | undefined,
  shape: Shape,
  wide: Shape,
): Tensor | null {
  const value = optional(op, name, x);
  if (value === null) return null;
  if (formatShape(value.shape) !== formatShape(shape)) {
    throw new ShapeError(`${op}: ${name} ${formatShape(value.shape)} must have shape ${formatShape(shape)}`);
  }
  return reshape(value, wide);
}

/** Options of {@link layerNorm} and {@link rmsNorm}. */
export interface LayerNormOptions {
  /** Scale, of the normalized shape. Default none. */
  weight?: AnyTensor | null;
  /** Shift, of the normalized shape. Default none; RMS normalization has none. */
  bias?: AnyTensor | null;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

function overLast(
  op: string,
  x: AnyTensor,
  shape: readonly number[],
  options: LayerNormOptions,
  centred: boolean,
): Tensor {
  const input = requireFloat(op, 'x', x);
  const { eps = 1e-5 } = options;
  checkNumber(op, 'eps', eps, 0);
  const lead = input.shape.slice(0, input.rank - shape.length);
  if (shape.length === 0 || formatShape(input.shape.slice(lead.length)) !== formatShape(shape)) {
    throw new ShapeError(`${op}: x ${formatShape(input.shape)} must end in the normalized shape ${formatShape(shape)}`);
  }
  const weight = parameterLike(op, 'weight', options.weight, shape, shape);
  const bias = parameterLike(op, 'bias', options.bias, shape, shape);
  const rows = reshape(input, [1, sizeOf(lead), sizeOf(shape)]);
  const together = parametersOf(input, weight, bias, true);
  if (together !== null) return reshape(normalizeAffine(rows, together, centred, eps).y, input.shape);
  const { y } = normalizeGroups(rows, centred, eps);
  return affine(reshape(y, input.shape), weight, bias);
}

/**
 * Normalizes the last axes to mean 0 and variance 1 (Ba et al., 2016).
 * @param x float [..., ...shape]
 * @param shape the axes to normalize over, as PyTorch's normalized_shape
 * @throws ShapeError if x does not end in `shape` or a parameter has another.
 */
export function layerNorm(x: AnyTensor, shape: readonly number[], options: LayerNormOptions = {}): Tensor {
  return overLast('layerNorm', x, shape, options, true);
}

/**
 * Divides the last axes by their root mean square (Zhang and Sennrich, 2019). `eps` default 1e-5.
 * @throws ShapeError if x does not end in `shape` or weight has another.
 */
export function rmsNorm(x: AnyTensor, shape: readonly number[], options: Omit<LayerNormOptions, 'bias'> = {}): Tensor {
  return overLast('rmsNorm', x, shape, options, false);
}

/** Options of {@link groupNorm} and {@link instanceNorm}. */
export interface GroupNormOptions {
  /** Scale of each channel. Default none. */
  weight?: AnyTensor | null;
  /** Shift of each channel. Default none. */
  bias?: AnyTensor | null;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

function perChannel(rank: number, channels: number): number[] {
  return [channels, ...new Array<number>(rank - 2).fill(1)];
}

function byChannelGroups(op: string, x: AnyTensor, groups: number | null, options: GroupNormOptions): Tensor {
  const input = requireFloat(op, 'x', x);
  const { eps = 1e-5 } = options;
  checkNumber(op, 'eps', eps, 0);
  if (input.rank < 2) throw new ShapeError(`${op}: x ${formatShape(input.shape)} must be [n, channels, ...]`);
  const [n, channels] = input.shape;
  const count = groups ?? channels;
  checkInteger(op, 'groups', count, Math.min(1, channels), 2 ** 31 - 1);
  if (channels % Math.max(count, 1) !== 0) {
    throw new ShapeError(
      `${op}: the ${String(channels)} channels of x ${formatShape(input.shape)} are no multiple of ${String(count)}`,
    );
  }
  const wide = perChannel(input.rank, channels);
  const weight = parameterLike(op, 'weight', options.weight, [channels], wide);
  const bias = parameterLike(op, 'bias', options.bias, [channels], wide);
  const inner = input.size / Math.max(1, n * count);
  const { y } = normalizeGroups(reshape(input, [1, n * count, input.size === 0 ? 0 : inner]), true, eps);
  return affine(reshape(y, input.shape), weight, bias);
}

/**
 * Normalizes groups of channels of each sample (Wu and He, 2018).
 * @param x float [n, channels, ...]
 * @param groups divides the channels
 * @throws ShapeError, RangeError.
 */
export function groupNorm(x: AnyTensor, groups: number, options: GroupNormOptions = {}): Tensor {
  return byChannelGroups('groupNorm', x, groups, options);
}

/**
 * Normalizes each channel of each sample over its spatial axes (Ulyanov et al., 2016).
 * @param x float [n, channels, ...spatial]
 */
export function instanceNorm(x: AnyTensor, options: GroupNormOptions = {}): Tensor {
  return byChannelGroups('instanceNorm', x, null, options);
}

/** What {@link batchNorm} computed with. */
export interface BatchStatistics {
  readonly mean: Tensor;
  /** Not Bessel's: divided by the count. */
  readonly variance: Tensor;
  /** How many elements each channel had. */
  readonly count: number;
}

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends GroupNormOptions {
  /** Normalize with these means and variances of each channel instead of the batch's own. */
  running?: { mean: AnyTensor; variance: AnyTensor };
  /** Called with the batch's statistics, for a running average. */
  onStatistics?: (statistics: BatchStatistics) => void;
}

/**
 * Normalizes each channel over the batch and all spatial axes (Ioffe and Szegedy, 2015).
 * @param x float [n, channels, ...]
 * @throws ShapeError; RangeError if a channel has a single element to normalize over.
 */
export function batchNorm(x: AnyTensor, options: BatchNormOptions = {}): Tensor {
  const input = requireFloat('batchNorm', 'x', x);
  const { eps = 1e-5, running, onStatistics } = options;
  checkNumber('batchNorm', 'eps', eps, 0);
  if (input.rank < 2) throw new ShapeError(`batchNorm: x ${formatShape(input.shape)} must be [n, channels, ...]`);
  const [n, channels] = input.shape;
  const wide = perChannel(input.rank, channels);
  const parameter = (name: string, value: AnyTensor | null | undefined): Tensor | null =>
    parameterLike('batchNorm', name, value, [channels], wide);
  const weight = parameter('weight', options.weight);
  const bias = parameter('bias', options.bias);
  if (running !== undefined) {
    const centre = parameter('running mean', running.mean) as Tensor;
    const scale = rsqrt(add(parameter('running variance', running.variance) as Tensor, eps));
    return affine(input, weight === null ? scale : mul(weight, scale), shift(centre, scale, weight, bias));
  }
  const count = channels === 0 ? 0 : input.size / channels;
  if (count <= 1 && channels > 0) {
    throw new RangeError(
      `batchNorm: x ${formatShape(input.shape)} gives each channel ${String(count)} elements, needs more than 1`,
    );
  }
  const together = parametersOf(input, weight, bias, false);
  const { y, mean: center, variance } = normalizeChannels(input, n, channels, eps, together);
  onStatistics?.({ mean: center.detach(), variance: variance.detach(), count });
  return together === null ? affine(y, weight, bias) : y;
}

/** bias - mean·scale·weight */
function shift(centre: Tensor, scale: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const moved = mul(centre, weight === null ? scale : mul(weight, scale));
  return bias === null ? moved.neg() : sub(bias, moved);
}

function normalizeChannels(
  x: Tensor,
  n: number,
  channels: number,
  eps: number,
  parameters: Parameters | null,
): Normalized {
  const normalized = (groups: Tensor): Normalized =>
    parameters === null ? normalizeGroups(groups, true, eps) : normalizeAffine(groups, parameters, true, eps);
  const inner = n * channels === 0 ? 0 : x.size / (n * channels);
  if (inner !== 1) {
    const { y, ...rest } = normalized(reshape(x, [n, channels, inner]));
    return { y: reshape(y, x.shape), ...rest };
  }
  // A matrix [n, channels]: with the channels as rows the kernel runs along memory.
  const { y, ...rest } = normalized(reshape(transpose(reshape(x, [n, channels])), [1, channels, n]));
  return { y: reshape(transpose(reshape(y, [channels, n])), x.shape), ...rest };
}

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** The order of the norm; default 2. */
  p?: number;
  /** Default 1. */
  axis?: number;
  /** The least divisor. Default 1e-12. */
  eps?: number;
}

/** Vectors along an axis divided by their norm. */
export function normalize(x: AnyTensor, options: NormalizeOptions = {}): Tensor {
  const input = requireFloat('normalize', 'x', x);
  const { p = 2, axis = 1, eps = 1e-12 } = options;
  checkNumber('normalize', 'eps', eps, 0);
  return div(input, norm(input, axis, { p, keepDims: true }).clamp({ min: eps }));
}

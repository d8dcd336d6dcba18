/** Convolution and transposed convolution over one, two or three axes. */
import { isRecording, record } from '../autograd/node';
import { ShapeError } from '../errors';
import { checkInteger, formatShape, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add } from './binary';
import { requireFloat, requireSame, sum } from './reduce';
import { run } from './run';
import { perAxis, spatialOf, threeAxes, withBatch, type PerAxis } from './spatial';
import { reshape } from './views';

/** Options of {@link conv1d}, {@link conv2d} and {@link conv3d}. */
export interface ConvOptions {
  /** Steps between windows. Default 1. */
  stride?: PerAxis;
  /**
   * Zeros around the input, on both sides. 'valid' is 0; 'same' keeps the extents (with stride 1; where the total is
   * odd the extra zero stands behind). Default 0.
   */
  padding?: PerAxis | 'same' | 'valid';
  /** Distance between the elements of the kernel. Default 1. */
  dilation?: PerAxis;
  /** Cuts the channels into this many independent convolutions. Default 1. */
  groups?: number;
}

/** Options of {@link convTranspose1d} and {@link convTranspose2d}. */
export interface ConvTransposeOptions {
  /** Distance that neighbouring inputs have in the output. Default 1. */
  stride?: PerAxis;
  /** What the convolution that this is the transpose of was padded with: cut off both sides. Default 0. */
  padding?: PerAxis;
  /** Added behind to the extents of the output; below the stride or the dilation. Default 0. */
  outputPadding?: PerAxis;
  /** Distance between the elements of the kernel. Default 1. */
  dilation?: PerAxis;
  /** Cuts the channels into this many independent convolutions. Default 1. */
  groups?: number;
}

// ---- the three native ops; each is bilinear, and its gradients are the other two

/** What native code is told: stride, padding in front and behind, dilation of three axes; groups. */
type Geometry = readonly number[];

/** @param shape of the result */
function forward(x: Tensor, weight: Tensor, bias: Tensor | null, geometry: Geometry, shape: Shape): Tensor {
  const inputs = bias === null ? [x, weight] : [x, weight, bias];
  const out = run(bias === null ? 'conv' : 'convBias', inputs, shape, x.dtype, geometry);
  if (isRecording(x, weight, bias ?? undefined)) {
    const { shape: xShape } = x;
    const { shape: weightShape } = weight;
    record('conv', out, inputs, [x, weight], (grad, { saved, needs }) => {
      const [xSaved, weightSaved] = saved as Tensor[];
      const gradients = [
        needs[0] ? backwardInput(grad, weightSaved, geometry, xShape) : null,
        needs[1] ? backwardWeight(grad, xSaved, geometry, weightShape) : null,
      ];
      if (bias !== null) gradients.push(needs[2] ? sumOfChannels(grad) : null);
      return gradients;
    });
  }
  return out;
}

/** The gradient of {@link forward} with respect to x. */
function backwardInput(grad: Tensor, weight: Tensor, geometry: Geometry, shape: Shape): Tensor {
  const out = run('convBackwardInput', [grad, weight], shape, grad.dtype, geometry);
  if (isRecording(grad, weight)) {
    const { shape: gradShape } = grad;
    const { shape: weightShape } = weight;
    record('convBackwardInput', out, [grad, weight], [grad, weight], (second, { saved, needs }) => {
      const [gradSaved, weightSaved] = saved as Tensor[];
      return [
        needs[0] ? forward(second, weightSaved, null, geometry, gradShape) : null,
        needs[1] ? backwardWeight(gradSaved, second, geometry, weightShape) : null,
      ];
    });
  }
  return out;
}

/** The gradient of {@link forward} with respect to the weight. */
function backwardWeight(grad: Tensor, x: Tensor, geometry: Geometry, shape: Shape): Tensor {
  const out = run('convBackwardWeight', [grad, x], shape, grad.dtype, geometry);
  if (isRecording(grad, x)) {
    const { shape: gradShape } = grad;
    const { shape: xShape } = x;
    record('convBackwardWeight', out, [grad, x], [grad, x], (second, { saved, needs }) => {
      const [gradSaved, xSaved] = saved as Tensor[];
      return [
        needs[0] ? forward(xSaved, second, null, geometry, gradShape) : null,
        needs[1] ? backwardInput(gradSaved, second, geometry, xShape) : null,
      ];
    });
  }
  return out;
}

/** The sum over all axes but the channels. */
function sumOfChannels(x: Tensor): Tensor {
  return sum(
    x,
    x.shape.map((_, axis) => axis).filter((axis) => axis !== 1),
  );
}

// ---- checks

interface Settings {
  stride: number[];
  dilation: number[];
  groups: number;
}

function settingsOf(op: string, options: ConvOptions | ConvTransposeOptions, axes: number): Settings {
  const { stride = 1, dilation = 1, groups = 1 } = options;
  return {
    stride: perAxis(op, 'stride', stride, axes, 1),
    dilation: perAxis(op, 'dilation', dilation, axes, 1),
    groups: checkInteger(op, 'groups', groups, 1, 2 ** 31 - 1),
  };
}

/** The extents that a kernel covers. */
function spanOf(kernel: Shape, dilation: Shape): number[] {
  return kernel.map((extent, i) => dilation[i] * (extent - 1) + 1);
}

function checkWeight(op: string, weight: AnyTensor, axes: number, layout: string): Tensor {
  const w = requireFloat(op, 'weight', weight);
  if (w.rank !== axes + 2 || spatialOf(w, axes).includes(0)) {
    throw new ShapeError(
      `${op}: weight must have shape ${layout} with a kernel of ${String(axes)} axes, got ${formatShape(w.shape)}`,
    );
  }
  return w;
}

function checkBias(op: string, bias: AnyTensor | null, channels: number, x: Tensor): Tensor | null {
  if (bias === null) return null;
  const b = requireFloat(op, 'bias', bias);
  requireSame(op, x, b);
  if (b.rank !== 1 || b.size !== channels) {
    throw new ShapeError(`${op}: bias must have shape [${String(channels)}], got ${formatShape(b.shape)}`);
  }
  return b;
}

/** Zeros in front of and behind the input. */
function paddingOf(op: string, padding: ConvOptions['padding'], stride: Shape, span: Shape): [number[], number[]] {
  if (padding === 'valid') return [span.map(() => 0), span.map(() => 0)];
  if (padding === 'same') {
    if (stride.some((step) => step !== 1)) {
      throw new RangeError(`${op}: padding 'same' needs stride 1, got [${stride.join(',')}]`);
    }
    const front = span.map((extent) => Math.floor((extent - 1) / 2));
    return [front, span.map((extent, i) => extent - 1 - front[i])];
  }
  const given = perAxis(op, 'padding', padding ?? 0, span.length, 0);
  return [given, given];
}

function geometryOf({ stride, dilation, groups }: Settings, front: Shape, behind: Shape): Geometry {
  return [...threeAxes(stride, 1), ...threeAxes(front, 0), ...threeAxes(behind, 0), ...threeAxes(dilation, 1), groups];
}

// ---- the public functions

function convolve(
  op: string,
  axes: number,
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null,
  options: ConvOptions,
): Tensor {
  return withBatch(op, x, axes, (input) => {
    const w = checkWeight(op, weight, axes, '[outChannels, inChannels / groups, ...]');
    requireSame(op, input, w);
    const settings = settingsOf(op, options, axes);
    const { stride, dilation, groups } = settings;
    const [outChannels, perGroup] = w.shape;
    if (outChannels % groups !== 0) {
      throw new ShapeError(
        `${op}: groups ${String(groups)} must divide the ${String(outChannels)} output channels of weight ` +
          formatShape(w.shape),
      );
    }
    if (input.shape[1] !== perGroup * groups) {
      throw new ShapeError(
        `${op}: x ${formatShape(input.shape)} has ${String(input.shape[1])} channels, weight ${formatShape(w.shape)} ` +
          `with groups ${String(groups)} needs ${String(perGroup * groups)}`,
      );
    }
    const b = checkBias(op, bias, outChannels, input);
    const span = spanOf(spatialOf(w, axes), dilation);
    const [front, behind] = paddingOf(op, options.padding, stride, span);
    const extents = spatialOf(input, axes).map(
      (extent, i) => Math.floor((extent + front[i] + behind[i] - span[i]) / stride[i]) + 1,
    );
    if (extents.some((extent) => extent < 1)) {
      throw new ShapeError(
        `${op}: a kernel that covers ${formatShape(span)} does not fit into x ${formatShape(input.shape)} with padding ` +
          `${formatShape(front)} in front and ${formatShape(behind)} behind`,
      );
    }
    const shape = [input.shape[0], outChannels, ...extents];
    return forward(input, w, b, geometryOf(settings, front, behind), shape);
  });
}

function convolveTransposed(
  op: string,
  axes: number,
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null,
  options: ConvTransposeOptions,
): Tensor {
  return withBatch(op, x, axes, (input) => {
    const w = checkWeight(op, weight, axes, '[inChannels, outChannels / groups, ...]');
    requireSame(op, input, w);
    const settings = settingsOf(op, options, axes);
    const { stride, dilation, groups } = settings;
    const padding = perAxis(op, 'padding', options.padding ?? 0, axes, 0);
    const extra = perAxis(op, 'outputPadding', options.outputPadding ?? 0, axes, 0);
    extra.forEach((amount, i) => {
      if (amount === 0 || amount < stride[i] || amount < dilation[i]) return;
      throw new RangeError(
        `${op}: outputPadding ${String(amount)} must be below the stride ${String(stride[i])} or the dilation ` +
          String(dilation[i]),
      );
    });
    const [inChannels, perGroup] = w.shape;
    if (input.shape[1] !== inChannels || inChannels % groups !== 0) {
      throw new ShapeError(
        `${op}: x ${formatShape(input.shape)} needs ${String(inChannels)} channels for weight ${formatShape(w.shape)}, ` +
          `and groups ${String(groups)} must divide them`,
      );
    }
    const outChannels = perGroup * groups;
    const b = checkBias(op, bias, outChannels, input);
    const span = spanOf(spatialOf(w, axes), dilation);
    const extents = spatialOf(input, axes).map(
      (extent, i) => (extent - 1) * stride[i] - 2 * padding[i] + span[i] + extra[i],
    );
    if (extents.some((extent) => extent < 1) || spatialOf(input, axes).includes(0)) {
      throw new ShapeError(
        `${op}: the output of x ${formatShape(input.shape)} with padding ${formatShape(padding)} would be empty: ` +
          formatShape(extents),
      );
    }
    const behind = padding.map((amount, i) => amount - extra[i]);
    const shape = [input.shape[0], outChannels, ...extents];
    const out = backwardInput(input, w, geometryOf(settings, padding, behind), shape);
    return b === null ? out : add(out, reshape(b, [outChannels, ...extents.map(() => 1)]));
  });
}

/**
 * Convolution over one axis (as in every network library: the kernel is not flipped).
 * @param x float [batch, inChannels, length], or [inChannels, length]
 * @param weight [outChannels, inChannels / groups, kernel], as PyTorch keeps it
 * @param bias [outChannels], or null for none
 * @returns [batch, outChannels, floor((length + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1]
 * @throws ShapeError, DTypeError, RangeError naming the argument that does not fit.
 */
export function conv1d(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolve('conv1d', 1, x, weight, bias, options);
}

/**
 * {@link conv1d} over two axes: x [batch, inChannels, height, width], weight [outChannels, inChannels / groups,
 * height, width].
 */
export function conv2d(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolve('conv2d', 2, x, weight, bias, options);
}

/**
 * {@link conv1d} over three axes: x [batch, inChannels, depth, height, width], weight [outChannels,
 * inChannels / groups, depth, height, width].
 */
export function conv3d(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolve('conv3d', 3, x, weight, bias, options);
}

/**
 * Transposed convolution over one axis: the gradient of {@link conv1d} with respect to its input, as an operation.
 * @param x float [batch, inChannels, length], or [inChannels, length]
 * @param weight [inChannels, outChannels / groups, kernel], as PyTorch keeps it
 * @param bias [outChannels], or null for none
 * @returns [batch, outChannels, (length - 1)·stride - 2·padding + dilation·(kernel - 1) + outputPadding + 1]
 * @throws ShapeError, DTypeError, RangeError naming the argument that does not fit.
 */
export function convTranspose1d(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return convolveTransposed('convTranspose1d', 1, x, weight, bias, options);
}

/**
 * {@link convTranspose1d} over two axes: x [batch, inChannels, height, width], weight [inChannels,
 * outChannels / groups, height, width].
 */
export function convTranspose2d(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return convolveTransposed('convTranspose2d', 2, x, weight, bias, options);
}

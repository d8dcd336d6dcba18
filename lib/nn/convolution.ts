/** Convolution layers. */
import { ShapeError } from '../errors';
import {
  conv1d as conv1dOp,
  conv2d as conv2dOp,
  conv3d as conv3dOp,
  convTranspose1d as convTranspose1dOp,
  convTranspose2d as convTranspose2dOp,
  type ConvOptions,
  type ConvTransposeOptions,
} from '../ops/convolution';
import { pad } from '../ops/rearrange';
import { perAxis, type PerAxis } from '../ops/spatial';
import { zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import { checkInteger, describe, sizeOf, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { uniformGlorot, uniformFanIn, type Initialization } from './init';
import { Module, parameter } from './module';

/** What surrounds the input: zeros, its mirror image, its edge, or its other end. */
export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular';

/** How a convolution layer starts. */
interface LayerOptions {
  /** Add a bias. Default true. */
  bias?: boolean;
  /** Initial values; default `'pytorch'`. `'keras'`: Glorot's uniform weights and zero biases. */
  init?: Initialization;
  /** Where the initial values come from; default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/** Options of {@link Conv1d}, {@link Conv2d} and {@link Conv3d}. */
export interface ConvLayerOptions extends ConvOptions, LayerOptions {
  /** Default 'zeros'. */
  paddingMode?: PaddingMode;
}

/** Options of {@link ConvTranspose1d} and {@link ConvTranspose2d}. */
export interface ConvTransposeLayerOptions extends ConvTransposeOptions, LayerOptions {}

/** Options of {@link DepthwiseConv2d}. */
export interface DepthwiseConvOptions extends Omit<ConvLayerOptions, 'groups'> {
  /** Output channels for each input channel. Default 1. */
  depthMultiplier?: number;
}

/** Channels per connection into and out of a layer, for Glorot's formula. */
interface Fans {
  in: number;
  out: number;
}

function initialize(
  op: string,
  shape: Shape,
  biases: number,
  kerasFans: Fans,
  { init = 'pytorch', generator }: LayerOptions,
): { weight: Tensor; bias: Tensor } {
  const positions = sizeOf(shape.slice(2));
  switch (init) {
    case 'pytorch': {
      const fanIn = shape[1] * positions;
      return { weight: uniformFanIn(shape, fanIn, generator), bias: uniformFanIn([biases], fanIn, generator) };
    }
    case 'keras':
      return {
        weight: uniformGlorot(shape, kerasFans.in * positions, kerasFans.out * positions, generator),
        bias: zeros([biases]),
      };
    default:
      throw new RangeError(`${op}: unknown init ${describe(init)}; known are pytorch, keras`);
  }
}

function checkChannels(op: string, inChannels: number, outChannels: number, groups: number): void {
  checkInteger(op, 'inChannels', inChannels, 1, 2 ** 31 - 1);
  checkInteger(op, 'outChannels', outChannels, 1, 2 ** 31 - 1);
  checkInteger(op, 'groups', groups, 1, 2 ** 31 - 1);
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new ShapeError(
      `${op}: groups ${String(groups)} must divide inChannels ${String(inChannels)} and outChannels ${String(outChannels)}`,
    );
  }
}

/** What all convolution layers have: weight, bias, and the kernel's extents. */
abstract class ConvLayer extends Module {
  weight: Tensor;
  bias: Tensor | null;

  protected constructor(
    op: string,
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernelSize: readonly number[],
    weightChannels: readonly [number, number],
    kerasFans: Fans,
    options: LayerOptions,
  ) {
    super();
    const shape = [...weightChannels, ...kernelSize];
    const { weight, bias } = initialize(op, shape, outChannels, kerasFans, options);
    this.weight = parameter(weight);
    if (options.bias === false) bias.dispose();
    this.bias = options.bias === false ? null : parameter(bias);
  }
}

type ConvFunction = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor | null, options: ConvOptions) => Tensor;

/** A convolution over `axes` axes. */
abstract class ConvNd extends ConvLayer {
  /** What the function is called with. */
  readonly options: Readonly<ConvOptions>;
  readonly paddingMode: PaddingMode;
  /** What is put around the input beforehand unless it is zeros: of the last axis before and after, and so on. */
  private readonly around: readonly number[] | null;

  protected constructor(
    private readonly op: string,
    private readonly axes: number,
    private readonly compute: ConvFunction,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
    kerasFans?: Fans,
  ) {
    const { stride = 1, padding = 0, dilation = 1, groups = 1, paddingMode = 'zeros' } = options;
    checkChannels(op, inChannels, outChannels, groups);
    const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1);
    const perGroup = inChannels / groups;
    const fans = kerasFans ?? { in: perGroup, out: outChannels };
    const steps = perAxis(op, 'stride', stride, axes, 1);
    const distances = perAxis(op, 'dilation', dilation, axes, 1);
    if (padding === 'same' && steps.some((step) => step !== 1)) {
      throw new RangeError(`${op}: padding 'same' needs stride 1, got [${steps.join(',')}]`);
    }
    if (padding !== 'same' && padding !== 'valid') perAxis(op, 'padding', padding, axes, 0);
    if (!['zeros', 'reflect', 'replicate', 'circular'].includes(paddingMode)) {
      throw new RangeError(
        `${op}: unknown paddingMode ${describe(paddingMode)}; known are zeros, reflect, replicate, circular`,
      );
    }
    super(op, inChannels, outChannels, kernel, [outChannels, perGroup], fans, options);
    this.paddingMode = paddingMode;
    this.around = paddingMode === 'zeros' ? null : surroundings(padding, kernel, distances);
    this.options = { stride, padding: paddingMode === 'zeros' ? padding : 0, dilation, groups };
  }

  /** @param x float [batch, inChannels, …], or without the batch axis */
  override forward(x: AnyTensor): Tensor {
    if (this.around === null || this.paddingMode === 'zeros') {
      return this.compute(x, this.weight, this.bias, this.options);
    }
    if (x.rank < this.axes + 1) throw new ShapeError(`${this.op}: x has too few axes: ${String(x.rank)}`);
    return this.compute(pad(x, this.around, { mode: this.paddingMode }), this.weight, this.bias, this.options);
  }
}

/** The padding of every axis as `pad` takes it, from the last axis. */
function surroundings(padding: NonNullable<ConvOptions['padding']>, kernel: Shape, dilation: Shape): number[] {
  if (padding === 'valid') return kernel.flatMap(() => [0, 0]);
  const pairs = kernel.map((extent, i): [number, number] => {
    if (padding !== 'same') {
      const amount = typeof padding === 'number' ? padding : padding[i];
      return [amount, amount];
    }
    const total = dilation[i] * (extent - 1);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  return pairs.reverse().flat();
}

/**
 * Convolution over [batch, inChannels, length], as PyTorch's `nn.Conv1d`: weight [outChannels,
 * inChannels / groups, kernel], bias [outChannels].
 */
export class Conv1d extends ConvNd {
  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the kernel's extent
   * @throws ShapeError, RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super('conv1d', 1, conv1dOp, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Convolution over [batch, inChannels, height, width], as PyTorch's `nn.Conv2d`: weight [outChannels,
 * inChannels / groups, height, width], bias [outChannels].
 */
export class Conv2d extends ConvNd {
  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the kernel's extents: one number, or [height, width]
   * @throws ShapeError, RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super('conv2d', 2, conv2dOp, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Convolution over [batch, inChannels, depth, height, width], as PyTorch's `nn.Conv3d`: weight
 * [outChannels, inChannels / groups, depth, height, width], bias [outChannels].
 */
export class Conv3d extends ConvNd {
  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the kernel's extents: one number, or [depth, height, width]
   * @throws ShapeError, RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super('conv3d', 3, conv3dOp, inChannels, outChannels, kernelSize, options);
  }
}

type TransposeFunction = (
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | null,
  options: ConvTransposeOptions,
) => Tensor;

/** A transposed convolution over `axes` axes. */
abstract class ConvTransposeNd extends ConvLayer {
  /** What the function is called with. */
  readonly options: Readonly<ConvTransposeOptions>;

  protected constructor(
    op: string,
    axes: number,
    private readonly compute: TransposeFunction,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvTransposeLayerOptions,
  ) {
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
    checkChannels(op, inChannels, outChannels, groups);
    const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1);
    perAxis(op, 'stride', stride, axes, 1);
    perAxis(op, 'padding', padding, axes, 0);
    perAxis(op, 'outputPadding', outputPadding, axes, 0);
    perAxis(op, 'dilation', dilation, axes, 1);
    const perGroup = outChannels / groups;
    super(op, inChannels, outChannels, kernel, [inChannels, perGroup], { in: perGroup, out: inChannels }, options);
    this.options = { stride, padding, outputPadding, dilation, groups };
  }

  /** @param x float [batch, inChannels, …], or without the batch axis */
  override forward(x: AnyTensor): Tensor {
    return this.compute(x, this.weight, this.bias, this.options);
  }
}

/**
 * Transposed convolution over [batch, inChannels, length], as PyTorch's `nn.ConvTranspose1d`: weight
 * [inChannels, outChannels / groups, kernel], bias [outChannels].
 */
export class ConvTranspose1d extends ConvTransposeNd {
  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the kernel's extent
   * @throws ShapeError, RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super('convTranspose1d', 1, convTranspose1dOp, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Transposed convolution over [batch, inChannels, height, width], as PyTorch's `nn.ConvTranspose2d`:
 * weight [inChannels, outChannels / groups, height, width], bias [outChannels].
 */
export class ConvTranspose2d extends ConvTransposeNd {
  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the kernel's extents: one number, or [height, width]
   * @throws ShapeError, RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super('convTranspose2d', 2, convTranspose2dOp, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Convolution over [batch, channels, height, width] that filters every channel by itself: weight
 * [channels · depthMultiplier, 1, height, width], output channels in the order of the input's. PyTorch's
 * `nn.Conv2d` with as many groups as channels.
 */
export class DepthwiseConv2d extends ConvNd {
  /**
   * @param channels channels of the input
   * @param kernelSize the kernel's extents: one number, or [height, width]
   * @throws RangeError naming the argument that does not fit.
   */
  constructor(channels: number, kernelSize: PerAxis, options: DepthwiseConvOptions = {}) {
    const { depthMultiplier = 1, ...rest } = options;
    checkInteger('depthwiseConv2d', 'channels', channels, 1, 2 ** 31 - 1);
    checkInteger('depthwiseConv2d', 'depthMultiplier', depthMultiplier, 1, 2 ** 15);
    const all = { ...rest, groups: channels };
    const fans = { in: channels, out: depthMultiplier };
    super('depthwiseConv2d', 2, conv2dOp, channels, channels * depthMultiplier, kernelSize, all, fans);
  }
}

/**
 * A depthwise convolution without a bias, then a 1×1 convolution that mixes the channels (Chollet, 2017), as Keras's
 * `SeparableConv2D`. The parameters are `depthwise.weight`, `pointwise.weight` and `pointwise.bias`.
 */
export class SeparableConv2d extends Module {
  readonly depthwise: DepthwiseConv2d;
  readonly pointwise: Conv2d;

  /**
   * @param inChannels channels of the input
   * @param outChannels channels of the output
   * @param kernelSize the depthwise kernel's extents: one number, or [height, width]
   * @param options stride, padding and dilation are the depthwise convolution's; `bias` the pointwise one's
   * @throws RangeError naming the argument that does not fit.
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: DepthwiseConvOptions = {}) {
    super();
    const { bias, init, generator } = options;
    this.depthwise = new DepthwiseConv2d(inChannels, kernelSize, { ...options, bias: false });
    this.pointwise = new Conv2d(this.depthwise.outChannels, outChannels, 1, { bias, init, generator });
  }

  /** @param x float [batch, inChannels, height, width], or without the batch axis */
  override forward(x: AnyTensor): Tensor {
    return this.pointwise.forward(this.depthwise.forward(x));
  }
}

/** {@link Conv1d} */
export function conv1d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: ConvLayerOptions,
): Conv1d {
  return new Conv1d(inChannels, outChannels, kernelSize, options);
}

/** {@link Conv2d} */
export function conv2d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: ConvLayerOptions,
): Conv2d {
  return new Conv2d(inChannels, outChannels, kernelSize, options);
}

/** {@link Conv3d} */
export function conv3d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: ConvLayerOptions,
): Conv3d {
  return new Conv3d(inChannels, outChannels, kernelSize, options);
}

/** {@link ConvTranspose1d} */
export function convTranspose1d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: ConvTransposeLayerOptions,
): ConvTranspose1d {
  return new ConvTranspose1d(inChannels, outChannels, kernelSize, options);
}

/** {@link ConvTranspose2d} */
export function convTranspose2d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: ConvTransposeLayerOptions,
): ConvTranspose2d {
  return new ConvTranspose2d(inChannels, outChannels, kernelSize, options);
}

/** {@link DepthwiseConv2d} */
export function depthwiseConv2d(
  channels: number,
  kernelSize: PerAxis,
  options?: DepthwiseConvOptions,
): DepthwiseConv2d {
  return new DepthwiseConv2d(channels, kernelSize, options);
}

/** {@link SeparableConv2d} */
export function separableConv2d(
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options?: DepthwiseConvOptions,
): SeparableConv2d {
  return new SeparableConv2d(inChannels, outChannels, kernelSize, options);
}

/** Pooling, resampling and pixel shuffling as layers. */
import { ShapeError } from '../errors';
import {
  adaptiveAvgPool1d as adaptiveAvgPool1dOp,
  adaptiveAvgPool2d as adaptiveAvgPool2dOp,
  adaptiveAvgPool3d as adaptiveAvgPool3dOp,
  adaptiveMaxPool1d as adaptiveMaxPool1dOp,
  adaptiveMaxPool2d as adaptiveMaxPool2dOp,
  avgPool1d as avgPool1dOp,
  avgPool2d as avgPool2dOp,
  avgPool3d as avgPool3dOp,
  lpPool1d as lpPool1dOp,
  lpPool2d as lpPool2dOp,
  maxPool1d as maxPool1dOp,
  maxPool2d as maxPool2dOp,
  maxPool3d as maxPool3dOp,
  type AdaptiveSize,
  type AvgPoolOptions,
  type LpPoolOptions,
  type MaxPoolOptions,
} from '../ops/pooling';
import { max, mean, requireFloat } from '../ops/reduce';
import {
  interpolate,
  pixelShuffle as pixelShuffleOp,
  pixelUnshuffle as pixelUnshuffleOp,
  type InterpolateOptions,
} from '../ops/resample';
import type { PerAxis } from '../ops/spatial';
import { formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Module } from './module';

/** Options of the max pooling layers; for the positions use the function. */
export type MaxPoolLayerOptions = Omit<MaxPoolOptions, 'returnIndices'>;

/** The largest element of each window of [batch, channels, length]; see `functional.maxPool1d`. */
export class MaxPool1d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: MaxPoolLayerOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return maxPool1dOp(x, this.kernelSize, this.options);
  }
}

/** The largest element of each window of [batch, channels, height, width]; see `functional.maxPool2d`. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: MaxPoolLayerOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return maxPool2dOp(x, this.kernelSize, this.options);
  }
}

/** The largest element of each window of [batch, channels, depth, height, width]; see `functional.maxPool3d`. */
export class MaxPool3d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: MaxPoolLayerOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return maxPool3dOp(x, this.kernelSize, this.options);
  }
}

/** The mean of each window of [batch, channels, length]; see `functional.avgPool1d`. */
export class AvgPool1d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: AvgPoolOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return avgPool1dOp(x, this.kernelSize, this.options);
  }
}

/** The mean of each window of [batch, channels, height, width]; see `functional.avgPool2d`. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: AvgPoolOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return avgPool2dOp(x, this.kernelSize, this.options);
  }
}

/** The mean of each window of [batch, channels, depth, height, width]; see `functional.avgPool3d`. */
export class AvgPool3d extends Module {
  constructor(
    readonly kernelSize: PerAxis,
    readonly options: AvgPoolOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return avgPool3dOp(x, this.kernelSize, this.options);
  }
}

/** (Σ x^p)^(1/p) over each window of [batch, channels, length]; see `functional.lpPool1d`. */
export class LPPool1d extends Module {
  constructor(
    readonly normType: number,
    readonly kernelSize: PerAxis,
    readonly options: LpPoolOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return lpPool1dOp(x, this.normType, this.kernelSize, this.options);
  }
}

/** (Σ x^p)^(1/p) over each window of [batch, channels, height, width]; see `functional.lpPool2d`. */
export class LPPool2d extends Module {
  constructor(
    readonly normType: number,
    readonly kernelSize: PerAxis,
    readonly options: LpPoolOptions = {},
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return lpPool2dOp(x, this.normType, this.kernelSize, this.options);
  }
}

/** Means over as many windows of [batch, channels, length] as the output is to have. */
export class AdaptiveAvgPool1d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return adaptiveAvgPool1dOp(x, this.outputSize);
  }
}

/** Means over as many windows of [batch, channels, height, width] as the output is to have. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return adaptiveAvgPool2dOp(x, this.outputSize);
  }
}

/** Means over as many windows of [batch, channels, depth, height, width] as the output is to have. */
export class AdaptiveAvgPool3d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return adaptiveAvgPool3dOp(x, this.outputSize);
  }
}

/** Maxima over as many windows of [batch, channels, length] as the output is to have. */
export class AdaptiveMaxPool1d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return adaptiveMaxPool1dOp(x, this.outputSize);
  }
}

/** Maxima over as many windows of [batch, channels, height, width] as the output is to have. */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return adaptiveMaxPool2dOp(x, this.outputSize);
  }
}

/** The axes after batch and channels; [batch, channels, …] must have `count` of them. */
function spatialAxes(op: string, x: AnyTensor, count: number): { input: Tensor; axes: number[] } {
  const input = requireFloat(op, 'x', x);
  if (input.rank !== count + 2) {
    throw new ShapeError(
      `${op}: x must have batch, channels and ${String(count)} more axes, got ${formatShape(input.shape)}`,
    );
  }
  return { input, axes: Array.from({ length: count }, (_, i) => i + 2) };
}

/** The mean over all positions: [batch, channels, length] becomes [batch, channels], as Keras's `GlobalAveragePooling1D`. */
export class GlobalAvgPool1d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalAvgPool1d', x, 1);
    return mean(input, axes);
  }
}

/** The mean over all positions: [batch, channels, height, width] becomes [batch, channels], as Keras's `GlobalAveragePooling2D`. */
export class GlobalAvgPool2d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalAvgPool2d', x, 2);
    return mean(input, axes);
  }
}

/** The mean over all positions: [batch, channels, depth, height, width] becomes [batch, channels], as Keras's `GlobalAveragePooling3D`. */
export class GlobalAvgPool3d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalAvgPool3d', x, 3);
    return mean(input, axes);
  }
}

/** The maximum over all positions: [batch, channels, length] becomes [batch, channels], as Keras's `GlobalMaxPooling1D`. */
export class GlobalMaxPool1d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalMaxPool1d', x, 1);
    return max(input, axes);
  }
}

/** The maximum over all positions: [batch, channels, height, width] becomes [batch, channels], as Keras's `GlobalMaxPooling2D`. */
export class GlobalMaxPool2d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalMaxPool2d', x, 2);
    return max(input, axes);
  }
}

/** The maximum over all positions: [batch, channels, depth, height, width] becomes [batch, channels], as Keras's `GlobalMaxPooling3D`. */
export class GlobalMaxPool3d extends Module {
  override forward(x: AnyTensor): Tensor {
    const { input, axes } = spatialAxes('globalMaxPool3d', x, 3);
    return max(input, axes);
  }
}

/** Resamples [batch, channels, …] to another size; see `functional.interpolate`. */
export class Upsample extends Module {
  /** @param options one of `size` and `scaleFactor`, and the mode (default 'nearest') */
  constructor(readonly options: InterpolateOptions) {
    super();
    if ((options.size === undefined) === (options.scaleFactor === undefined)) {
      throw new TypeError('upsample: give either size or scaleFactor');
    }
  }

  override forward(x: AnyTensor): Tensor {
    return interpolate(x, this.options);
  }
}

/** [..., C·r², H, W] becomes [..., C, H·r, W·r] (Shi et al., 2016). */
export class PixelShuffle extends Module {
  constructor(readonly upscaleFactor: number) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return pixelShuffleOp(x, this.upscaleFactor);
  }
}

/** [..., C, H·r, W·r] becomes [..., C·r², H, W]. */
export class PixelUnshuffle extends Module {
  constructor(readonly downscaleFactor: number) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return pixelUnshuffleOp(x, this.downscaleFactor);
  }
}

/** {@link MaxPool1d} */
export function maxPool1d(kernelSize: PerAxis, options?: MaxPoolLayerOptions): MaxPool1d {
  return new MaxPool1d(kernelSize, options);
}

/** {@link MaxPool2d} */
export function maxPool2d(kernelSize: PerAxis, options?: MaxPoolLayerOptions): MaxPool2d {
  return new MaxPool2d(kernelSize, options);
}

/** {@link MaxPool3d} */
export function maxPool3d(kernelSize: PerAxis, options?: MaxPoolLayerOptions): MaxPool3d {
  return new MaxPool3d(kernelSize, options);
}

/** {@link AvgPool1d} */
export function avgPool1d(kernelSize: PerAxis, options?: AvgPoolOptions): AvgPool1d {
  return new AvgPool1d(kernelSize, options);
}

/** {@link AvgPool2d} */
export function avgPool2d(kernelSize: PerAxis, options?: AvgPoolOptions): AvgPool2d {
  return new AvgPool2d(kernelSize, options);
}

/** {@link AvgPool3d} */
export function avgPool3d(kernelSize: PerAxis, options?: AvgPoolOptions): AvgPool3d {
  return new AvgPool3d(kernelSize, options);
}

/** {@link LPPool1d} */
export function lpPool1d(normType: number, kernelSize: PerAxis, options?: LpPoolOptions): LPPool1d {
  return new LPPool1d(normType, kernelSize, options);
}

/** {@link LPPool2d} */
export function lpPool2d(normType: number, kernelSize: PerAxis, options?: LpPoolOptions): LPPool2d {
  return new LPPool2d(normType, kernelSize, options);
}

/** {@link AdaptiveAvgPool1d} */
export function adaptiveAvgPool1d(outputSize: AdaptiveSize): AdaptiveAvgPool1d {
  return new AdaptiveAvgPool1d(outputSize);
}

/** {@link AdaptiveAvgPool2d} */
export function adaptiveAvgPool2d(outputSize: AdaptiveSize): AdaptiveAvgPool2d {
  return new AdaptiveAvgPool2d(outputSize);
}

/** {@link AdaptiveAvgPool3d} */
export function adaptiveAvgPool3d(outputSize: AdaptiveSize): AdaptiveAvgPool3d {
  return new AdaptiveAvgPool3d(outputSize);
}

/** {@link AdaptiveMaxPool1d} */
export function adaptiveMaxPool1d(outputSize: AdaptiveSize): AdaptiveMaxPool1d {
  return new AdaptiveMaxPool1d(outputSize);
}

/** {@link AdaptiveMaxPool2d} */
export function adaptiveMaxPool2d(outputSize: AdaptiveSize): AdaptiveMaxPool2d {
  return new AdaptiveMaxPool2d(outputSize);
}

/** {@link GlobalAvgPool1d} */
export function globalAvgPool1d(): GlobalAvgPool1d {
  return new GlobalAvgPool1d();
}

/** {@link GlobalAvgPool2d} */
export function globalAvgPool2d(): GlobalAvgPool2d {
  return new GlobalAvgPool2d();
}

/** {@link GlobalAvgPool3d} */
export function globalAvgPool3d(): GlobalAvgPool3d {
  return new GlobalAvgPool3d();
}

/** {@link GlobalMaxPool1d} */
export function globalMaxPool1d(): GlobalMaxPool1d {
  return new GlobalMaxPool1d();
}

/** {@link GlobalMaxPool2d} */
export function globalMaxPool2d(): GlobalMaxPool2d {
  return new GlobalMaxPool2d();
}

/** {@link GlobalMaxPool3d} */
export function globalMaxPool3d(): GlobalMaxPool3d {
  return new GlobalMaxPool3d();
}

/** {@link Upsample} */
export function upsample(options: InterpolateOptions): Upsample {
  return new Upsample(options);
}

/** {@link PixelShuffle} */
export function pixelShuffle(upscaleFactor: number): PixelShuffle {
  return new PixelShuffle(upscaleFactor);
}

/** {@link PixelUnshuffle} */
export function pixelUnshuffle(downscaleFactor: number): PixelUnshuffle {
  return new PixelUnshuffle(downscaleFactor);
}

/** Normalization layers. */
import * as f from '../ops/normalization';
import { add, mul } from '../ops/binary';
import { assign } from '../ops/update';
import { noGrad } from '../autograd/node';
import { ShapeError } from '../errors';
import { ones, zeros } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { checkInteger, checkNumber, checkShape, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { buffer, Module, parameter } from './module';

/** Options of the batch and instance normalization layers. */
export interface BatchNormLayerOptions {
  /** Added to the variance. Default 1e-5, as in PyTorch; Keras has 1e-3. */
  eps?: number;
  /** The weight of a new batch in the running statistics. Default 0.1; Keras counts the other way round, 0.99. */
  momentum?: number;
  /** Learn a scale and a shift for each channel. Default true; for instance normalization false. */
  affine?: boolean;
  /** Keep running statistics for evaluation. Default true; for instance normalization false. */
  trackRunningStats?: boolean;
}

/**
 * Batch normalization (Ioffe and Szegedy, 2015). In training a channel is normalized by its own batch; in evaluation by
 * the running mean and variance. Parameters `weight`, `bias`; buffers `running_mean`, `running_var`,
 * `num_batches_tracked`, as PyTorch's.
 */
abstract class BatchNorm extends Module {
  weight: Tensor | null;
  bias: Tensor | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  numBatchesTracked: Tensor<'int64'> | null;
  readonly eps: number;
  readonly momentum: number;

  constructor(
    private readonly layer: string,
    private readonly ranks: readonly number[],
    readonly features: number,
    options: BatchNormLayerOptions,
  ) {
    super();
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    checkInteger(layer, 'features', features, 1, 2 ** 31 - 1);
    checkNumber(layer, 'eps', eps, 0);
    checkNumber(layer, 'momentum', momentum, 0, 1);
    this.eps = eps;
    this.momentum = momentum;
    this.weight = affine ? parameter(ones([features])) : null;
    this.bias = affine ? parameter(zeros([features])) : null;
    this.runningMean = trackRunningStats ? buffer(zeros([features])) : null;
    this.runningVar = trackRunningStats ? buffer(ones([features])) : null;
    this.numBatchesTracked = trackRunningStats ? buffer(zeros([], { dtype: 'int64' })) : null;
  }

  override forward(x: AnyTensor): Tensor {
    if (!this.ranks.includes(x.rank) || x.shape[1] !== this.features) {
      throw new ShapeError(
        `${this.layer}(${String(this.features)}): expected an input of rank ${this.ranks.join(' or ')} with ` +
          `${String(this.features)} channels at axis 1, got ${formatShape(x.shape)}`,
      );
    }
    const options = { weight: this.weight, bias: this.bias, eps: this.eps };
    if (!this.training && this.runningMean !== null && this.runningVar !== null) {
      return f.batchNorm(x, { ...options, running: { mean: this.runningMean, variance: this.runningVar } });
    }
    return f.batchNorm(x, {
      ...options,
      onStatistics: this.training
        ? (batch) => {
            this.update(batch);
          }
        : undefined,
    });
  }

  private update({ mean, variance, count }: f.BatchStatistics): void {
    const { runningMean, runningVar, numBatchesTracked } = this;
    if (runningMean === null || runningVar === null || numBatchesTracked === null) return;
    noGrad(() => {
      tidy(() => {
        const blend = (old: Tensor, now: Tensor): Tensor => add(mul(old, 1 - this.momentum), mul(now, this.momentum));
        assign(runningMean, blend(runningMean, mean));
        // The running variance has Bessel's correction, as PyTorch's.
        assign(runningVar, blend(runningVar, mul(variance, count / (count - 1))));
        assign(numBatchesTracked, add(numBatchesTracked, 1));
      });
    });
  }
}

/** {@link BatchNorm} of [n, features] or [n, features, length]. */
export class BatchNorm1d extends BatchNorm {
  constructor(features: number, options: BatchNormLayerOptions = {}) {
    super('BatchNorm1d', [2, 3], features, options);
  }
}
/** {@link BatchNorm} of [n, features, height, width]. */
export class BatchNorm2d extends BatchNorm {
  constructor(features: number, options: BatchNormLayerOptions = {}) {
    super('BatchNorm2d', [4], features, options);
  }
}
/** {@link BatchNorm} of [n, features, depth, height, width]. */
export class BatchNorm3d extends BatchNorm {
  constructor(features: number, options: BatchNormLayerOptions = {}) {
    super('BatchNorm3d', [5], features, options);
  }
}

/** Options of {@link LayerNorm}. */
export interface LayerNormLayerOptions {
  /** Default 1e-5, as in PyTorch; Keras has 1e-3. */
  eps?: number;
  /** Learn a scale and a shift for each element. Default true. */
  elementwiseAffine?: boolean;
  /** With a shift. Default true. */
  bias?: boolean;
}

function shapeOf(layer: string, shape: number | readonly number[]): number[] {
  return checkShape(layer, typeof shape === 'number' ? [shape] : shape);
}

/** Normalizes the last axes (Ba et al., 2016). */
export class LayerNorm extends Module {
  weight: Tensor | null;
  bias: Tensor | null;
  readonly shape: readonly number[];
  readonly eps: number;

  /** @param shape the last axes, or the last one */
  constructor(shape: number | readonly number[], options: LayerNormLayerOptions = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true, bias = true } = options;
    checkNumber('LayerNorm', 'eps', eps, 0);
    this.shape = shapeOf('LayerNorm', shape);
    this.eps = eps;
    this.weight = elementwiseAffine ? parameter(ones(this.shape)) : null;
    this.bias = elementwiseAffine && bias ? parameter(zeros(this.shape)) : null;
  }

  override forward(x: AnyTensor): Tensor {
    return f.layerNorm(x, this.shape, { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}

/** Divides the last axes by their root mean square (Zhang and Sennrich, 2019). */
export class RMSNorm extends Module {
  weight: Tensor | null;
  readonly shape: readonly number[];
  readonly eps: number;

  constructor(shape: number | readonly number[], options: { eps?: number; elementwiseAffine?: boolean } = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true } = options;
    checkNumber('RMSNorm', 'eps', eps, 0);
    this.shape = shapeOf('RMSNorm', shape);
    this.eps = eps;
    this.weight = elementwiseAffine ? parameter(ones(this.shape)) : null;
  }

  override forward(x: AnyTensor): Tensor {
    return f.rmsNorm(x, this.shape, { weight: this.weight, eps: this.eps });
  }
}

/** Normalizes groups of channels of each sample (Wu and He, 2018). */
export class GroupNorm extends Module {
  weight: Tensor | null;
  bias: Tensor | null;
  readonly eps: number;

  constructor(
    readonly groups: number,
    readonly channels: number,
    options: { eps?: number; affine?: boolean } = {},
  ) {
    super();
    const { eps = 1e-5, affine = true } = options;
    checkInteger('GroupNorm', 'channels', channels, 1, 2 ** 31 - 1);
    checkInteger('GroupNorm', 'groups', groups, 1, channels);
    if (channels % groups !== 0) {
      throw new RangeError(`GroupNorm: ${String(channels)} channels are no multiple of ${String(groups)} groups`);
    }
    checkNumber('GroupNorm', 'eps', eps, 0);
    this.eps = eps;
    this.weight = affine ? parameter(ones([channels])) : null;
    this.bias = affine ? parameter(zeros([channels])) : null;
  }

  override forward(x: AnyTensor): Tensor {
    return f.groupNorm(x, this.groups, { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}

/** Normalizes each channel of each sample over its spatial axes (Ulyanov et al., 2016). */
abstract class InstanceNorm extends Module {
  weight: Tensor | null;
  bias: Tensor | null;
  readonly eps: number;

  constructor(
    private readonly layer: string,
    private readonly rank: number,
    readonly features: number,
    options: { eps?: number; affine?: boolean },
  ) {
    super();
    const { eps = 1e-5, affine = false } = options;
    checkInteger(layer, 'features', features, 1, 2 ** 31 - 1);
    checkNumber(layer, 'eps', eps, 0);
    this.eps = eps;
    this.weight = affine ? parameter(ones([features])) : null;
    this.bias = affine ? parameter(zeros([features])) : null;
  }

  override forward(x: AnyTensor): Tensor {
    if (x.rank !== this.rank) {
      throw new ShapeError(
        `${this.layer}: expected an input of rank ${String(this.rank)}, got ${formatShape(x.shape)}`,
      );
    }
    return f.instanceNorm(x, { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}

/** {@link InstanceNorm} of [n, features, length]. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(features: number, options: { eps?: number; affine?: boolean } = {}) {
    super('InstanceNorm1d', 3, features, options);
  }
}
/** {@link InstanceNorm} of [n, features, height, width]. */
export class InstanceNorm2d extends InstanceNorm {
  constructor(features: number, options: { eps?: number; affine?: boolean } = {}) {
    super('InstanceNorm2d', 4, features, options);
  }
}

/** {@link BatchNorm1d} */
export const batchNorm1d = (features: number, options?: BatchNormLayerOptions): BatchNorm1d =>
  new BatchNorm1d(features, options);
/** {@link BatchNorm2d} */
export const batchNorm2d = (features: number, options?: BatchNormLayerOptions): BatchNorm2d =>
  new BatchNorm2d(features, options);
/** {@link LayerNorm} */
export const layerNorm = (shape: number | readonly number[], options?: LayerNormLayerOptions): LayerNorm =>
  new LayerNorm(shape, options);
/** {@link RMSNorm} */
export const rmsNorm = (shape: number | readonly number[], options?: { eps?: number }): RMSNorm =>
  new RMSNorm(shape, options);
/** {@link GroupNorm} */
export const groupNorm = (groups: number, channels: number, options?: { eps?: number; affine?: boolean }): GroupNorm =>
  new GroupNorm(groups, channels, options);

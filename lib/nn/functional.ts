/** Layers, activations and losses as plain functions. */
export { linear } from '../ops/matmul';
export { relu, sigmoid, tanh } from '../ops/unary';
export * from '../ops/activations';
export { dropout, type DropoutOptions } from '../ops/random';
export { oneHot } from '../ops/gather';
export { pad } from '../ops/rearrange';
export { batchNorm, groupNorm, instanceNorm, layerNorm, normalize, rmsNorm } from '../ops/normalization';
export type { BatchNormOptions, BatchStatistics, GroupNormOptions } from '../ops/normalization';
export type { LayerNormOptions, NormalizeOptions } from '../ops/normalization';
export { scaledDotProductAttention, type AttentionOptions } from '../ops/attention';
export { embedding, type EmbeddingFunctionOptions } from '../ops/embedding';
export { bilinear } from '../ops/bilinear';
export { logSoftmax, softmax } from '../ops/softmax';
export * from '../ops/losses';
export {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  type ConvOptions,
  type ConvTransposeOptions,
} from '../ops/convolution';
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  lpPool1d,
  lpPool2d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type AdaptiveMaxPoolOptions,
  type AdaptiveSize,
  type AvgPoolOptions,
  type LpPoolOptions,
  type MaxPoolOptions,
  type Pooled,
} from '../ops/pooling';
export {
  interpolate,
  pixelShuffle,
  pixelUnshuffle,
  type InterpolateMode,
  type InterpolateOptions,
} from '../ops/resample';
export type { PerAxis } from '../ops/spatial';

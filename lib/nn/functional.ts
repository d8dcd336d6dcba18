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

/** Layers, activations and losses as plain functions. */
export { linear } from '../ops/matmul';
export { relu, sigmoid, tanh } from '../ops/unary';
export * from '../ops/activations';
export { dropout, type DropoutOptions } from '../ops/random';
export { oneHot } from '../ops/gather';
export { pad } from '../ops/rearrange';
export { crossEntropy, logSoftmax, mseLoss, softmax, type Reduction } from '../ops/softmax';

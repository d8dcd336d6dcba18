/** Layers and losses as plain functions. */
export { linear } from '../ops/matmul';
export { relu, sigmoid, tanh } from '../ops/elementwise';
export { crossEntropy, logSoftmax, mseLoss, softmax, type Reduction } from '../ops/softmax';

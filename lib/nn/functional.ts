/** Layers and losses as plain functions. */
export { linear } from '../ops/matmul';
export { relu, sigmoid, tanh } from '../ops/elementwise';
export { logSoftmax, softmax } from '../ops/softmax';
export * from '../ops/losses';

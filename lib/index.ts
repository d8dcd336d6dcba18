/**
 * Kindling: deep learning for Node.js with a native core.
 * @packageDocumentation
 */
export * from './errors';
export * from './runtime';
export { Tensor, isTensor, type AnyTensor, type BackwardOptions, type NestedArray } from './tensor/tensor';
export type { DataOf, DType, FloatDType, FloatOf, Promoted } from './tensor/dtype';
export type { Shape } from './tensor/shape';
export { keep, tidy } from './tensor/scope';
export * from './tensor/creation';
export { Generator, manualSeed } from './tensor/generator';
export * from './ops/elementwise';
export { cast, clone, concat, contiguous, indexSelect } from './ops/copies';
export { argmax, argmin, max, mean, min, sum, type ReduceOptions } from './ops/reduce';
export { linear, matmul } from './ops/matmul';
export { crossEntropy, logSoftmax, mseLoss, softmax, type Reduction } from './ops/softmax';
export { expand, flatten, permute, reshape, slice, squeeze, transpose, unsqueeze, type SliceSpec } from './ops/views';
export { noGrad } from './autograd/node';
export { gradients, type GradientsOptions } from './autograd/backward';
export { grad, valueAndGrad } from './autograd/functional';
export { checkGradients, checkSecondOrder, type GradcheckOptions } from './autograd/gradcheck';
export * as linalg from './ops/linalg';
export * as fft from './ops/fft';
export * as nn from './nn';
export * as optim from './optim';
export * as metrics from './metrics';
export * as data from './data';
import './train/keras';
export type { CompileOptions, OptimizerName } from './train/compile';
export type { EvaluateOptions, FitOptions, History, Logs } from './train/fit';
export type { LossFunction, LossName } from './train/losses';

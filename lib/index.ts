/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Kindling: deep learning for Node.js with a native core.
 * @packageDocumentation
 */
export * from './errors';
export * from './runtime';
export * as cuda from './cuda';
export { cudaStatus, type CudaStatus } from './cuda';
export { defaultDevice, setDefaultDevice, type Device } from './tensor/device';
export { Tensor, isTensor } from './tensor/tensor';
export type { AnyTensor, BackwardOptions, NestedArray, SparseGrad } from './tensor/tensor';
export type { DataOf, DType, FloatDType, FloatOf, Promoted } from './tensor/dtype';
export type { Shape } from './tensor/shape';
export { keep, tidy } from './tensor/scope';
export * from './tensor/creation';
export { Generator, manualSeed } from './tensor/generator';
export * from './ops/elementwise';
export { cast, clone, concat, contiguous } from './ops/copies';
export { to } from './ops/transfer';
export { all, any, argmax, argmin, max, mean, min, prod, sum, type Axes, type ReduceOptions } from './ops/reduce';
export * from './ops/statistics';
export { cumprod, cumsum, linearScan, type ScanOptions } from './ops/scan';
export * from './ops/sort';
export { gather, indexAdd, indexSelect, maskedFill, maskedSelect, nonzero, oneHot, scatter } from './ops/gather';
export { scatterAdd, type Index, type OneHotOptions } from './ops/gather';
export { index, type IndexSpec } from './ops/indexing';
export * from './ops/rearrange';
export * from './ops/einsum';
export * from './ops/random';
export { linear, matmul } from './ops/matmul';
export { logSoftmax, softmax } from './ops/softmax';
export { crossEntropy, mseLoss, type Reduction } from './ops/losses';
export { expand, flatten, permute, reshape, slice, squeeze, transpose, unsqueeze, type SliceSpec } from './ops/views';
export { noGrad } from './autograd/node';
export { gradients, type GradientsOptions } from './autograd/backward';
export { grad, valueAndGrad } from './autograd/functional';
export { hessian, jacobian, jvp, vjp, type TensorFunction } from './autograd/derivatives';
export { checkpoint, customFunction, type CustomFunction, type FunctionContext } from './autograd/custom';
export { detectAnomaly } from './autograd/anomaly';
export { assign } from './ops/update';
export { checkGradients, checkSecondOrder, type GradcheckOptions } from './autograd/gradcheck';
export { compile, type CompiledStep, type CompileStepOptions } from './compile';
export * as linalg from './ops/linalg';
export * as fft from './ops/fft';
export * as nn from './nn';
export * as optim from './optim';
export * as metrics from './metrics';
export * as data from './data';
import './train/keras';
export type { CompileOptions, OptimizerName } from './train/compile';
export type { EvaluateOptions, PredictionData } from './train/evaluate';
export type { TrainingData } from './train/feed';
export type { FitOptions, History } from './train/fit';
export type { Logs } from './train/totals';
export type { LossFunction, LossName } from './train/losses';

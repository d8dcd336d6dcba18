/** Datasets and readers. */
export { TensorDataset, type Samples } from './dataset';
export { DataError } from './errors';
export { parseIdx, readIdx, readIdxSync, type IdxArray } from './idx';
export { mnist, type MnistOptions } from './mnistDataset';
export { permutation } from '../tensor/shuffle';
export * from './text';
export * from './textFiles';

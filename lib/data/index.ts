/** Datasets and readers. */
export { TensorDataset, type Samples } from './dataset';
export type { Pair, PairDTypes, Series, Source, Values } from './batches';
export { DataError } from './errors';
export { parseIdx, readIdx, readIdxSync, type IdxArray } from './idx';
export { DataLoader, type DataLoaderOptions, type Dataset, type GatherDataset, type MapDataset } from './loader';
export { mnist, type MnistOptions } from './mnistDataset';
export { permutation } from '../tensor/shuffle';
export * from './text';
export * from './textFiles';

/** The losses: one file per family. */
export * from './binary';
export { crossEntropy, nllLoss, type CrossEntropyOptions, type NllOptions } from './classes';
export type { LossOptions, Reduction } from './common';
export * from './ctc';
export * from './distribution';
export * from './focal';
export * from './margin';
export * from './regression';

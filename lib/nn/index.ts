/** Layers, losses and the Module they are made of. */
export * as functional from './functional';
export * as init from './init';
export type { Initialization } from './init';
export * from './activation';
export * from './attention';
export * from './containers';
export * from './convolution';
export * from './dropout';
export * from './embedding';
export * from './layers';
export * from './losses';
export * from './module';
export * from './normalization';
export * from './packed';
export * from './pooling';
export * from './recurrent';

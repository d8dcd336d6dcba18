/** Layers, losses and the Module they are made of. */
export * as functional from './functional';
export type { Initialization } from './init';
export * from './convolution';
export * from './layers';
export * from './losses';
export * from './module';
export * from './pooling';

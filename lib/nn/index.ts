/** Layers, losses and the Module they are made of. */
export * as functional from './functional';
export * from './layers';
export * from './module';

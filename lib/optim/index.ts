export { Adam, AdamW, type AdamOptions } from './adam';
export { Optimizer } from './optimizer';
export { RMSprop, type RMSpropOptions } from './rmsprop';
export { SGD, type SGDOptions } from './sgd';

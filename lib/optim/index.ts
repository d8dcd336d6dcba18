export * from './accumulate';
export * from './adam';
export * from './adaptive';
export * from './average';
export { clipGradNorm, clipGradValue, type ClipNormOptions } from './clip';
export * from './lbfgs';
export { Optimizer } from './optimizer';
export type { Group, GroupSettings, ParameterGroup, Parameters } from './optimizer';
export * from './composed';
export * from './cycles';
export * from './plateau';
export {
  ConstantLR,
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  LRScheduler,
  MultiStepLR,
  PolynomialLR,
  StepLR,
  type Scheduled,
  type SchedulerState,
} from './schedules';
export * from './sgd';
export type { OptimizerState, SavedSlot } from './state';

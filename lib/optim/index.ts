export * from './adam';
export * from './adaptive';
export * from './average';
export * from './clip';
export * from './lbfgs';
export { Optimizer } from './optimizer';
export type { Group, GroupSettings, OptimizerState, ParameterGroup, Parameters } from './optimizer';
export * from './schedules';
export * from './sgd';

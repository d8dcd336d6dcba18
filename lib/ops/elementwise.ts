/** The elementwise operations, gathered. */
export type { Operand } from './define';
export { add, atan2, clamp, div, floorDivide, logicalAnd, logicalOr, logicalXor } from './binary';
export { maximum, minimum, mul, pow, remainder, sub } from './binary';
export * from './compare';
export * from './unary';

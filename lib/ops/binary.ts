/** Elementwise operations of two inputs, broadcast as in NumPy, dtypes promoted as in PyTorch. */
import type { DType, Promoted } from '../tensor/dtype';
import { isRecording, record } from '../autograd/node';
import { checkNumber } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { equal, greater, greaterEqual, less, lessEqual, where } from './compare';
import { cast } from './copies';
import { binary, checkTensor } from './define';
import { floor, log, neg, square } from './unary';

/** a + b */
export const add = binary('add', [], (g) => [() => g, () => g]);
/** a - b */
export const sub = binary('sub', [], (g) => [() => g, () => neg(g)]);
/** a · b, element by element. */
export const mul = binary('mul', ['a', 'b'], (g, a, b) => [() => mul(g, b), () => mul(g, a)]);
/** a / b; integers become float32. */
export const div = binary('div', ['b', 'y'], (g, _, b, y) => [() => div(g, b), () => neg(div(mul(g, y), b))]);
/** a^b; integers become float32. */
export const pow = binary('pow', ['a', 'b', 'y'], (g, a, b, y) => [
  // b·a^(b-1), and 0 where b is 0 also at a = 0; y·ln(a), and 0 where a is 0.
  () => mul(g, where(equal(b, 0), 0, mul(b, pow(a, sub(b, 1))))),
  () => mul(g, where(equal(a, 0), 0, mul(y, log(a)))),
]);
/** The angle of the point (x, y) in (-π, π]: atan2(y, x). Integers become float32. */
export const atan2 = binary('atan2', ['a', 'b'], (g, y, x) => {
  const scaled = (): Tensor => div(g, add(square(x), square(y)));
  return [() => mul(scaled(), x), () => neg(mul(scaled(), y))];
});
/**
 * The remainder of a / b with the sign of b, as Python's `%`.
 * @throws Error for an integer divided by 0; a float gives NaN.
 */
export const remainder = binary('remainder', ['a', 'b'], (g, a, b) => [() => g, () => neg(mul(g, floor(div(a, b))))]);
/**
 * a / b rounded toward -Infinity. Not differentiable.
 * @throws Error for an integer divided by 0.
 */
export const floorDivide = binary('floorDivide', [], null);
/** The larger of each pair; NaN where either is NaN. Ties share the gradient. */
export const maximum = binary('maximum', ['a', 'b'], (g, a, b) => [
  () => mul(g, pickWeight(greater(a, b), equal(a, b), g)),
  () => mul(g, pickWeight(less(a, b), equal(a, b), g)),
]);
/** The smaller of each pair; NaN where either is NaN. Ties share the gradient. */
export const minimum = binary('minimum', ['a', 'b'], (g, a, b) => [
  () => mul(g, pickWeight(less(a, b), equal(a, b), g)),
  () => mul(g, pickWeight(greater(a, b), equal(a, b), g)),
]);
/** @internal `grad` where relu's output `y` is above 0, else 0: the gradient of relu. */
export const reluBackward = binary('reluBackward', ['b'], (g, _, y) => [() => reluBackward(g, y), () => null]);
/** a and b, for bool tensors. */
export const logicalAnd = binary('logicalAnd', [], null);
/** a or b, for bool tensors. */
export const logicalOr = binary('logicalOr', [], null);
/** Either a or b but not both, for bool tensors. */
export const logicalXor = binary('logicalXor', [], null);

/** 1 where it wins, 1/2 where it ties, else 0, in the dtype of `like`. */
function pickWeight(wins: Tensor<'bool'>, ties: Tensor<'bool'>, like: Tensor): Tensor {
  return add(cast(wins, like.dtype), mul(cast(ties, like.dtype), 0.5));
}

/**
 * The elements limited to [min, max]; NaN stays. The gradient is 1 inside and at the bounds, else 0.
 * @param options `min`, `max`: default none. If min > max all elements become max, as in PyTorch.
 * @throws RangeError for a bound that is NaN.
 */
export function clamp<D extends DType>(x: Tensor<D>, options: { min?: number; max?: number } = {}): Tensor<D> {
  checkTensor('clamp', x);
  const { min = -Infinity, max = Infinity } = options;
  checkNumber('clamp', 'min', min);
  checkNumber('clamp', 'max', max);
  const source = x.detach();
  let out: AnyTensor = source;
  if (min !== -Infinity) out = maximum(out, min);
  if (max !== Infinity) out = minimum(out, max);
  if (out === source) out = source.clone();
  if (isRecording(x)) {
    record('clamp', out, [x], [x], (grad, { saved }) => {
      const inside = greaterEqual(saved[0], min).logicalAnd(lessEqual(saved[0], max));
      return [where(inside, grad, 0)];
    });
  }
  return out as Tensor<D>;
}

const methods = {
  add,
  sub,
  mul,
  div,
  pow,
  atan2,
  remainder,
  floorDivide,
  maximum,
  minimum,
  logicalAnd,
  logicalOr,
  logicalXor,
};

type BinaryMethods<D extends DType> = {
  [K in keyof typeof methods]: <B extends DType = D>(other: Tensor<B> | number) => Tensor<Promoted<D, B>>;
};

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> extends BinaryMethods<D> {
    /** {@link clamp} */
    clamp(options?: { min?: number; max?: number }): Tensor<D>;
  }
}
defineMethods({ ...methods, clamp });

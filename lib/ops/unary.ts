/** Elementwise operations of one input. */
import type { DType, FloatOf } from '../tensor/dtype';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { div, mul, reluBackward, sub } from './binary';
import { flat, unary, unaryFloat, unaryTest } from './define';

/** -x */
export const neg = unary('neg', 'none', (g) => neg(g));
/** |x| */
export const abs = unary('abs', 'input', (g, x) => mul(g, sign(x)));
/** -1, 0 or 1; NaN for NaN. Its gradient is 0. */
export const sign = unary('sign', 'none', flat);
/** x² */
export const square = unary('square', 'input', (g, x) => mul(g, mul(x, 2)));
/** max(x, 0); its gradient at 0 is 0. */
export const relu = unary('relu', 'output', (g, _, y) => reluBackward(g, y));
/** not x, for bool tensors. */
export const logicalNot = unary('logicalNot', 'none', null);

/** e^x */
export const exp = unaryFloat('exp', 'output', (g, _, y) => mul(g, y));
/** e^x - 1, exact also near 0. */
export const expm1 = unaryFloat('expm1', 'output', (g, _, y) => mul(g, y.add(1)));
/** Natural logarithm; -Infinity at 0, NaN below. */
export const log = unaryFloat('log', 'input', (g, x) => div(g, x));
/** log(1 + x), exact also near 0. */
export const log1p = unaryFloat('log1p', 'input', (g, x) => div(g, x.add(1)));
/** Logarithm to the base 2. */
export const log2 = unaryFloat('log2', 'input', (g, x) => div(g, mul(x, Math.LN2)));
/** Square root; NaN below 0. */
export const sqrt = unaryFloat('sqrt', 'output', (g, _, y) => div(mul(g, 0.5), y));
/** 1 / √x */
export const rsqrt = unaryFloat('rsqrt', 'output', (g, _, y) => mul(mul(g, -0.5), mul(y, square(y))));
/** 1 / x */
export const reciprocal = unaryFloat('reciprocal', 'output', (g, _, y) => neg(mul(g, square(y))));
/** Sine of an angle in radians. */
export const sin = unaryFloat('sin', 'input', (g, x) => mul(g, cos(x)));
/** Cosine of an angle in radians. */
export const cos = unaryFloat('cos', 'input', (g, x) => neg(mul(g, sin(x))));
/** Tangent of an angle in radians. */
export const tan = unaryFloat('tan', 'output', (g, _, y) => mul(g, square(y).add(1)));
/** Inverse sine in [-π/2, π/2]; NaN outside [-1, 1]. */
export const asin = unaryFloat('asin', 'input', (g, x) => mul(g, rsqrt(sub(1, square(x)))));
/** Inverse cosine in [0, π]; NaN outside [-1, 1]. */
export const acos = unaryFloat('acos', 'input', (g, x) => neg(mul(g, rsqrt(sub(1, square(x))))));
/** Inverse tangent in (-π/2, π/2). */
export const atan = unaryFloat('atan', 'input', (g, x) => div(g, square(x).add(1)));
/** Hyperbolic sine. */
export const sinh = unaryFloat('sinh', 'input', (g, x) => mul(g, cosh(x)));
/** Hyperbolic cosine. */
export const cosh = unaryFloat('cosh', 'input', (g, x) => mul(g, sinh(x)));
/** Hyperbolic tangent. */
export const tanh = unaryFloat('tanh', 'output', (g, _, y) => mul(g, sub(1, square(y))));
/** The error function, 2/√π ∫₀ˣ e^-t² dt. */
export const erf = unaryFloat('erf', 'input', (g, x) => mul(mul(g, 2 / Math.sqrt(Math.PI)), exp(neg(square(x)))));
/** The inverse of {@link erf}; ±Infinity at ±1, NaN outside [-1, 1]. */
export const erfinv = unaryFloat('erfinv', 'output', (g, _, y) => mul(mul(g, Math.sqrt(Math.PI) / 2), exp(square(y))));
/** 1 / (1 + e^-x) */
export const sigmoid = unaryFloat('sigmoid', 'output', (g, _, y) => mul(g, mul(y, sub(1, y))));
/** log(1 + e^x), a smooth {@link relu}; does not overflow. */
export const softplus = unaryFloat('softplus', 'input', (g, x) => mul(g, sigmoid(x)));
/** The largest integer ≤ x. Its gradient is 0. */
export const floor = unaryFloat('floor', 'none', flat);
/** The smallest integer ≥ x. Its gradient is 0. */
export const ceil = unaryFloat('ceil', 'none', flat);
/** The nearest integer, ties to even. Its gradient is 0. */
export const round = unaryFloat('round', 'none', flat);
/** The integer part: toward 0. Its gradient is 0. */
export const trunc = unaryFloat('trunc', 'none', flat);

/** Whether each element is NaN. */
export const isNaN = unaryTest('isNaN', false);
/** Whether each element is Infinity or -Infinity. */
export const isInf = unaryTest('isInf', false);
/** Whether each element is neither NaN nor infinite. */
export const isFinite = unaryTest('isFinite', true);

const keeping = { neg, abs, sign, square, relu, logicalNot };
const floating = {
  exp,
  expm1,
  log,
  log1p,
  log2,
  sqrt,
  rsqrt,
  reciprocal,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  tanh,
  erf,
  erfinv,
  sigmoid,
  softplus,
  floor,
  ceil,
  round,
  trunc,
};
const testing = { isNaN, isInf, isFinite };

type KeepingMethods<D extends DType> = { [K in keyof typeof keeping]: () => Tensor<D> };
type FloatMethods<D extends DType> = { [K in keyof typeof floating]: () => Tensor<FloatOf<D>> };
type TestMethods = { [K in 'isNaN' | 'isInf' | 'isFinite']: () => Tensor<'bool'> };

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> extends KeepingMethods<D>, FloatMethods<D>, TestMethods {}
}
defineMethods({ ...keeping, ...floating, ...testing });

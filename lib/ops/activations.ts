/** Activation functions of neural networks. */
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { checkAxis, checkNumber, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add, clamp, div, mul, sub } from './binary';
import { greater, where } from './compare';
import { requireFloat } from './reduce';
import { chunk } from './rearrange';
import { abs, erf, expm1, neg, relu, sigmoid, softplus as softplusOf, tanh } from './unary';
import { reshape } from './views';

type Activation = <D extends DType>(x: Tensor<D>) => Tensor<D>;

/** Checks the input of an activation and gives its result the input's type. */
function activation(op: string, apply: (x: Tensor) => AnyTensor): Activation {
  return (x) => apply(requireFloat(op, 'x', x)) as never;
}

/** log(1 / (1 + e^-x)), without overflow. */
export const logSigmoid = activation('logSigmoid', (x) => neg(softplusOf(neg(x))));
/** x·sigmoid(x), also called swish (Elfwing et al., 2017). */
export const silu = activation('silu', (x) => mul(x, sigmoid(x)));
/** x·tanh(softplus(x)) (Misra, 2019). */
export const mish = activation('mish', (x) => mul(x, tanh(softplusOf(x))));
/** min(max(x, 0), 6). */
export const relu6 = activation('relu6', (x) => clamp(x, { min: 0, max: 6 }));
/** relu6(x + 3) / 6: a sigmoid of straight lines. */
export const hardsigmoid = activation('hardsigmoid', (x) => div(relu6(add(x, 3)), 6));
/** x·hardsigmoid(x) (Howard et al., 2019). */
export const hardswish = activation('hardswish', (x) => mul(x, hardsigmoid(x)));
/** x limited to [-1, 1]. */
export const hardtanh = activation('hardtanh', (x) => clamp(x, { min: -1, max: 1 }));
/** x / (1 + |x|). */
export const softsign = activation('softsign', (x) => div(x, add(abs(x), 1)));
/** x - tanh(x). */
export const tanhshrink = activation('tanhshrink', (x) => sub(x, tanh(x)));

/** `a` where x > 0, else `b`, of which neither branch sees values that would spoil its gradient. */
function bySign(x: Tensor, positive: (x: Tensor) => AnyTensor, negative: (x: Tensor) => AnyTensor): Tensor {
  const isPositive = greater(x, 0);
  const below = where(isPositive, 0, x);
  return where(isPositive, positive(x), negative(below)) as Tensor;
}

/** x where positive, else slope·x (Maas et al., 2013). `slope` default 0.01. */
export function leakyRelu<D extends DType>(x: Tensor<D>, slope = 0.01): Tensor<D> {
  const input = requireFloat('leakyRelu', 'x', x);
  checkNumber('leakyRelu', 'slope', slope);
  return bySign(
    input,
    (a) => a,
    (a) => mul(a, slope),
  ) as never;
}

/**
 * x where positive, else weight·x with a learned weight (He et al., 2015).
 * @param weight one number, or one for each channel (axis 1 of x)
 */
export function prelu(x: AnyTensor, weight: AnyTensor): Tensor {
  const input = requireFloat('prelu', 'x', x);
  const w = requireFloat('prelu', 'weight', weight);
  const channels = input.rank > 1 ? input.shape[1] : 1;
  if (w.size !== 1 && (w.rank !== 1 || w.size !== channels)) {
    throw new ShapeError(
      `prelu: weight ${formatShape(w.shape)} must have 1 element or one for each channel of x ${formatShape(input.shape)}`,
    );
  }
  const slope = w.size === 1 ? reshape(w, []) : reshape(w, [w.size, ...input.shape.slice(2).map(() => 1)]);
  return where(greater(input, 0), input, mul(input, slope));
}

/** x where positive, else alpha·(e^x - 1) (Clevert et al., 2015). `alpha` default 1. */
export function elu<D extends DType>(x: Tensor<D>, alpha = 1): Tensor<D> {
  const input = requireFloat('elu', 'x', x);
  checkNumber('elu', 'alpha', alpha);
  return bySign(
    input,
    (a) => a,
    (a) => mul(expm1(a), alpha),
  ) as never;
}

/** x where positive, else alpha·(e^(x/alpha) - 1), which has no kink for any alpha (Barron, 2017). `alpha` default 1. */
export function celu<D extends DType>(x: Tensor<D>, alpha = 1): Tensor<D> {
  const input = requireFloat('celu', 'x', x);
  checkNumber('celu', 'alpha', alpha, Number.MIN_VALUE);
  return bySign(
    input,
    (a) => a,
    (a) => mul(expm1(div(a, alpha)), alpha),
  ) as never;
}

/** The self-normalizing ELU (Klambauer et al., 2017). */
export const selu = activation('selu', (x) => {
  const alpha = 1.6732632423543772;
  return mul(elu(x, alpha), 1.0507009873554805);
});

/** How {@link gelu} is computed: exactly, or by a hyperbolic tangent. */
export interface GeluOptions {
  approximate?: 'none' | 'tanh';
}

/** x·Φ(x), with the normal distribution function Φ (Hendrycks and Gimpel, 2016). */
export function gelu<D extends DType>(x: Tensor<D>, options: GeluOptions = {}): Tensor<D> {
  const input = requireFloat('gelu', 'x', x);
  const { approximate = 'none' } = options;
  if (approximate === 'tanh') {
    const inner = mul(add(input, mul(mul(mul(input, input), input), 0.044715)), Math.sqrt(2 / Math.PI));
    return mul(mul(input, 0.5), add(tanh(inner), 1)) as never;
  }
  if ((approximate as string) !== 'none') {
    throw new TypeError(`gelu: unknown approximation ${approximate}; known are none, tanh`);
  }
  return mul(mul(input, 0.5), add(erf(mul(input, Math.SQRT1_2)), 1)) as never;
}

/** Options of {@link softplus}. */
export interface SoftplusOptions {
  /** Steepness; default 1. */
  beta?: number;
}

/** log(1 + e^(beta·x)) / beta: a smooth relu. */
export function softplus<D extends DType>(x: Tensor<D>, options: SoftplusOptions = {}): Tensor<D> {
  const input = requireFloat('softplus', 'x', x);
  const { beta = 1 } = options;
  checkNumber('softplus', 'beta', beta, Number.MIN_VALUE);
  return (beta === 1 ? softplusOf(input) : div(softplusOf(mul(input, beta)), beta)) as never;
}

/** x where |x| > lambda, else 0. `lambda` default 0.5. */
export function hardshrink<D extends DType>(x: Tensor<D>, lambda = 0.5): Tensor<D> {
  const input = requireFloat('hardshrink', 'x', x);
  checkNumber('hardshrink', 'lambda', lambda, 0);
  return where(greater(abs(input), lambda), input, 0) as never;
}

/** x moved by lambda toward 0, and 0 where |x| ≤ lambda. `lambda` default 0.5. */
export function softshrink<D extends DType>(x: Tensor<D>, lambda = 0.5): Tensor<D> {
  const input = requireFloat('softshrink', 'x', x);
  checkNumber('softshrink', 'lambda', lambda, 0);
  return sub(relu(sub(input, lambda)), relu(sub(neg(input), lambda))) as never;
}

/** x where above the threshold, else `value`. */
export function threshold<D extends DType>(x: Tensor<D>, limit: number, value: number): Tensor<D> {
  const input = requireFloat('threshold', 'x', x);
  checkNumber('threshold', 'limit', limit);
  checkNumber('threshold', 'value', value);
  return where(greater(input, limit), input, value) as never;
}

/**
 * a·sigmoid(b) for the two halves a and b of an axis (default the last) (Dauphin et al., 2017).
 * @throws ShapeError if the axis has an odd extent.
 */
export function glu<D extends DType>(x: Tensor<D>, axis = -1): Tensor<D> {
  const input = requireFloat('glu', 'x', x);
  const at = checkAxis('glu', axis, input.rank);
  if (input.shape[at] % 2 !== 0) {
    throw new ShapeError(`glu: axis ${String(axis)} of ${formatShape(input.shape)} must have an even extent`);
  }
  const [a, b] = chunk(input, 2, at);
  return mul(a, sigmoid(b)) as never;
}

/** Derivatives of functions. */
import { GradientError } from '../errors';
import { tidy } from '../tensor/scope';
import { isFloat } from '../tensor/dtype';
import { formatShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { alias } from '../ops/views';
import { gradients } from './backward';
import { isGradEnabled, withGrad } from './node';

/** @internal An input that the graph starts from, connected to whatever `x` itself depends on. */
export function variable(op: string, x: AnyTensor): Tensor {
  if (!isTensor(x) || !isFloat(x.dtype)) throw new TypeError(`${op}: every input must be a floating-point tensor`);
  x._check(op);
  const input = alias(x) as Tensor;
  if (!input.requiresGrad) input.requiresGrad = true;
  return input;
}

/**
 * The value of a scalar function and its gradient with respect to every argument.
 * @throws GradientError if `fn` does not return a scalar tensor.
 */
export function valueAndGrad<A extends readonly Tensor[]>(
  fn: (...args: A) => Tensor,
): (...args: A) => { value: Tensor; grads: { [K in keyof A]: Tensor } } {
  return (...args) => {
    // Recorded only if an outer derivative is being taken of this one.
    const createGraph = isGradEnabled() && args.some((arg) => arg._requiresGrad);
    return withGrad(true, () =>
      tidy(() => {
        const inputs = args.map((arg) => variable('grad', arg));
        const value = fn(...(inputs as unknown as A));
        if (!isTensor(value) || value.size !== 1) {
          const got = isTensor(value) ? `shape ${formatShape(value.shape)}` : typeof value;
          throw new GradientError(`grad: the function must return a scalar tensor, got ${got}`);
        }
        const independent = !value._requiresGrad;
        const grads = independent
          ? inputs.map((input) => input.detach().mul(0))
          : gradients(value, inputs, { createGraph, partial: true });
        return {
          value: createGraph ? value : value.detach(),
          grads: grads as unknown as { [K in keyof A]: Tensor },
        };
      }),
    );
  };
}

/**
 * The gradient of a scalar function with respect to its first argument, as a function of the same
 * arguments. Composes: `grad(grad(f))` is the second derivative.
 * @example grad((x) => x.mul(x).sum())(tensor([1, 2])) // [2, 4]
 */
export function grad<A extends readonly [Tensor, ...Tensor[]]>(fn: (...args: A) => Tensor): (...args: A) => Tensor {
  const both = valueAndGrad(fn);
  return (...args) => tidy(() => both(...args).grads[0]);
}

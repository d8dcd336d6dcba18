/** Whole derivatives and their products with vectors. */
import { GradientError } from '../errors';
import { reshape, slice } from '../ops/views';
import { stack } from '../ops/rearrange';
import { zeros } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { describe, formatShape, sameShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { gradients } from './backward';
import { grad, variable } from './functional';
import { isGradEnabled, withGrad } from './node';

/** A function of tensors that gives one tensor. */
export type TensorFunction<A extends readonly Tensor[]> = (...inputs: A) => Tensor;

function checkOutput(op: string, out: unknown): Tensor {
  if (!isTensor(out)) throw new GradientError(`${op}: the function must return a tensor, got ${describe(out)}`);
  return out as Tensor;
}

function isOuterRecording(inputs: readonly AnyTensor[]): boolean {
  return isGradEnabled() && inputs.some((x) => isTensor(x) && x.requiresGrad);
}

/**
 * The vector–Jacobian product: the value of `fn` and, for a gradient of that value, the gradients of the inputs.
 * @example const { value, pullback } = vjp(fn, x); const [dx] = pullback(ones(value.shape));
 */
export function vjp<A extends readonly Tensor[]>(
  fn: TensorFunction<A>,
  ...inputs: A
): { value: Tensor; pullback: (gradient: Tensor) => Tensor[] } {
  const createGraph = isOuterRecording(inputs);
  const variables = inputs.map((x) => variable('vjp', x));
  const value = checkOutput(
    'vjp',
    withGrad(true, () => fn(...(variables as unknown as A))),
  );
  const pullback = (gradient: Tensor): Tensor[] => {
    if (!value.requiresGrad) return variables.map((x) => zeros(x.shape, { like: x }));
    return withGrad(true, () =>
      gradients(value, variables, { gradient, retainGraph: true, createGraph, partial: true }),
    );
  };
  return { value: createGraph ? value : value.detach(), pullback };
}

/**
 * The Jacobian–vector product: the value of `fn` and how it changes when the inputs move along `tangents`. By two
 * vector–Jacobian products, since the first is linear in its vector.
 * @param tangents one for each input, of its shape
 * @throws GradientError if a tangent does not fit.
 */
export function jvp<A extends readonly Tensor[]>(
  fn: TensorFunction<A>,
  inputs: A,
  tangents: readonly Tensor[],
): { value: Tensor; tangent: Tensor } {
  if (
    tangents.length !== inputs.length ||
    !tangents.every((t, i) => isTensor(t) && sameShape(t.shape, inputs[i].shape))
  ) {
    throw new GradientError(
      `jvp: needs a tangent of the input's shape for each of the ${String(inputs.length)} inputs ` +
        inputs.map((x) => formatShape(x.shape)).join(', '),
    );
  }
  return tidy(() =>
    withGrad(true, () => {
      const variables = inputs.map((x) => variable('jvp', x));
      const value = checkOutput('jvp', fn(...(variables as unknown as A)));
      const still = zeros(value.shape, { like: value });
      if (!value.requiresGrad) return { value: value.detach(), tangent: still };
      const probe = zeros(value.shape, { like: value, requiresGrad: true });
      const pulled = gradients(value, variables, { gradient: probe, createGraph: true, partial: true });
      const product = pulled.map((g, i) => g.mul(tangents[i]).sum()).reduce((a, b) => a.add(b));
      const tangent = product.requiresGrad
        ? gradients(product, [probe], { createGraph: isOuterRecording(inputs) })[0]
        : still;
      return { value: value.detach(), tangent };
    }),
  );
}

/**
 * All derivatives of the result's elements by the input's: shape [...result, ...input], one backward pass for each
 * element of the result.
 */
export function jacobian(fn: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const createGraph = isOuterRecording([x]);
  return tidy(() =>
    withGrad(true, () => {
      const input = variable('jacobian', x);
      const out = checkOutput('jacobian', fn(input));
      const shape = [...out.shape, ...x.shape];
      if (!out.requiresGrad || out.size === 0) return zeros(shape, { like: x });
      const flat = reshape(out, [out.size]);
      const rows = Array.from(
        { length: out.size },
        (_, i) => gradients(slice(flat, i), [input], { retainGraph: true, createGraph, partial: true })[0],
      );
      const all = reshape(stack(rows), shape);
      return createGraph ? all : all.detach();
    }),
  );
}

/**
 * All second derivatives of a scalar function: shape [...x, ...x].
 * @throws GradientError if `fn` does not return a scalar.
 */
export function hessian(fn: (x: Tensor) => Tensor, x: Tensor): Tensor {
  return jacobian(grad(fn), x);
}

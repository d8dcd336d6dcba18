import { GradientError } from '../errors';
import { tensor } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { formatShape, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { gradients } from './backward';
import { noGrad, withGrad } from './node';

/** Options of {@link checkGradients}. */
export interface GradcheckOptions {
  /** Distance of the sample points; default 1e-4. */
  step?: number;
  /** Absolute tolerance; default 1e-5. */
  atol?: number;
  /** Relative tolerance; default 1e-3. */
  rtol?: number;
  /** Check the gradient of the gradient as well. Default false. */
  secondOrder?: boolean;
  /** Seed of the weights that make a scalar of the output. Default 1. */
  seed?: number;
}

type Fn = (...inputs: Tensor[]) => AnyTensor;

/** Weights away from 0, the same for every evaluation. */
function weights(count: number, seed: number): Float64Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const unit = state / 2 ** 32;
    return unit < 0.5 ? unit - 1 : unit;
  });
}

/** A float64 tensor, as the rules see it: their types speak of the default dtype. */
function double(data: Float64Array, shape: Shape, requiresGrad = false): Tensor {
  return tensor(data, { shape, dtype: 'float64', requiresGrad }) as unknown as Tensor;
}

/** The weighted sum of a function's output elements. */
function evaluate(fn: Fn, inputs: readonly Float64Array[], like: readonly AnyTensor[], w: Float64Array): number {
  return tidy(() =>
    noGrad(() => {
      const output = fn(...inputs.map((values, i) => double(values, like[i].shape)));
      const data = output.dataSync();
      let total = 0;
      for (let i = 0; i < data.length; i++) total += w[i] * Number(data[i]);
      return total;
    }),
  );
}

function checkFirstOrder(name: string, fn: Fn, inputs: readonly AnyTensor[], options: GradcheckOptions): void {
  const { step = 1e-4, atol = 1e-5, rtol = 1e-3, seed = 1 } = options;
  const values = inputs.map((input) => Float64Array.from(input.dataSync() as Float64Array));
  tidy(() => {
    const leaves = values.map((data, i) => double(data, inputs[i].shape, true));
    const output = withGrad(true, () => fn(...leaves));
    const w = weights(output.size, seed);
    const analytic = output.requiresGrad
      ? gradients(output, leaves, { gradient: double(w, output.shape) })
      : leaves.map((leaf) => leaf.detach().mul(0));
    values.forEach((data, i) => {
      const exact = analytic[i].dataSync();
      for (let j = 0; j < data.length; j++) {
        const at = (offset: number): number => {
          const moved = values.map((v, k) => (k === i ? v.slice() : v));
          moved[i][j] = data[j] + offset;
          return evaluate(fn, moved, inputs, w);
        };
        const numeric = (at(step) - at(-step)) / (2 * step);
        if (!(Math.abs(numeric - exact[j]) <= atol + rtol * Math.abs(numeric))) {
          throw new GradientError(
            `${name}: input ${String(i)} of shape ${formatShape(inputs[i].shape)}, element ${String(j)}: ` +
              `the gradient rule gives ${String(exact[j])}, finite differences ${String(numeric)}`,
          );
        }
      }
    });
  });
}

/** The gradient of input `i` as a function of all inputs, which may be checked the same way. */
function derivativeOf(fn: Fn, i: number): Fn {
  return (...args) => {
    const connected = args.map((arg) =>
      arg.requiresGrad ? arg : double(Float64Array.from(arg.dataSync()), arg.shape, true),
    );
    return withGrad(true, () => {
      // Squared, so that the seed of the rule depends on the inputs too, also where `fn` is linear.
      const output = fn(...connected) as Tensor;
      if (!output.requiresGrad) return connected[i].mul(0);
      const w = double(weights(output.size, 7), output.shape);
      return gradients(output.square().mul(w).sum(), [connected[i]], { createGraph: true })[0];
    });
  };
}

/**
 * Compares the gradients of `fn` with central differences in float64 at `inputs`, element by element; with
 * `secondOrder` also the gradients of these gradients. Away from kinks and poles, please. `fn` gets float64
 * tensors, whatever the dtype of `inputs`.
 * @throws GradientError naming the input, the element and both values where they differ.
 */
export function checkGradients(
  name: string,
  fn: (...inputs: Tensor[]) => AnyTensor,
  inputs: readonly AnyTensor[],
  options: GradcheckOptions = {},
): void {
  checkFirstOrder(name, fn, inputs, options);
  if (options.secondOrder) checkSecondOrder(name, fn, inputs, options);
}

/** The second half of {@link checkGradients}: the gradients of the gradients alone. */
export function checkSecondOrder(
  name: string,
  fn: (...inputs: Tensor[]) => AnyTensor,
  inputs: readonly AnyTensor[],
  options: GradcheckOptions = {},
): void {
  inputs.forEach((_, i) => {
    checkFirstOrder(`${name}, gradient of input ${String(i)}`, derivativeOf(fn, i), inputs, options);
  });
}

import { GradientError } from '../errors';
import { tensor } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { formatShape } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { gradients } from './backward';
import { noGrad, withGrad } from './node';

/** Options of {@link checkGradients}. */
export interface GradcheckOptions {
  /** Distance of the sample points; default 0.02. float32 rounding grows as it shrinks. */
  step?: number;
  /** Absolute tolerance; default 1e-3. */
  atol?: number;
  /** Relative tolerance; default 2e-3. */
  rtol?: number;
  /** Check the gradient of the gradient as well. Default false. */
  secondOrder?: boolean;
  /** Seed of the weights that make a scalar of the output. Default 1. */
  seed?: number;
}

/** Weights away from 0, the same for every evaluation. */
function weights(count: number, seed: number): Float64Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const unit = state / 2 ** 32;
    return unit < 0.5 ? unit - 1 : unit;
  });
}

/** The weighted sum of a function's output elements, accumulated in float64. */
function evaluate(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Float32Array[],
  like: readonly Tensor[],
  w: Float64Array,
): number {
  return tidy(() =>
    noGrad(() => {
      const output = fn(...inputs.map((values, i) => tensor(values, { shape: like[i].shape })));
      const data = output.dataSync();
      let total = 0;
      for (let i = 0; i < data.length; i++) total += w[i] * data[i];
      return total;
    }),
  );
}

/** The derivative with respect to one element, by the five-point formula: its error is O(step⁴). */
function slope(at: (offset: number) => number, step: number): number {
  return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
}

function checkFirstOrder(
  name: string,
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions,
): void {
  const { step = 0.02, atol = 1e-3, rtol = 2e-3, seed = 1 } = options;
  const values = inputs.map((input) => input.dataSync());
  tidy(() => {
    const leaves = values.map((data, i) => tensor(data, { shape: inputs[i].shape, requiresGrad: true }));
    const output = withGrad(true, () => fn(...leaves));
    const w = weights(output.size, seed);
    const analytic = output.requiresGrad
      ? gradients(output, leaves, { gradient: tensor(Float32Array.from(w), { shape: output.shape }) })
      : leaves.map((leaf) => leaf.detach().mul(0));
    values.forEach((data, i) => {
      const exact = analytic[i].dataSync();
      for (let j = 0; j < data.length; j++) {
        const at = (offset: number): number => {
          const moved = values.map((v, k) => (k === i ? v.slice() : v));
          moved[i][j] = data[j] + offset;
          return evaluate(fn, moved, inputs, w);
        };
        const numeric = slope(at, step);
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

/**
 * Compares the gradients of `fn` with finite differences at `inputs`, element by element; with
 * `secondOrder` also the gradients of these gradients. Away from kinks and poles, please.
 * @throws GradientError naming the input, the element and both values where they differ.
 */
export function checkGradients(
  name: string,
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): void {
  checkFirstOrder(name, fn, inputs, options);
  if (!options.secondOrder) return;
  // The gradient of a scalar is itself a function of the inputs, which may be checked the same way.
  inputs.forEach((_, i) => {
    const derivative = (...args: Tensor[]): Tensor => {
      const connected = args.map((arg) =>
        arg.requiresGrad ? arg : tensor(arg.dataSync(), { shape: arg.shape, requiresGrad: true }),
      );
      return withGrad(true, () => {
        // Squared, so that the seed of the rule depends on the inputs too, also where `fn` is linear.
        const output = fn(...connected);
        if (!output.requiresGrad) return connected[i].mul(0);
        const w = tensor(Float32Array.from(weights(output.size, 7)), { shape: output.shape });
        return gradients(output.square().mul(w).sum(), [connected[i]], { createGraph: true })[0];
      });
    };
    checkFirstOrder(`${name}, gradient of input ${String(i)}`, derivative, inputs, options);
  });
}

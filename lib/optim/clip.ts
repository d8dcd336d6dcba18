/** Limits on gradients before a step. */
import { noGrad } from '../autograd/node';
import { assign } from '../ops/update';
import { tidy } from '../tensor/scope';
import { checkNumber } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';

/** Options of {@link clipGradNorm}. */
export interface ClipNormOptions {
  /** The order of the norm; Infinity for the largest element. Default 2. */
  normType?: number;
  /** Throw if the norm is NaN or infinite. Default false. */
  errorIfNonfinite?: boolean;
}

function gradientsOf(op: string, parameters: Tensor | Iterable<Tensor>): Tensor[] {
  const list = isTensor(parameters) ? [parameters] : [...parameters];
  return list.flatMap((parameter, i) => {
    if (!isTensor(parameter)) throw new TypeError(`${op}: parameter ${String(i)} is not a tensor`);
    const { grad, sparseGrad } = parameter;
    return [...(grad === null ? [] : [grad]), ...(sparseGrad === null ? [] : [sparseGrad.values])];
  });
}

function scaleAll(grads: readonly Tensor[], factor: number): void {
  for (const grad of grads) assign(grad, grad.mul(factor));
}

/** @internal Multiplies all gradients, in place. */
export function scaleGrads(parameters: Iterable<Tensor>, factor: number): void {
  noGrad(() => {
    tidy(() => {
      scaleAll(gradientsOf('scaleGrads', parameters), factor);
    });
  });
}

/**
 * Scales all gradients so that the norm of all their elements together is at most `maxNorm` (Pascanu et al., 2013).
 * @returns the norm before
 * @throws RangeError for a maxNorm that is negative or NaN, and with `errorIfNonfinite` for a norm that is not finite.
 */
export function clipGradNorm(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: ClipNormOptions = {},
): number {
  const { normType = 2, errorIfNonfinite = false } = options;
  checkNumber('clipGradNorm', 'maxNorm', maxNorm, 0);
  checkNumber('clipGradNorm', 'normType', normType, Number.MIN_VALUE);
  const grads = gradientsOf('clipGradNorm', parameters);
  return noGrad(() =>
    tidy(() => {
      const norms = grads.map((grad) => grad.norm(undefined, { p: normType }).item());
      const total =
        normType === Infinity
          ? Math.max(0, ...norms)
          : norms.reduce((sum, norm) => sum + norm ** normType, 0) ** (1 / normType);
      if (errorIfNonfinite && !Number.isFinite(total)) {
        throw new RangeError(`clipGradNorm: the norm of the gradients is ${String(total)}`);
      }
      const scale = maxNorm / (total + 1e-6);
      if (!(scale >= 1)) scaleAll(grads, scale);
      return total;
    }),
  );
}

/** Limits each element of all gradients to [-limit, limit]. */
export function clipGradValue(parameters: Tensor | Iterable<Tensor>, limit: number): void {
  checkNumber('clipGradValue', 'limit', limit, 0);
  noGrad(() => {
    tidy(() => {
      for (const grad of gradientsOf('clipGradValue', parameters))
        assign(grad, grad.clamp({ min: -limit, max: limit }));
    });
  });
}

/** Losses between real numbers: the squared and the absolute error and what lies between, likelihoods. */
import { valuesAreThere } from '../../tensor/recorder';
import { ShapeError } from '../../errors';
import { checkNumber, formatShape, sameShape } from '../../tensor/shape';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { abs, add, clamp, div, exp, greater, log, maximum, mul, square, sub } from '../elementwise';
import { min, requireFloat, requireSame } from '../reduce';
import { unsqueeze } from '../views';
import { checkPair, choose, reduceLoss, type LossOptions } from './common';

/**
 * The squared error (prediction - target)².
 * @param prediction floating, any shape
 * @param target of the same shape
 * @param options `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape: a silent broadcast here is nearly always a mistake.
 */
export function mseLoss(prediction: AnyTensor, target: AnyTensor, options: LossOptions = {}): Tensor {
  const [p, t] = checkPair('mseLoss', prediction, target);
  return reduceLoss('mseLoss', square(sub(p, t)), options.reduction);
}

/**
 * The absolute error |prediction - target|; its gradient where they agree is 0.
 * @param options `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape.
 */
export function l1Loss(prediction: AnyTensor, target: AnyTensor, options: LossOptions = {}): Tensor {
  const [p, t] = checkPair('l1Loss', prediction, target);
  return reduceLoss('l1Loss', abs(sub(p, t)), options.reduction);
}

/** Options of {@link huberLoss}. */
export interface HuberOptions extends LossOptions {
  /** Where the square turns into a line, above 0; default 1. */
  delta?: number;
}

/** Options of {@link smoothL1Loss}. */
export interface SmoothL1Options extends LossOptions {
  /** Where the square turns into a line, at least 0; default 1. */
  beta?: number;
}

function checkPositive(op: string, name: string, value: number): number {
  if (!(checkNumber(op, name, value, 0) > 0)) throw new RangeError(`${op}: ${name} must be above 0, got 0`);
  return value;
}

/** d²/2 up to |d| = bound, bound·(|d| - bound/2) beyond: with c, d clamped to the bound, d·c - c²/2. */
function huber(d: Tensor, bound: number): Tensor {
  const c = clamp(d, { min: -bound, max: bound });
  return mul(c, sub(d, mul(c, 0.5)));
}

/**
 * d²/2 for an error d of magnitude up to `delta`, delta·(|d| - delta/2) beyond: a square that outliers
 * do not dominate (Huber, 1964).
 * @param options `delta`: default 1; `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape; RangeError for a `delta` that is not above 0.
 */
export function huberLoss(prediction: AnyTensor, target: AnyTensor, options: HuberOptions = {}): Tensor {
  const delta = checkPositive('huberLoss', 'delta', options.delta ?? 1);
  const [p, t] = checkPair('huberLoss', prediction, target);
  return reduceLoss('huberLoss', huber(sub(p, t), delta), options.reduction);
}

/**
 * d²/(2·beta) for an error d of magnitude below `beta`, |d| - beta/2 beyond: {@link huberLoss} divided by
 * beta (Girshick, Fast R-CNN, 2015). With `beta` 0 it is {@link l1Loss}.
 * @param options `beta`: default 1; `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape; RangeError for a negative `beta`.
 */
export function smoothL1Loss(prediction: AnyTensor, target: AnyTensor, options: SmoothL1Options = {}): Tensor {
  const beta = checkNumber('smoothL1Loss', 'beta', options.beta ?? 1, 0);
  const [p, t] = checkPair('smoothL1Loss', prediction, target);
  const d = sub(p, t);
  const loss = beta === 0 ? abs(d) : div(huber(d, beta), beta);
  return reduceLoss('smoothL1Loss', loss, options.reduction);
}

/** Options of {@link gaussianNllLoss}. */
export interface GaussianNllOptions extends LossOptions {
  /** Add the constant log(2π)/2. Default false. */
  full?: boolean;
  /** The least variance, above 0: below it the loss counts this one. Default 1e-6. */
  eps?: number;
}

/** The variance as the prediction's shape, or with 1 for its last axis. */
function alignVariance(variance: Tensor, like: Tensor): Tensor {
  requireSame('gaussianNllLoss', like, variance);
  const { shape } = like;
  if (sameShape(variance.shape, shape)) return variance;
  const leading = shape.slice(0, -1);
  if (sameShape(variance.shape, leading)) return unsqueeze(variance, -1);
  if (sameShape(variance.shape, [...leading, 1]) && like.rank > 0) return variance;
  throw new ShapeError(
    `gaussianNllLoss: variance ${formatShape(variance.shape)} must have the shape of prediction, ` +
      `${formatShape(shape)}, or lack its last axis, or have 1 there`,
  );
}

/**
 * The negative log-likelihood of targets under normal distributions with the predicted means and
 * variances, (log v + (prediction - target)²/v)/2 (Nix and Weigend, 1994).
 * @param variance of the prediction's shape; without the last axis, or with 1 there, it is shared along it
 * @param options `full`: default false; `eps`: default 1e-6, a floor of the variance that the gradient
 * passes as if it were not there; `reduction`: default 'mean'
 * @throws ShapeError; RangeError for a negative variance or an `eps` that is not above 0.
 */
export function gaussianNllLoss(
  prediction: AnyTensor,
  target: AnyTensor,
  variance: AnyTensor,
  options: GaussianNllOptions = {},
): Tensor {
  const eps = checkPositive('gaussianNllLoss', 'eps', options.eps ?? 1e-6);
  const [p, t] = checkPair('gaussianNllLoss', prediction, target);
  const v = alignVariance(requireFloat('gaussianNllLoss', 'variance', variance), p);
  if (v.size > 0 && valuesAreThere() && min(v.detach()).item() < 0) {
    throw new RangeError('gaussianNllLoss: variance must not be negative');
  }
  const fixed = v.detach();
  const floored = add(v, sub(maximum(fixed, eps), fixed));
  const loss = mul(add(log(floored), div(square(sub(p, t)), floored)), 0.5);
  const constant = options.full ? 0.5 * Math.log(2 * Math.PI) : 0;
  return reduceLoss('gaussianNllLoss', constant === 0 ? loss : add(loss, constant), options.reduction);
}

/** Options of {@link poissonNllLoss}. */
export interface PoissonNllOptions extends LossOptions {
  /** Whether the prediction is the logarithm of the rate. Default true. */
  logInput?: boolean;
  /** Add Stirling's approximation of log(target!) where the target is above 1. Default false. */
  full?: boolean;
  /** Added to the rate before its logarithm, where `logInput` is false. Default 1e-8. */
  eps?: number;
}

/** t·log t - t + log(2πt)/2 where t > 1, else 0. */
function stirling(t: Tensor): Tensor {
  const isLarge = greater(t, 1);
  const safe = choose(isLarge, t, 1);
  const value = add(sub(mul(safe, log(safe)), safe), mul(log(mul(safe, 2 * Math.PI)), 0.5));
  return choose(isLarge, value, 0);
}

/**
 * The negative log-likelihood of counts under Poisson distributions: e^x - target·x for the logarithm x
 * of the rate, or rate - target·log(rate + eps).
 * @param options `logInput`: default true; `full`: default false; `eps`: default 1e-8; `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape; RangeError for a negative `eps`.
 */
export function poissonNllLoss(prediction: AnyTensor, target: AnyTensor, options: PoissonNllOptions = {}): Tensor {
  const eps = checkNumber('poissonNllLoss', 'eps', options.eps ?? 1e-8, 0);
  const [x, t] = checkPair('poissonNllLoss', prediction, target);
  const loss = (options.logInput ?? true) ? sub(exp(x), mul(t, x)) : sub(x, mul(t, log(add(x, eps))));
  return reduceLoss('poissonNllLoss', options.full ? add(loss, stirling(t)) : loss, options.reduction);
}

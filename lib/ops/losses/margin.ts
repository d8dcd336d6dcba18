/** Losses that ask for a margin: hinge, ranking, embeddings. */
import { ShapeError } from '../../errors';
import { checkNumber, formatShape, sameShape } from '../../tensor/shape';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { abs, add, div, equal, minimum, mul, notEqual, pow, relu, sqrt, square, sub } from '../elementwise';
import { indexSelect, oneHot, type Index } from '../gather';
import { max, requireFloat, requireSame, sum } from '../reduce';
import { squeeze, unsqueeze } from '../views';
import {
  checkClassWeight,
  checkPair,
  checkAlike,
  choose,
  reduceLoss,
  requireIndices,
  type LossOptions,
} from './common';
import { pickLabels } from './labels';

/** Options of the losses with a margin. */
export interface MarginOptions extends LossOptions {
  /** The distance asked for; its default is the loss's. */
  margin?: number;
}

/**
 * x where the target is 1, max(0, margin - x) where it is -1; x is a distance to make small or large.
 * @param prediction floating, any shape
 * @param target of the same shape, 1 or -1
 * @param options `margin`: default 1; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function hingeEmbeddingLoss(prediction: AnyTensor, target: AnyTensor, options: MarginOptions = {}): Tensor {
  const op = 'hingeEmbeddingLoss';
  const margin = checkNumber(op, 'margin', options.margin ?? 1);
  const [x, t] = checkPair(op, prediction, target);
  const near = choose(notEqual(t, -1), x, 0);
  const far = choose(notEqual(t, 1), relu(sub(margin, x)), 0);
  return reduceLoss(op, add(near, far), options.reduction);
}

/**
 * max(0, margin - target·(first - second)): the first should rank higher where the target is 1, lower
 * where it is -1.
 * @param first floating, any shape
 * @param second of the same shape
 * @param target of the same shape, 1 or -1
 * @param options `margin`: default 0; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function marginRankingLoss(
  first: AnyTensor,
  second: AnyTensor,
  target: AnyTensor,
  options: MarginOptions = {},
): Tensor {
  const op = 'marginRankingLoss';
  const margin = checkNumber(op, 'margin', options.margin ?? 0);
  const a = requireFloat(op, 'first', first);
  const b = requireFloat(op, 'second', second);
  const t = requireFloat(op, 'target', target);
  checkAlike(op, 'first', a, 'second', b);
  checkAlike(op, 'first', a, 'target', t);
  return reduceLoss(op, relu(sub(margin, mul(t, sub(a, b)))), options.reduction);
}

/** Options of {@link multiMarginLoss}. */
export interface MultiMarginOptions extends MarginOptions {
  /** The power of each class's shortfall, 1 or 2. Default 1. */
  p?: 1 | 2;
  /** Floating [classes]: how much samples of each class count. */
  weight?: AnyTensor;
}

/**
 * Multi-class hinge loss: the mean over all classes of max(0, margin - x[label] + x[class])^p, the right
 * class left out of the sum.
 * @param prediction floating scores [n, classes], or [classes]
 * @param labels int32 or int64 [n], or a scalar, with values in [0, classes)
 * @param options `p`: default 1; `margin`: default 1; `weight` [classes]; `reduction`: default 'mean'
 * @throws RangeError for a label or `p` out of range; ShapeError, DTypeError.
 */
export function multiMarginLoss(prediction: AnyTensor, labels: Index, options: MultiMarginOptions = {}): Tensor {
  const op = 'multiMarginLoss';
  const { p = 1 } = options;
  const power: number = p;
  if (power !== 1 && power !== 2) throw new RangeError(`${op}: p must be 1 or 2, got ${String(p)}`);
  const margin = checkNumber(op, 'margin', options.margin ?? 1);
  const scores = requireFloat(op, 'prediction', prediction);
  const target = requireIndices(op, 'labels', labels);
  const fits = scores.rank === 1 || scores.rank === 2;
  if (!fits || !sameShape(target.shape, scores.shape.slice(0, -1)) || scores.shape[scores.rank - 1] === 0) {
    throw new ShapeError(
      `${op}: expected prediction [n, classes] and labels [n], got ` +
        `${formatShape(scores.shape)} and ${formatShape(target.shape)}`,
    );
  }
  const x = scores.rank === 1 ? unsqueeze(scores, 0) : scores;
  const y = target.rank === 0 ? unsqueeze(target, 0) : target;
  const [, classes] = x.shape;
  const right = pickLabels(op, x, y);
  const shortfall = relu(add(sub(x, right), margin));
  const isWrong = equal(oneHot(y, classes), 0);
  const terms = choose(isWrong, power === 1 ? shortfall : square(shortfall), 0);
  let loss = div(sum(terms, -1), classes);
  if (options.weight !== undefined) {
    loss = mul(loss, indexSelect(checkClassWeight(op, options.weight, x, classes), y));
  }
  return reduceLoss(op, scores.rank === 1 ? squeeze(loss, 0) : loss, options.reduction);
}

/**
 * 1 - cos(first, second) where the target is 1, max(0, cos - margin) where it is -1.
 * @param first floating [n, features], or [features]
 * @param second of the same shape
 * @param target [n], or a scalar, 1 or -1
 * @param options `margin` in [-1, 1]: default 0; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError; RangeError for a margin out of range.
 */
export function cosineEmbeddingLoss(
  first: AnyTensor,
  second: AnyTensor,
  target: AnyTensor,
  options: MarginOptions = {},
): Tensor {
  const op = 'cosineEmbeddingLoss';
  const margin = checkNumber(op, 'margin', options.margin ?? 0, -1, 1);
  const a = requireFloat(op, 'first', first);
  const b = requireFloat(op, 'second', second);
  const t = requireFloat(op, 'target', target);
  checkAlike(op, 'first', a, 'second', b);
  requireSame(op, a, t);
  if ((a.rank !== 1 && a.rank !== 2) || !sameShape(t.shape, a.shape.slice(0, -1))) {
    throw new ShapeError(
      `${op}: expected embeddings [n, features] and a target [n], got ${formatShape(a.shape)} and ${formatShape(t.shape)}`,
    );
  }
  // As PyTorch: no division by zero for vectors of zeros.
  const magnitude = (x: Tensor): Tensor => add(sum(square(x), -1), 1e-12);
  const cosine = div(sum(mul(a, b), -1), sqrt(mul(magnitude(a), magnitude(b))));
  const near = choose(equal(t, 1), sub(1, cosine), 0);
  const far = choose(equal(t, -1), relu(sub(cosine, margin)), 0);
  return reduceLoss(op, add(near, far), options.reduction);
}

/** Options of {@link tripletMarginLoss}. */
export interface TripletMarginOptions extends MarginOptions {
  /** The norm of the distance, above 0, Infinity included. Default 2. */
  p?: number;
  /** Added to every difference, so that the distance has a gradient everywhere. Default 1e-6. */
  eps?: number;
  /** Use the distance of positive and negative where it is below that of anchor and negative. Default false. */
  swap?: boolean;
}

/** f(x), and 0 with gradient 0 where x is 0. */
function awayFromZero(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  const isZero = equal(x, 0);
  return choose(isZero, 0, f(choose(isZero, 1, x)));
}

/** The p-norm along the last axis. */
function norm(x: Tensor, p: number): Tensor {
  if (p === 2) return awayFromZero(sum(square(x), -1), sqrt);
  const magnitude = abs(x);
  if (p === 1) return sum(magnitude, -1);
  if (p === Infinity) return max(magnitude, -1);
  const powers = awayFromZero(magnitude, (m) => pow(m, p));
  return awayFromZero(sum(powers, -1), (total) => pow(total, 1 / p));
}

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin) with d the p-norm of the difference along
 * the last axis (Balntas et al., 2016).
 * @param anchor floating [..., features]
 * @param positive of the same shape
 * @param negative of the same shape
 * @param options `margin`: default 1; `p`: default 2; `eps`: default 1e-6; `swap`: default false;
 * `reduction`: default 'mean'
 * @throws ShapeError, DTypeError; RangeError for `p` not above 0.
 */
export function tripletMarginLoss(
  anchor: AnyTensor,
  positive: AnyTensor,
  negative: AnyTensor,
  options: TripletMarginOptions = {},
): Tensor {
  const op = 'tripletMarginLoss';
  const { p = 2, swap = false } = options;
  const margin = checkNumber(op, 'margin', options.margin ?? 1);
  const eps = checkNumber(op, 'eps', options.eps ?? 1e-6, 0);
  if (!(checkNumber(op, 'p', p, 0) > 0)) throw new RangeError(`${op}: p must be above 0, got 0`);
  const a = requireFloat(op, 'anchor', anchor);
  const near = requireFloat(op, 'positive', positive);
  const far = requireFloat(op, 'negative', negative);
  checkAlike(op, 'anchor', a, 'positive', near);
  checkAlike(op, 'anchor', a, 'negative', far);
  if (a.rank === 0) throw new ShapeError(`${op}: a scalar has no features`);
  const distance = (x: Tensor, y: Tensor): Tensor => norm(add(sub(x, y), eps), p);
  const toFar = swap ? minimum(distance(a, far), distance(near, far)) : distance(a, far);
  return reduceLoss(op, relu(add(sub(distance(a, near), toFar), margin)), options.reduction);
}

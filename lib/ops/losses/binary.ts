/** Losses of independent yes-or-no predictions. */
import { valuesAreThere } from '../../tensor/recorder';
import { isRecording, record } from '../../autograd/node';
import { checkNumber } from '../../tensor/shape';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { add, div, clamp, log, log1p, maximum, mul, neg, sigmoid, softplus, sub } from '../elementwise';
import { max, mean, min } from '../reduce';
import { checkPair, checkWeight, focalFactor, reduceLoss, weighted, type LossOptions } from './common';
import { ShapeError } from '../../errors';

/** Options of {@link binaryCrossEntropy}. */
export interface BinaryCrossEntropyOptions extends LossOptions {
  /** Multiplies each element's loss; broadcast to the prediction's shape. */
  weight?: AnyTensor;
}

/** Options of {@link binaryCrossEntropyWithLogits}. */
export interface BinaryCrossEntropyWithLogitsOptions extends BinaryCrossEntropyOptions {
  /** How much a positive counts against a negative; broadcast to the prediction's shape. Default 1. */
  posWeight?: AnyTensor;
}

// Denominators and logarithms are bounded as PyTorch bounds them, so that 0 and 1 have finite losses.
const leastDenominator = 1e-12;
const leastLog = -100;

/** log p, at least -100; its gradient 1/p at most 1e12. */
function boundedLog(p: Tensor): Tensor {
  const fixed = p.detach();
  const out = clamp(log(fixed), { min: leastLog });
  if (isRecording(p)) {
    record('binaryCrossEntropy', out, [p], [p], (grad, { saved }) => [
      div(grad, maximum(saved[0] as Tensor, leastDenominator)),
    ]);
  }
  return out;
}

/** -(t·log p + (1 - t)·log(1 - p)) */
function elementEntropy(p: Tensor, t: Tensor): Tensor {
  const [fixedP, fixedT] = [p.detach(), t.detach()];
  const positive = clamp(log(fixedP), { min: leastLog });
  const negative = clamp(log1p(neg(fixedP)), { min: leastLog });
  const out = sub(mul(sub(fixedT, 1), negative), mul(fixedT, positive));
  if (isRecording(p, t)) {
    record('binaryCrossEntropy', out, [p, t], [p, t], (grad, { saved, needs }) => {
      const [x, y] = saved as Tensor[];
      return [
        needs[0] ? mul(grad, div(sub(x, y), maximum(mul(x, sub(1, x)), leastDenominator))) : null,
        needs[1] ? mul(grad, sub(boundedLog(sub(1, x)), boundedLog(x))) : null,
      ];
    });
  }
  return out;
}

/**
 * Binary cross-entropy -(t·log p + (1 - t)·log(1 - p)) of probabilities. Logarithms are taken as -100
 * where they are below. {@link binaryCrossEntropyWithLogits} is more precise.
 * @param prediction floating probabilities in [0, 1], any shape
 * @param target of the same shape, in [0, 1]
 * @param options `weight`: broadcast to the shape; `reduction`: default 'mean'
 * @throws RangeError for a prediction outside [0, 1]; ShapeError.
 */
export function binaryCrossEntropy(
  prediction: AnyTensor,
  target: AnyTensor,
  options: BinaryCrossEntropyOptions = {},
): Tensor {
  const [p, t] = checkPair('binaryCrossEntropy', prediction, target);
  if (p.size > 0 && valuesAreThere()) {
    const [low, high] = [min(p.detach()).item(), max(p.detach()).item()];
    if (!(low >= 0 && high <= 1)) {
      throw new RangeError(
        `binaryCrossEntropy: prediction must be probabilities in [0, 1], they are in [${String(low)}, ${String(high)}]`,
      );
    }
  }
  const loss = weighted('binaryCrossEntropy', elementEntropy(p, t), options.weight);
  return reduceLoss('binaryCrossEntropy', loss, options.reduction);
}

/** log(1 + e^x) - t·x, which is max(x, 0) - t·x + log(1 + e^-|x|), with a gradient at 0 too. */
function logitEntropy(x: Tensor, t: Tensor, posWeight?: Tensor): Tensor {
  if (posWeight === undefined) return sub(softplus(x), mul(x, t));
  const factor = add(mul(sub(posWeight, 1), t), 1);
  return add(mul(sub(1, t), x), mul(factor, softplus(neg(x))));
}

/**
 * {@link binaryCrossEntropy} of the sigmoid of logits, computed from the logits: no logit is too large.
 * @param logits floating, any shape
 * @param target of the same shape, in [0, 1]
 * @param options `weight`, `posWeight`: broadcast to the shape; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function binaryCrossEntropyWithLogits(
  logits: AnyTensor,
  target: AnyTensor,
  options: BinaryCrossEntropyWithLogitsOptions = {},
): Tensor {
  const op = 'binaryCrossEntropyWithLogits';
  const [x, t] = checkPair(op, logits, target);
  const posWeight = options.posWeight && checkWeight(op, 'posWeight', options.posWeight, x);
  return reduceLoss(op, weighted(op, logitEntropy(x, t, posWeight), options.weight), options.reduction);
}

/**
 * Binary cross-entropy of several labels per sample, averaged over the classes.
 * @param logits floating [..., classes]
 * @param target of the same shape, in [0, 1]
 * @param options `weight` [classes]; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function multilabelSoftMarginLoss(
  logits: AnyTensor,
  target: AnyTensor,
  options: BinaryCrossEntropyOptions = {},
): Tensor {
  const op = 'multilabelSoftMarginLoss';
  const [x, t] = checkPair(op, logits, target);
  if (x.rank === 0) throw new ShapeError(`${op}: a scalar has no classes`);
  return reduceLoss(op, mean(weighted(op, logitEntropy(x, t), options.weight), -1), options.reduction);
}

/**
 * log(1 + e^(-target·prediction)): logistic loss of labels 1 and -1.
 * @param prediction floating, any shape
 * @param target of the same shape, 1 or -1
 * @param options `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function softMarginLoss(prediction: AnyTensor, target: AnyTensor, options: LossOptions = {}): Tensor {
  const [x, t] = checkPair('softMarginLoss', prediction, target);
  return reduceLoss('softMarginLoss', softplus(neg(mul(x, t))), options.reduction);
}

/** Options of {@link sigmoidFocalLoss}. */
export interface SigmoidFocalOptions extends LossOptions {
  /** Weight of the positives in [0, 1], the negatives get the rest; -1 for none. Default 0.25. */
  alpha?: number;
  /** At least 0: how much the loss of what is predicted well is reduced. Default 2. */
  gamma?: number;
}

/**
 * Focal loss for independent yes-or-no predictions: binary cross-entropy times alpha and (1 - p)^gamma,
 * p being the probability of the right answer (Lin et al., 2017).
 * @param logits floating, any shape
 * @param target of the same shape, 0 or 1
 * @param options `alpha`: default 0.25; `gamma`: default 2; `reduction`: default 'mean' (torchvision's is
 * 'none')
 * @throws RangeError for `alpha` or `gamma` out of range; ShapeError, DTypeError.
 */
export function sigmoidFocalLoss(logits: AnyTensor, target: AnyTensor, options: SigmoidFocalOptions = {}): Tensor {
  const op = 'sigmoidFocalLoss';
  const { alpha = 0.25, gamma = 2 } = options;
  if (alpha !== -1) checkNumber(op, 'alpha', alpha, 0, 1);
  checkNumber(op, 'gamma', gamma, 0);
  const [x, t] = checkPair(op, logits, target);
  let loss = logitEntropy(x, t);
  if (gamma > 0) {
    // σ(-x) is 1 - σ(x) without cancellation.
    const miss = add(mul(t, sigmoid(neg(x))), mul(sub(1, t), sigmoid(x)));
    loss = mul(loss, focalFactor(miss, gamma));
  }
  // alpha·t + (1 - alpha)·(1 - t)
  if (alpha !== -1) loss = mul(loss, add(mul(t, 2 * alpha - 1), 1 - alpha));
  return reduceLoss(op, loss, options.reduction);
}

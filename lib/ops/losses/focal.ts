/** Focal loss over classes and the Dice loss: for classes of very different sizes. */
import { ShapeError } from '../../errors';
import { checkNumber, describe, formatShape, sameShape } from '../../tensor/shape';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { add, div, exp, mul, neg, sigmoid, square, sub } from '../elementwise';
import { oneHot, type Index } from '../gather';
import { requireFloat, requireSame, sum } from '../reduce';
import { softmax } from '../softmax';
import { permute } from '../views';
import { crossEntropyRows, type NllOptions } from './classes';
import { focalFactor, isIndices, requireIndices, reduceLoss, type LossOptions } from './common';

/** Options of {@link softmaxFocalLoss}. */
export interface SoftmaxFocalOptions extends NllOptions {
  /** At least 0: how much the loss of what is predicted well is reduced. Default 2. */
  gamma?: number;
}

/**
 * Focal loss over classes: cross-entropy times (1 - p)^gamma, p being the softmax probability of the
 * right class (Lin et al., 2017). With `gamma` 0 it is {@link crossEntropy}, whose options it shares.
 * @param logits floating [n, classes], or [n, classes, d1, ...], or [classes]
 * @param labels int32 or int64 [n], or [n, d1, ...], or a scalar, with values in [0, classes)
 * @param options `gamma`: default 2; `weight` [classes], the paper's alpha; `ignoreIndex`: default -100;
 * `reduction`: default 'mean', which divides by the sum of the weights of the labels that are not ignored
 * @throws RangeError for a label or `gamma` out of range; ShapeError, DTypeError.
 */
export function softmaxFocalLoss(logits: AnyTensor, labels: Index, options: SoftmaxFocalOptions = {}): Tensor {
  const op = 'softmaxFocalLoss';
  const gamma = checkNumber(op, 'gamma', options.gamma ?? 2, 0);
  return crossEntropyRows(op, logits, labels, options, (loss) =>
    gamma === 0 ? loss : mul(loss, focalFactor(sub(1, exp(neg(loss))), gamma)),
  );
}

/** Options of {@link diceLoss}. */
export interface DiceOptions extends LossOptions {
  /** What makes probabilities of the prediction; 'softmax' works over the classes. Default 'none'. */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /** At least 0, added to both sides of the fraction: keeps it defined where nothing is there. Default 1. */
  smooth?: number;
  /** Square the probabilities in the denominator, as in the V-Net paper. Default false. */
  squared?: boolean;
}

function probabilities(op: string, x: Tensor, activation: DiceOptions['activation'] = 'none'): Tensor {
  switch (activation) {
    case 'none':
      return x;
    case 'sigmoid':
      return sigmoid(x);
    case 'softmax':
      return softmax(x, 1);
    default:
      throw new TypeError(`${op}: unknown activation ${describe(activation)}; known are none, sigmoid, softmax`);
  }
}

/** Class numbers [n, d1, ...] as [n, classes, d1, ...] of 0 and 1; what has that shape already as it is. */
function asMaps(op: string, target: AnyTensor, like: Tensor): Tensor {
  const [n, classes, ...space] = like.shape;
  const areNumbers = isIndices(target);
  const checked = areNumbers ? requireIndices(op, 'target', target) : requireFloat(op, 'target', target);
  if (!sameShape(checked.shape, areNumbers ? [n, ...space] : like.shape)) {
    throw new ShapeError(
      `${op}: expected a target of the prediction's shape, or class numbers [n, d1, ...], got prediction ` +
        `${formatShape(like.shape)} and ${target.dtype} target ${formatShape(target.shape)}`,
    );
  }
  if (!areNumbers) {
    requireSame(op, like, checked);
    return checked as Tensor;
  }
  const last = space.length + 1;
  const hot = oneHot(checked as Tensor<'int32'>, classes, { dtype: like.dtype });
  return permute(hot, [0, last, ...space.map((_, i) => i + 1)]);
}

/**
 * Soft Dice loss 1 - (2·Σ p·t + smooth) / (Σ p + Σ t + smooth), for each sample and class, with sums over
 * space: how little the predicted and the true region overlap (Milletari et al., 2016, with p² and t²
 * in the denominator: `squared`).
 * @param prediction floating [n, classes, d1, ...]: probabilities, or logits with `activation`
 * @param target of the same shape, in [0, 1]; or int32 or int64 class numbers [n, d1, ...]
 * @param options `activation`: default 'none'; `smooth`: default 1; `squared`: default false; `reduction`:
 * default 'mean', 'none' gives [n, classes]
 * @throws ShapeError for a prediction without axes of space; RangeError, DTypeError.
 */
export function diceLoss(prediction: AnyTensor, target: AnyTensor, options: DiceOptions = {}): Tensor {
  const op = 'diceLoss';
  const smooth = checkNumber(op, 'smooth', options.smooth ?? 1, 0);
  const x = requireFloat(op, 'prediction', prediction);
  if (x.rank < 3) {
    throw new ShapeError(`${op}: expected a prediction [n, classes, d1, ...], got ${formatShape(x.shape)}`);
  }
  const t = asMaps(op, target, x);
  const p = probabilities(op, x, options.activation);
  const space = x.shape.map((_, axis) => axis).slice(2);
  const sizes = options.squared ? add(square(p), square(t)) : add(p, t);
  const overlap = add(mul(sum(mul(p, t), space), 2), smooth);
  return reduceLoss(op, sub(1, div(overlap, add(sum(sizes, space), smooth))), options.reduction);
}

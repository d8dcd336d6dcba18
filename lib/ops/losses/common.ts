/** What the losses share: reductions and the checks of their arguments. */
import { DTypeError, ShapeError } from '../../errors';
import { broadcastShapes, formatShape, sameShape } from '../../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { maximum, mul, pow, where } from '../elementwise';
import { mean, requireFloat, requireSame, sum } from '../reduce';

/** What a loss makes of its values: their mean, their sum, or one value per sample. */
export type Reduction = 'mean' | 'sum' | 'none';

const reductions: readonly string[] = ['mean', 'sum', 'none'];

/** The option that every loss has. */
export interface LossOptions {
  /** Default 'mean'. */
  reduction?: Reduction;
}

/** @throws TypeError for what is not a {@link Reduction}. */
export function checkReduction(op: string, reduction: Reduction = 'mean'): Reduction {
  if (reductions.includes(reduction)) return reduction;
  throw new TypeError(`${op}: unknown reduction ${reduction as string}; known are mean, sum, none`);
}

export function reduceLoss(op: string, loss: Tensor, reduction?: Reduction): Tensor {
  switch (checkReduction(op, reduction)) {
    case 'none':
      return loss;
    case 'sum':
      return sum(loss);
    case 'mean':
      return mean(loss);
  }
}

/**
 * @throws DTypeError, ShapeError unless both have one dtype and shape: a silent broadcast in a loss is nearly
 * always a mistake.
 */
export function checkAlike(op: string, nameA: string, a: AnyTensor, nameB: string, b: AnyTensor): void {
  requireSame(op, a, b);
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(`${op}: ${nameA} ${formatShape(a.shape)} and ${nameB} ${formatShape(b.shape)} differ`);
  }
}

/** A prediction and a target of one shape and floating dtype. */
export function checkPair(op: string, prediction: AnyTensor, target: AnyTensor): [Tensor, Tensor] {
  const p = requireFloat(op, 'prediction', prediction);
  const t = requireFloat(op, 'target', target);
  checkAlike(op, 'prediction', p, 'target', t);
  return [p, t];
}

/** A weight that broadcasts to the shape of `like`, and has its dtype. */
export function checkWeight(op: string, name: string, weight: AnyTensor, like: AnyTensor): Tensor {
  const w = requireFloat(op, name, weight);
  requireSame(op, like, w);
  if (!sameShape(broadcastShapes(op, w.shape, like.shape), like.shape)) {
    throw new ShapeError(`${op}: ${name} ${formatShape(w.shape)} does not broadcast to ${formatShape(like.shape)}`);
  }
  return w;
}

/** `loss` times a weight, where there is one. */
export function weighted(op: string, loss: Tensor, weight: AnyTensor | undefined): Tensor {
  return weight === undefined ? loss : mul(loss, checkWeight(op, 'weight', weight, loss));
}

/** A vector with one weight per class, of the dtype of `like`. */
export function checkClassWeight(op: string, weight: AnyTensor, like: AnyTensor, classes: number): Tensor {
  const w = requireFloat(op, 'weight', weight);
  requireSame(op, like, w);
  if (w.rank !== 1 || w.size !== classes) {
    throw new ShapeError(
      `${op}: weight must have one entry per class, [${String(classes)}], got ${formatShape(w.shape)}`,
    );
  }
  return w;
}

/** Class numbers or lengths, as int32. */
export function requireIndices(op: string, name: string, x: AnyTensor): Tensor<'int32'> {
  if (!isTensor(x)) throw new TypeError(`${op}: ${name} must be an int32 tensor`);
  x._check(op);
  if (!isIndices(x)) throw new DTypeError(`${op}: ${name} must be int32 or int64, got ${x.dtype}`);
  return cast(x, 'int32');
}

/** Whether the elements can be class numbers. */
export function isIndices(x: AnyTensor): boolean {
  return x.dtype === 'int32' || x.dtype === 'int64';
}

/** {@link where} over floating operands. */
export function choose(condition: Tensor<'bool'>, a: Tensor | number, b: Tensor | number): Tensor {
  return where(condition, a, b);
}

/**
 * (1 - p)^gamma, with p the probability given to the right answer. Held off 0, where a fractional power
 * has no derivative: the loss it multiplies is 0 there.
 */
export function focalFactor(miss: Tensor, gamma: number): Tensor {
  return pow(maximum(miss, 1e-12), gamma);
}

/** Losses between distributions. */
import { ShapeError } from '../../errors';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { div, equal, exp, log, mul, sub } from '../elementwise';
import { sum } from '../reduce';
import { checkPair, choose, reduceLoss, type Reduction } from './common';

/** Options of {@link klDiv}. */
export interface KlDivOptions {
  /** Also 'batchmean': the sum divided by the first extent, which is the divergence itself. Default 'mean'. */
  reduction?: Reduction | 'batchmean';
  /** Whether the target is the logarithm of probabilities too. Default false. */
  logTarget?: boolean;
}

/**
 * Kullback-Leibler divergence, element by element: target·(log target - prediction); where the target is
 * 0 the element is 0. As in PyTorch, 'mean' divides by the number of elements, 'batchmean' by that of
 * samples.
 * @param prediction floating: logarithms of probabilities
 * @param target of the same shape: probabilities, or their logarithms with `logTarget`
 * @param options `logTarget`: default false; `reduction`: default 'mean'
 * @throws ShapeError, DTypeError.
 */
export function klDiv(prediction: AnyTensor, target: AnyTensor, options: KlDivOptions = {}): Tensor {
  const [x, t] = checkPair('klDiv', prediction, target);
  const { reduction = 'mean' } = options;
  const loss = options.logTarget ? mul(exp(t), sub(t, x)) : sub(timesOwnLog(t), mul(t, x));
  if (reduction !== 'batchmean') return reduceLoss('klDiv', loss, reduction);
  if (x.rank === 0) throw new ShapeError('klDiv: a scalar has no batch axis for batchmean');
  return div(sum(loss), x.shape[0]);
}

/** t·log t, continued to 0. */
function timesOwnLog(t: Tensor): Tensor {
  return mul(t, log(choose(equal(t, 0), 1, t)));
}

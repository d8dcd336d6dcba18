import { sgdStep, type SgdSettings } from '../ops/update';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { Optimizer } from './optimizer';

/** Options of {@link SGD}. */
export interface SGDOptions {
  /** Default 0.001, as in PyTorch. */
  lr?: number;
  /** Default 0: plain gradient descent. */
  momentum?: number;
  /** How much of the gradient the velocity leaves out. Default 0. */
  dampening?: number;
  /** L2 penalty, added to the gradient. Default 0. */
  weightDecay?: number;
  /** Look ahead along the velocity (Nesterov). Needs a momentum and no dampening. Default false. */
  nesterov?: boolean;
}

/** Stochastic gradient descent with momentum, by PyTorch's formulas (Sutskever et al., 2013). */
export class SGD extends Optimizer {
  private readonly settings: SgdSettings;

  constructor(parameters: Iterable<Tensor>, options: SGDOptions = {}) {
    const { lr = 1e-3, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false } = options;
    checkNumber('SGD', 'momentum', momentum, 0);
    checkNumber('SGD', 'dampening', dampening);
    checkNumber('SGD', 'weightDecay', weightDecay, 0);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new RangeError('SGD: nesterov needs a momentum and no dampening');
    }
    super('SGD', parameters, lr, momentum === 0 ? 0 : 1);
    this.settings = { lr, momentum, dampening, weightDecay, nesterov };
  }

  protected override update(parameter: Tensor, grad: Tensor, state: readonly Tensor[], step: number): void {
    this.settings.lr = this.lr;
    sgdStep(parameter, grad, state[0] ?? grad, step === 1, this.settings);
  }
}

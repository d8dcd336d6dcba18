import { rmspropStep, type RmspropSettings } from '../ops/update';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { Optimizer } from './optimizer';

/** Options of {@link RMSprop}. */
export interface RMSpropOptions {
  /** Default 0.01, as in PyTorch; Keras has 0.001. */
  lr?: number;
  /** Decay of the squared gradient's average, in [0, 1]. Default 0.99; Keras has 0.9. */
  alpha?: number;
  /** Added to the root. Default 1e-8. */
  eps?: number;
  /** L2 penalty, added to the gradient. Default 0. */
  weightDecay?: number;
  /** Default 0. */
  momentum?: number;
}

/** RMSprop (Tieleman and Hinton, 2012), by PyTorch's formulas. */
export class RMSprop extends Optimizer {
  private readonly settings: RmspropSettings;

  constructor(parameters: Iterable<Tensor>, options: RMSpropOptions = {}) {
    const { lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0 } = options;
    checkNumber('RMSprop', 'alpha', alpha, 0, 1);
    checkNumber('RMSprop', 'eps', eps, 0);
    checkNumber('RMSprop', 'weightDecay', weightDecay, 0);
    checkNumber('RMSprop', 'momentum', momentum, 0);
    super('RMSprop', parameters, lr, momentum === 0 ? 1 : 2);
    this.settings = { lr, alpha, eps, weightDecay, momentum };
  }

  protected override update(parameter: Tensor, grad: Tensor, state: readonly Tensor[]): void {
    this.settings.lr = this.lr;
    rmspropStep(parameter, grad, state[0], state[1] ?? grad, this.settings);
  }
}

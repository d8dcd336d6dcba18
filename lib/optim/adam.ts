import { adamStep, type AdamSettings } from '../ops/update';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { Optimizer } from './optimizer';

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions {
  /** Default 0.001. */
  lr?: number;
  /** Decay of the two moment estimates, each in [0, 1). Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the denominator. Default 1e-8, as in PyTorch; Keras has 1e-7. */
  eps?: number;
  /** Default 0 for Adam (added to the gradient), 0.01 for AdamW (applied to the weights). */
  weightDecay?: number;
}

/** Adam (Kingma and Ba, 2015), by PyTorch's formulas. */
export class Adam extends Optimizer {
  private readonly settings: AdamSettings;

  constructor(parameters: Iterable<Tensor>, options: AdamOptions = {}, decoupled = false) {
    const name = decoupled ? 'AdamW' : 'Adam';
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = decoupled ? 0.01 : 0 } = options;
    const below1 = 1 - Number.EPSILON / 2;
    checkNumber(name, 'betas[0]', betas[0], 0, below1);
    checkNumber(name, 'betas[1]', betas[1], 0, below1);
    checkNumber(name, 'eps', eps, 0);
    checkNumber(name, 'weightDecay', weightDecay, 0);
    super(name, parameters, lr, 2);
    this.settings = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay, decoupled };
  }

  protected override update(parameter: Tensor, grad: Tensor, state: readonly Tensor[], step: number): void {
    this.settings.lr = this.lr;
    adamStep(parameter, grad, state[0], state[1], step, this.settings);
  }
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019). */
export class AdamW extends Adam {
  constructor(parameters: Iterable<Tensor>, options: AdamOptions = {}) {
    super(parameters, options, true);
  }
}

import { sgdStep } from '../ops/update';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import type { GroupSettings, Parameters } from './optimizer';
import { SlotOptimizer } from './slots';

/** Settings of {@link SGD}. */
export interface SGDSettings extends GroupSettings {
  /** Default 0: plain gradient descent. */
  momentum: number;
  /** How much of the gradient the velocity leaves out. Default 0. */
  dampening: number;
  /** L2 penalty, added to the gradient. Default 0. */
  weightDecay: number;
  /** Look ahead along the velocity (Nesterov). Needs a momentum and no dampening. Default false. */
  nesterov: boolean;
}

/** Options of {@link SGD}; `lr` defaults to 0.001, as in PyTorch. */
export type SGDOptions = Partial<SGDSettings>;

const defaults: SGDSettings = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false };

/** Stochastic gradient descent with momentum, by PyTorch's formulas (Sutskever et al., 2013). */
export class SGD extends SlotOptimizer<SGDSettings> {
  constructor(parameters: Parameters<SGDSettings>, options: SGDOptions = {}) {
    super('SGD', parameters, defaults, options);
  }

  protected override check({ momentum, dampening, weightDecay, nesterov }: SGDSettings): void {
    checkNumber('SGD', 'momentum', momentum, 0);
    checkNumber('SGD', 'dampening', dampening);
    checkNumber('SGD', 'weightDecay', weightDecay, 0);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new RangeError('SGD: nesterov needs a momentum and no dampening');
    }
  }

  protected override initialState(parameter: Tensor, { momentum }: SGDSettings): Tensor[] {
    return this.blanks(parameter, momentum === 0 ? 0 : 1);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], step: number, s: SGDSettings): void {
    // A momentum that was set after the first step finds no velocity: it starts there.
    const velocity = (state as readonly (Tensor | undefined)[])[0];
    sgdStep(p, grad, velocity ?? grad, step === 1, velocity === undefined ? { ...s, momentum: 0 } : s);
  }
}

/** {@link SGD} */
export const sgd = (parameters: Parameters<SGDSettings>, options?: SGDOptions): SGD => new SGD(parameters, options);

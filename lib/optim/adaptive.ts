import { adadeltaStep, adagradStep, lionStep, rmspropCenteredStep, rmspropStep } from '../ops/update';
import { full } from '../tensor/creation';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { checkBetas } from './checks';
import type { GroupSettings, Parameters } from './optimizer';
import { SlotOptimizer } from './slots';

/** Settings of {@link RMSprop}. */
export interface RMSpropSettings extends GroupSettings {
  /** Decay of the squared gradient's average, in [0, 1]. Default 0.99; Keras has 0.9. */
  alpha: number;
  /** Added to the root. Default 1e-8. */
  eps: number;
  /** L2 penalty, added to the gradient. Default 0. */
  weightDecay: number;
  /** Default 0. */
  momentum: number;
  /** Divide by the standard deviation instead of the root mean square. Default false. */
  centered: boolean;
}

/** Options of {@link RMSprop}; `lr` defaults to 0.01, as in PyTorch; Keras has 0.001. */
export type RMSpropOptions = Partial<RMSpropSettings>;

/** RMSprop (Tieleman and Hinton, 2012), by PyTorch's formulas. */
export class RMSprop extends SlotOptimizer<RMSpropSettings> {
  constructor(parameters: Parameters<RMSpropSettings>, options: RMSpropOptions = {}) {
    const defaults = { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false };
    super('RMSprop', parameters, defaults, options);
  }

  protected override check({ alpha, eps, weightDecay, momentum }: RMSpropSettings): void {
    checkNumber('RMSprop', 'alpha', alpha, 0, 1);
    checkNumber('RMSprop', 'eps', eps, 0);
    checkNumber('RMSprop', 'weightDecay', weightDecay, 0);
    checkNumber('RMSprop', 'momentum', momentum, 0);
  }

  protected override initialState(parameter: Tensor, { momentum, centered }: RMSpropSettings): Tensor[] {
    return this.blanks(parameter, centered ? 3 : momentum === 0 ? 1 : 2);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], _: number, s: RMSpropSettings): void {
    const [squares, velocity, average] = state as readonly (Tensor | undefined)[];
    if (average !== undefined) rmspropCenteredStep(p, grad, state[0], state[1], average, s);
    else rmspropStep(p, grad, squares as Tensor, velocity ?? grad, velocity === undefined ? { ...s, momentum: 0 } : s);
  }
}

/** Settings of {@link Adagrad}. */
export interface AdagradSettings extends GroupSettings {
  /** The learning rate falls as 1 / (1 + lrDecay·steps). Default 0. */
  lrDecay: number;
  /** Default 0. */
  weightDecay: number;
  /** What the sums of squares start with. Default 0; Keras has 0.1. */
  initialAccumulatorValue: number;
  /** Default 1e-10. */
  eps: number;
}

/** Adagrad (Duchi et al., 2011). `lr` defaults to 0.01. */
export class Adagrad extends SlotOptimizer<AdagradSettings> {
  constructor(parameters: Parameters<AdagradSettings>, options: Partial<AdagradSettings> = {}) {
    const defaults = { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10 };
    super('Adagrad', parameters, defaults, options);
  }

  protected override check({ lrDecay, weightDecay, initialAccumulatorValue, eps }: AdagradSettings): void {
    checkNumber('Adagrad', 'lrDecay', lrDecay, 0);
    checkNumber('Adagrad', 'weightDecay', weightDecay, 0);
    checkNumber('Adagrad', 'initialAccumulatorValue', initialAccumulatorValue, 0);
    checkNumber('Adagrad', 'eps', eps, 0);
  }

  protected override initialState(parameter: Tensor, { initialAccumulatorValue }: AdagradSettings): Tensor[] {
    return [full(parameter.shape, initialAccumulatorValue, { like: parameter })];
  }

  protected override update(p: Tensor, grad: Tensor, [sum]: readonly Tensor[], step: number, s: AdagradSettings): void {
    adagradStep(p, grad, sum, { lr: s.lr / (1 + (step - 1) * s.lrDecay), eps: s.eps, weightDecay: s.weightDecay });
  }
}

/** Settings of {@link Adadelta}. */
export interface AdadeltaSettings extends GroupSettings {
  /** Decay of both averages, in [0, 1]. Default 0.9; Keras has 0.95. */
  rho: number;
  /** Default 1e-6. */
  eps: number;
  /** Default 0. */
  weightDecay: number;
}

/** Adadelta (Zeiler, 2012). `lr` defaults to 1. */
export class Adadelta extends SlotOptimizer<AdadeltaSettings> {
  constructor(parameters: Parameters<AdadeltaSettings>, options: Partial<AdadeltaSettings> = {}) {
    super('Adadelta', parameters, { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0 }, options);
  }

  protected override check({ rho, eps, weightDecay }: AdadeltaSettings): void {
    checkNumber('Adadelta', 'rho', rho, 0, 1);
    checkNumber('Adadelta', 'eps', eps, 0);
    checkNumber('Adadelta', 'weightDecay', weightDecay, 0);
  }

  protected override initialState(parameter: Tensor): Tensor[] {
    return this.blanks(parameter, 2);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], _: number, s: AdadeltaSettings): void {
    adadeltaStep(p, grad, state[0], state[1], s);
  }
}

/** Settings of {@link Lion}. */
export interface LionSettings extends GroupSettings {
  /** Of the direction and of the moment, each in [0, 1). Default [0.9, 0.99]. */
  betas: readonly [number, number];
  /** Decoupled. Default 0. */
  weightDecay: number;
}

/** Steps by the sign of the moment (Chen et al., 2023). `lr` defaults to 0.0001. */
export class Lion extends SlotOptimizer<LionSettings> {
  constructor(parameters: Parameters<LionSettings>, options: Partial<LionSettings> = {}) {
    super('Lion', parameters, { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0 }, options);
  }

  protected override check({ betas, weightDecay }: LionSettings): void {
    checkBetas('Lion', betas);
    checkNumber('Lion', 'weightDecay', weightDecay, 0);
  }

  protected override initialState(parameter: Tensor): Tensor[] {
    return this.blanks(parameter, 1);
  }

  protected override update(p: Tensor, grad: Tensor, [m]: readonly Tensor[], _: number, s: LionSettings): void {
    lionStep(p, grad, m, s);
  }
}

/** {@link RMSprop} */
export const rmsprop = (parameters: Parameters<RMSpropSettings>, options?: RMSpropOptions): RMSprop =>
  new RMSprop(parameters, options);
/** {@link Adagrad} */
export const adagrad = (parameters: Parameters<AdagradSettings>, options?: Partial<AdagradSettings>): Adagrad =>
  new Adagrad(parameters, options);
/** {@link Adadelta} */
export const adadelta = (parameters: Parameters<AdadeltaSettings>, options?: Partial<AdadeltaSettings>): Adadelta =>
  new Adadelta(parameters, options);
/** {@link Lion} */
export const lion = (parameters: Parameters<LionSettings>, options?: Partial<LionSettings>): Lion =>
  new Lion(parameters, options);

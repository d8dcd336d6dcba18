import { adamaxStep, adamStep, amsgradStep, lambStep, nadamStep, radamStep, type AdamSettings } from '../ops/update';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { checkBetas } from './checks';
import type { GroupSettings, Parameters } from './optimizer';
import { SlotOptimizer } from './slots';

/** Settings of Adam and its relatives. */
export interface MomentSettings extends GroupSettings {
  /** Decay of the two moment estimates, each in [0, 1). Default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the denominator. Default 1e-8, as in PyTorch; Keras has 1e-7. */
  eps: number;
  /** Default 0 (added to the gradient); AdamW: 0.01 (applied to the weights). */
  weightDecay: number;
}

/** Settings of {@link Adam} and {@link AdamW}. */
export interface AdamGroup extends MomentSettings {
  /** Divide by the largest second moment so far (Reddi et al., 2018). Default false. */
  amsgrad: boolean;
}

/** Options of {@link Adam} and {@link AdamW}; `lr` defaults to 0.001. */
export type AdamOptions = Partial<AdamGroup>;
/** Options of {@link AdaMax}, {@link RAdam} and {@link LAMB}. */
export type MomentOptions = Partial<MomentSettings>;

const defaults: MomentSettings = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };

function settingsOf(s: MomentSettings, decoupled = false): AdamSettings {
  const [beta1, beta2] = s.betas;
  return { lr: s.lr, beta1, beta2, eps: s.eps, weightDecay: s.weightDecay, decoupled };
}

/** What Adam's relatives share: two moments for each parameter. */
abstract class MomentOptimizer<S extends MomentSettings> extends SlotOptimizer<S> {
  protected override check({ betas, eps, weightDecay }: S): void {
    const { name } = this;
    checkBetas(name, betas);
    checkNumber(name, 'eps', eps, 0);
    checkNumber(name, 'weightDecay', weightDecay, 0);
  }

  protected override initialState(...[parameter]: [Tensor, S]): Tensor[] {
    return this.blanks(parameter, 2);
  }
}

/** {@link Adam} and {@link AdamW}: the same, but for where the decay goes. */
abstract class AdamBase extends MomentOptimizer<AdamGroup> {
  protected abstract readonly decoupled: boolean;

  protected override initialState(parameter: Tensor, { amsgrad }: AdamGroup): Tensor[] {
    return this.blanks(parameter, amsgrad ? 3 : 2);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], step: number, s: AdamGroup): void {
    const settings = settingsOf(s, this.decoupled);
    // Where amsgrad was set after the first step there is no largest moment to go by.
    const largest = (state as readonly (Tensor | undefined)[])[2];
    if (s.amsgrad && largest !== undefined) amsgradStep(p, grad, state[0], state[1], largest, step, settings);
    else adamStep(p, grad, state[0], state[1], step, settings);
  }
}

/** Adam (Kingma and Ba, 2015), by PyTorch's formulas. */
export class Adam extends AdamBase {
  protected override readonly decoupled = false;

  constructor(parameters: Parameters<AdamGroup>, options: AdamOptions = {}) {
    super('Adam', parameters, { ...defaults, amsgrad: false }, options);
  }
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019). */
export class AdamW extends AdamBase {
  protected override readonly decoupled = true;

  constructor(parameters: Parameters<AdamGroup>, options: AdamOptions = {}) {
    super('AdamW', parameters, { ...defaults, weightDecay: 0.01, amsgrad: false }, options);
  }
}

/** Settings of {@link NAdam}. */
export interface NAdamSettings extends MomentSettings {
  /** Of the momentum's schedule. Default 0.004. */
  momentumDecay: number;
}

/** Adam with Nesterov's momentum (Dozat, 2016). `lr` defaults to 0.002. */
export class NAdam extends MomentOptimizer<NAdamSettings> {
  constructor(parameters: Parameters<NAdamSettings>, options: Partial<NAdamSettings> = {}) {
    super('NAdam', parameters, { ...defaults, lr: 2e-3, momentumDecay: 4e-3 }, options);
  }

  protected override check(settings: NAdamSettings): void {
    super.check(settings);
    checkNumber('NAdam', 'momentumDecay', settings.momentumDecay, 0);
  }

  /** The product of the momenta so far. */
  protected override initialNumbers(): number[] {
    return [1];
  }

  protected override update(
    p: Tensor,
    grad: Tensor,
    state: readonly Tensor[],
    step: number,
    s: NAdamSettings,
    numbers: number[],
  ): void {
    const momentum = (t: number): number => s.betas[0] * (1 - 0.5 * 0.96 ** (t * s.momentumDecay));
    const [now, next] = [momentum(step), momentum(step + 1)];
    const product = numbers[0] * now;
    const ofGrad = (s.lr * (1 - now)) / (1 - product);
    const ofMoment = (s.lr * next) / (1 - product * next);
    nadamStep(p, grad, state[0], state[1], step, settingsOf(s), ofGrad, ofMoment);
    numbers[0] = product;
  }
}

/** Adam whose first steps are rectified (Liu et al., 2020). */
export class RAdam extends MomentOptimizer<MomentSettings> {
  constructor(parameters: Parameters<MomentSettings>, options: MomentOptions = {}) {
    super('RAdam', parameters, defaults, options);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], step: number, s: MomentSettings): void {
    const [, beta2] = s.betas;
    const limit = 2 / (1 - beta2) - 1;
    const power = beta2 ** step;
    const length = limit - (2 * step * power) / (1 - power);
    const rectification =
      length > 5 ? Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length)) : 0;
    radamStep(p, grad, state[0], state[1], step, settingsOf(s), rectification);
  }
}

/** Adam by the infinity norm (Kingma and Ba, 2015). `lr` defaults to 0.002. */
export class AdaMax extends MomentOptimizer<MomentSettings> {
  constructor(parameters: Parameters<MomentSettings>, options: MomentOptions = {}) {
    super('AdaMax', parameters, { ...defaults, lr: 2e-3 }, options);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], step: number, s: MomentSettings): void {
    adamaxStep(p, grad, state[0], state[1], step, settingsOf(s));
  }
}

/** Layer-wise adaptive Adam for large batches (You et al., 2020). `eps` defaults to 1e-6. */
export class LAMB extends MomentOptimizer<MomentSettings> {
  constructor(parameters: Parameters<MomentSettings>, options: MomentOptions = {}) {
    super('LAMB', parameters, { ...defaults, eps: 1e-6 }, options);
  }

  protected override initialState(parameter: Tensor): Tensor[] {
    // Two moments and the direction, which is scratch that need not be allocated again at each step.
    return this.blanks(parameter, 3);
  }

  protected override update(p: Tensor, grad: Tensor, state: readonly Tensor[], step: number, s: MomentSettings): void {
    lambStep(p, grad, state[0], state[1], state[2], step, settingsOf(s));
  }
}

/** {@link Adam} */
export const adam = (parameters: Parameters<AdamGroup>, options?: AdamOptions): Adam => new Adam(parameters, options);
/** {@link AdamW} */
export const adamw = (parameters: Parameters<AdamGroup>, options?: AdamOptions): AdamW =>
  new AdamW(parameters, options);
/** {@link NAdam} */
export const nadam = (parameters: Parameters<NAdamSettings>, options?: Partial<NAdamSettings>): NAdam =>
  new NAdam(parameters, options);
/** {@link RAdam} */
export const radam = (parameters: Parameters<MomentSettings>, options?: MomentOptions): RAdam =>
  new RAdam(parameters, options);
/** {@link AdaMax} */
export const adamax = (parameters: Parameters<MomentSettings>, options?: MomentOptions): AdaMax =>
  new AdaMax(parameters, options);
/** {@link LAMB} */
export const lamb = (parameters: Parameters<MomentSettings>, options?: MomentOptions): LAMB =>
  new LAMB(parameters, options);

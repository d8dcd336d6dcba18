/** Learning rates over time. Call `step()` once per epoch, or per batch where the schedule says so. */
import { checkInteger, checkNumber } from '../tensor/shape';
import type { GroupSettings, Optimizer } from './optimizer';

type AnyOptimizer = Pick<Optimizer, 'paramGroups' | 'parameters'>;

/** What is saved to go on later. */
export type SchedulerState = Readonly<Record<string, unknown>>;

/**
 * Sets the learning rate of each group from the one it had at first. Subclasses give `factorAt` (times the first rate)
 * or `rateAt`. Values are PyTorch's, computed from the step's number alone.
 */
export abstract class LRScheduler {
  /** How often `step` was called. */
  protected count = 0;
  /** The rate of each group when the schedule was made. */
  readonly baseRates: readonly number[];

  constructor(protected readonly optimizer: AnyOptimizer) {
    this.baseRates = optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** The rate of a group with a given first rate after `step` steps. */
  protected abstract rateAt(step: number, base: number, group: number): number;

  /** Goes one step on. */
  step(): void {
    this.count++;
    this.apply();
  }

  /** The rates in use. */
  get lastRates(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** Writes the rates of the current step into the optimizer. */
  protected apply(): void {
    this.optimizer.paramGroups.forEach((group: GroupSettings, i) => {
      group.lr = this.rateAt(this.count, this.baseRates[i], i);
    });
  }

  stateDict(): SchedulerState {
    return { count: this.count, baseRates: this.baseRates };
  }

  loadStateDict(state: SchedulerState): void {
    this.count = checkInteger('loadStateDict', 'count', state.count, 0, Number.MAX_SAFE_INTEGER);
    (this as { baseRates: readonly number[] }).baseRates = [...(state.baseRates as number[])];
    this.apply();
  }
}

/** The rate times a function of the step; one function for all groups, or one for each. */
export class LambdaLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    private readonly factor: ((step: number) => number) | readonly ((step: number) => number)[],
  ) {
    super(optimizer);
    this.apply();
  }

  protected override rateAt(step: number, base: number, group: number): number {
    const factor = typeof this.factor === 'function' ? this.factor : this.factor[group];
    return base * factor(step);
  }
}

/** The rate times `gamma` every `stepSize` steps. */
export class StepLR extends LRScheduler {
  private readonly gamma: number;

  constructor(
    optimizer: AnyOptimizer,
    private readonly stepSize: number,
    options: { gamma?: number } = {},
  ) {
    super(optimizer);
    checkInteger('StepLR', 'stepSize', stepSize, 1, 2 ** 31 - 1);
    this.gamma = checkNumber('StepLR', 'gamma', options.gamma ?? 0.1, 0);
  }

  protected override rateAt(step: number, base: number): number {
    return base * this.gamma ** Math.floor(step / this.stepSize);
  }
}

/** The rate times `gamma` at each of the given steps. */
export class MultiStepLR extends LRScheduler {
  private readonly gamma: number;

  constructor(
    optimizer: AnyOptimizer,
    private readonly milestones: readonly number[],
    options: { gamma?: number } = {},
  ) {
    super(optimizer);
    milestones.forEach((milestone, i) => {
      checkInteger('MultiStepLR', `milestones[${String(i)}]`, milestone, 0, 2 ** 31 - 1);
    });
    this.gamma = checkNumber('MultiStepLR', 'gamma', options.gamma ?? 0.1, 0);
  }

  protected override rateAt(step: number, base: number): number {
    return base * this.gamma ** this.milestones.filter((milestone) => milestone <= step).length;
  }
}

/** The rate times `gamma` at every step. */
export class ExponentialLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    private readonly gamma: number,
  ) {
    super(optimizer);
    checkNumber('ExponentialLR', 'gamma', gamma, 0);
  }

  protected override rateAt(step: number, base: number): number {
    return base * this.gamma ** step;
  }
}

/** Along half a cosine from the first rate to `minRate` in `steps` steps (Loshchilov and Hutter, 2017), and back up. */
export class CosineAnnealingLR extends LRScheduler {
  private readonly minRate: number;

  constructor(
    optimizer: AnyOptimizer,
    private readonly steps: number,
    options: { minRate?: number } = {},
  ) {
    super(optimizer);
    checkInteger('CosineAnnealingLR', 'steps', steps, 1, 2 ** 31 - 1);
    this.minRate = checkNumber('CosineAnnealingLR', 'minRate', options.minRate ?? 0, 0);
  }

  protected override rateAt(step: number, base: number): number {
    return this.minRate + ((base - this.minRate) * (1 + Math.cos((Math.PI * step) / this.steps))) / 2;
  }
}

/** Options of {@link CosineAnnealingWarmRestarts}. */
export interface WarmRestartOptions {
  /** Each stretch is so many times longer than the last. Default 1. */
  factor?: number;
  /** Default 0. */
  minRate?: number;
}

/** Half a cosine again and again, from the first rate to `minRate` (Loshchilov and Hutter, 2017). */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  private readonly factor: number;
  private readonly minRate: number;

  /** @param first the steps of the first stretch */
  constructor(
    optimizer: AnyOptimizer,
    private readonly first: number,
    options: WarmRestartOptions = {},
  ) {
    super(optimizer);
    checkInteger('CosineAnnealingWarmRestarts', 'first', first, 1, 2 ** 31 - 1);
    this.factor = checkInteger('CosineAnnealingWarmRestarts', 'factor', options.factor ?? 1, 1, 2 ** 31 - 1);
    this.minRate = checkNumber('CosineAnnealingWarmRestarts', 'minRate', options.minRate ?? 0, 0);
  }

  protected override rateAt(step: number, base: number): number {
    let [at, length] = [step, this.first];
    while (at >= length) {
      at -= length;
      length *= this.factor;
    }
    return this.minRate + ((base - this.minRate) * (1 + Math.cos((Math.PI * at) / length))) / 2;
  }
}

/** Options of {@link OneCycleLR}. */
export interface OneCycleOptions {
  /** The share of the steps in which the rate rises. Default 0.3. */
  rising?: number;
  /** Default 'cos'. */
  shape?: 'cos' | 'linear';
  /** The first rate is maxRate / startFactor. Default 25. */
  startFactor?: number;
  /** The last rate is the first / endFactor. Default 10000. */
  endFactor?: number;
  /** Move the momentum (or Adam's beta1) the other way. Default true. */
  cycleMomentum?: boolean;
  /** Default 0.85. */
  baseMomentum?: number;
  /** Default 0.95. */
  maxMomentum?: number;
}

/** Up to `maxRate` and far down again in `totalSteps` steps, one a batch (Smith and Topin, 2018). */
export class OneCycleLR extends LRScheduler {
  private readonly options: Required<OneCycleOptions>;

  constructor(
    optimizer: AnyOptimizer,
    private readonly maxRate: number,
    private readonly totalSteps: number,
    options: OneCycleOptions = {},
  ) {
    super(optimizer);
    checkNumber('OneCycleLR', 'maxRate', maxRate, 0);
    checkInteger('OneCycleLR', 'totalSteps', totalSteps, 1, 2 ** 31 - 1);
    const { rising = 0.3, shape = 'cos', startFactor = 25, endFactor = 1e4 } = options;
    const { cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = options;
    checkNumber('OneCycleLR', 'rising', rising, 0, 1);
    this.options = { rising, shape, startFactor, endFactor, cycleMomentum, baseMomentum, maxMomentum };
    this.apply();
  }

  /** Between two values: `share` 0 gives the first. */
  private blend(from: number, to: number, share: number): number {
    return this.options.shape === 'linear'
      ? from + (to - from) * share
      : to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
  }

  private value(step: number, start: number, top: number, end: number): number {
    if (step >= this.totalSteps) {
      throw new RangeError(
        `OneCycleLR: step ${String(step)} is beyond the ${String(this.totalSteps)} steps of the cycle`,
      );
    }
    const turn = this.options.rising * this.totalSteps - 1;
    if (step <= turn) return this.blend(start, top, step / turn);
    return this.blend(top, end, (step - turn) / (this.totalSteps - 1 - turn));
  }

  protected override rateAt(step: number): number {
    const first = this.maxRate / this.options.startFactor;
    return this.value(step, first, this.maxRate, first / this.options.endFactor);
  }

  protected override apply(): void {
    super.apply();
    const { cycleMomentum, baseMomentum, maxMomentum } = this.options;
    if (!cycleMomentum) return;
    const momentum = this.value(this.count, maxMomentum, baseMomentum, maxMomentum);
    for (const group of this.optimizer.paramGroups as { betas?: readonly [number, number]; momentum?: number }[]) {
      if (group.betas !== undefined) group.betas = [momentum, group.betas[1]];
      else if (group.momentum !== undefined) group.momentum = momentum;
    }
  }
}

/** From startFactor to endFactor times the rate in a straight line: a warm-up. */
export class LinearLR extends LRScheduler {
  private readonly start: number;
  private readonly end: number;
  private readonly steps: number;

  constructor(optimizer: AnyOptimizer, options: { startFactor?: number; endFactor?: number; steps?: number } = {}) {
    super(optimizer);
    this.start = checkNumber('LinearLR', 'startFactor', options.startFactor ?? 1 / 3, 0, 1);
    this.end = checkNumber('LinearLR', 'endFactor', options.endFactor ?? 1, 0, 1);
    this.steps = checkInteger('LinearLR', 'steps', options.steps ?? 5, 1, 2 ** 31 - 1);
    this.apply();
  }

  protected override rateAt(step: number, base: number): number {
    return base * (this.start + ((this.end - this.start) * Math.min(step, this.steps)) / this.steps);
  }
}

/** `factor` times the rate for the first `steps` steps. */
export class ConstantLR extends LRScheduler {
  private readonly factor: number;
  private readonly steps: number;

  constructor(optimizer: AnyOptimizer, options: { factor?: number; steps?: number } = {}) {
    super(optimizer);
    this.factor = checkNumber('ConstantLR', 'factor', options.factor ?? 1 / 3, 0, 1);
    this.steps = checkInteger('ConstantLR', 'steps', options.steps ?? 5, 0, 2 ** 31 - 1);
    this.apply();
  }

  protected override rateAt(step: number, base: number): number {
    return step < this.steps ? base * this.factor : base;
  }
}

/** Down to 0 along a power of the remaining share of `steps`. */
export class PolynomialLR extends LRScheduler {
  private readonly steps: number;
  private readonly power: number;

  constructor(optimizer: AnyOptimizer, options: { steps?: number; power?: number } = {}) {
    super(optimizer);
    this.steps = checkInteger('PolynomialLR', 'steps', options.steps ?? 5, 1, 2 ** 31 - 1);
    this.power = checkNumber('PolynomialLR', 'power', options.power ?? 1, 0);
  }

  protected override rateAt(step: number, base: number): number {
    return base * (1 - Math.min(step, this.steps) / this.steps) ** this.power;
  }
}

/** One schedule after the other: the next takes over, from its own step 0, at each milestone. */
export class SequentialLR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    private readonly schedules: readonly LRScheduler[],
    private readonly milestones: readonly number[],
  ) {
    super(optimizer);
    if (schedules.length !== milestones.length + 1) {
      throw new RangeError(
        `SequentialLR: ${String(schedules.length)} schedules need ${String(schedules.length - 1)} milestones, got ${String(milestones.length)}`,
      );
    }
    // The later ones changed the rates when they were made.
    (this as { baseRates: readonly number[] }).baseRates = schedules[0].baseRates;
    this.apply();
  }

  protected override rateAt(step: number, _: number, group: number): number {
    const at = this.milestones.filter((milestone) => milestone <= step).length;
    const schedule = this.schedules[at] as unknown as { rateAt: LRScheduler['rateAt'] };
    return schedule.rateAt(at === 0 ? step : step - this.milestones[at - 1], this.baseRates[group], group);
  }
}

/** Options of {@link ReduceLROnPlateau}. */
export interface PlateauOptions {
  /** Whether less ('min', default) or more is better. */
  mode?: 'min' | 'max';
  /** Default 0.1. */
  factor?: number;
  /** So many steps without improvement are tolerated. Default 10. */
  patience?: number;
  /** Smaller improvements do not count. Default 1e-4. */
  threshold?: number;
  /** Whether the threshold is a share of the best value or a difference. Default 'rel'. */
  thresholdMode?: 'rel' | 'abs';
  /** Steps after a reduction in which nothing is counted. Default 0. */
  cooldown?: number;
  /** Default 0. */
  minRate?: number;
  /** Smaller changes of the rate are not made. Default 1e-8. */
  eps?: number;
}

/** Lowers the rate when a measured value stops improving. `step` takes that value. */
export class ReduceLROnPlateau {
  private readonly options: Required<PlateauOptions>;
  private best: number;
  private badSteps = 0;
  private cooling = 0;

  constructor(
    private readonly optimizer: AnyOptimizer,
    options: PlateauOptions = {},
  ) {
    const { mode = 'min', factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = 'rel' } = options;
    const { cooldown = 0, minRate = 0, eps = 1e-8 } = options;
    checkNumber('ReduceLROnPlateau', 'factor', factor, 0, 1);
    if (factor === 1) throw new RangeError('ReduceLROnPlateau: factor must be below 1');
    checkInteger('ReduceLROnPlateau', 'patience', patience, 0, 2 ** 31 - 1);
    checkInteger('ReduceLROnPlateau', 'cooldown', cooldown, 0, 2 ** 31 - 1);
    checkNumber('ReduceLROnPlateau', 'threshold', threshold, 0);
    this.options = { mode, factor, patience, threshold, thresholdMode, cooldown, minRate, eps };
    this.best = mode === 'min' ? Infinity : -Infinity;
  }

  private isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const sign = mode === 'min' ? -1 : 1;
    const margin = thresholdMode === 'rel' ? Math.abs(this.best) * threshold : threshold;
    // No value is better than an infinite best by a share of it.
    if (!Number.isFinite(this.best)) return sign * value > sign * this.best;
    return sign * value > sign * this.best + margin;
  }

  step(value: number): void {
    const { patience, cooldown, factor, minRate, eps } = this.options;
    if (this.isBetter(value)) {
      this.best = value;
      this.badSteps = 0;
    } else {
      this.badSteps++;
    }
    if (this.cooling > 0) {
      this.cooling--;
      this.badSteps = 0;
    }
    if (this.badSteps <= patience) return;
    for (const group of this.optimizer.paramGroups) {
      const lower = Math.max(group.lr * factor, minRate);
      if (group.lr - lower > eps) group.lr = lower;
    }
    this.cooling = cooldown;
    this.badSteps = 0;
  }

  stateDict(): SchedulerState {
    return { best: this.best, badSteps: this.badSteps, cooling: this.cooling };
  }

  loadStateDict(state: SchedulerState): void {
    this.best = checkNumber('loadStateDict', 'best', state.best);
    this.badSteps = checkInteger('loadStateDict', 'badSteps', state.badSteps, 0, 2 ** 31 - 1);
    this.cooling = checkInteger('loadStateDict', 'cooling', state.cooling, 0, 2 ** 31 - 1);
  }
}

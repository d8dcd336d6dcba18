/** Learning rates over time. Call `step()` once per epoch, or per batch where the schedule says so. */
import { ShapeError } from '../errors';
import { checkInteger, checkNumber, describe } from '../tensor/shape';
import type { GroupSettings } from './optimizer';

/** The optimizers that a schedule can drive: all. */
export interface Scheduled {
  readonly paramGroups: readonly (GroupSettings & { momentum?: number; betas?: readonly [number, number] })[];
}

/** What is saved to go on later. */
export type SchedulerState = Readonly<Record<string, unknown>>;

const most = 2 ** 31 - 1;

/** @internal */
export function checkOptimizer(name: string, optimizer: unknown): void {
  if (typeof optimizer !== 'object' || optimizer === null || !('paramGroups' in optimizer)) {
    throw new TypeError(`${name}: expected an optimizer, got ${describe(optimizer)}`);
  }
}

/** @internal One value for each group, from one for all or a list. */
export function perGroup(
  name: string,
  what: string,
  given: number | readonly number[],
  optimizer: Scheduled,
): number[] {
  const groups = optimizer.paramGroups.length;
  const values = typeof given === 'number' ? new Array<number>(groups).fill(given) : [...given];
  if (values.length !== groups)
    throw new RangeError(`${name}: ${values.length} values of ${what} for ${groups} groups`);
  return values.map((value) => checkNumber(name, what, value, 0));
}

/** @internal A list of numbers, one for each group, from a saved state. */
export function savedRates(name: string, what: string, value: unknown, optimizer: Scheduled): number[] {
  const groups = optimizer.paramGroups.length;
  if (!Array.isArray(value) || value.length !== groups) {
    throw new ShapeError(`${name}: the saved ${what} must be ${groups} numbers, got ${describe(value)}`);
  }
  return value.map((rate) => checkNumber(name, `the saved ${what}`, rate, 0));
}

/**
 * Sets the learning rate of each group, step by step. As in PyTorch, most schedules go from the rate that is there to
 * the next, so that several schedules on one optimizer work together; all start from the rate that the group had before
 * the first of them was made (`group.initialLr`).
 */
export abstract class LRScheduler {
  /** How often `step` was called. */
  protected count = 0;
  /** The first rate of each group. */
  protected baseLrs: number[];

  constructor(readonly optimizer: Scheduled) {
    checkOptimizer('LRScheduler', optimizer);
    this.baseLrs = optimizer.paramGroups.map((group) => (group.initialLr ??= group.lr));
  }

  /** The rate of a group after `step` steps, from the one before; at step 0 that is the first rate. */
  protected abstract nextRate(step: number, current: number, base: number, group: number): number;

  /** Goes one step on. */
  step(): void {
    this.count++;
    this.apply();
  }

  /** The rates in use, one for each group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** Writes the rates of the current step into the optimizer. */
  protected apply(): void {
    this.optimizer.paramGroups.forEach((group, i) => {
      group.lr = this.nextRate(this.count, group.lr, this.baseLrs[i] ?? group.lr, i);
    });
  }

  /** @internal Back to step 0 and the first rates. */
  restart(): void {
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = this.baseLrs[i] ?? group.lr));
    this.begin();
  }

  /** @internal Back to step 0, from the rates that are there. */
  begin(): void {
    this.count = 0;
    this.apply();
  }

  /** The step and the rates, in numbers; functions are not part of it. */
  stateDict(): SchedulerState {
    return { count: this.count, baseLrs: [...this.baseLrs], rates: this.getLastLr() };
  }

  /**
   * Goes on where {@link LRScheduler.stateDict} was taken, with the rates of then.
   * @throws RangeError, ShapeError or TypeError for what is not such a state; nothing is changed then.
   */
  loadStateDict(state: SchedulerState): void {
    if (typeof state !== 'object' || (state as unknown) === null) {
      throw new TypeError(`loadStateDict: expected a schedule's state, got ${describe(state)}`);
    }
    const count = checkInteger('loadStateDict', 'count', state.count, 0, Number.MAX_SAFE_INTEGER);
    const baseLrs = savedRates('loadStateDict', 'baseLrs', state.baseLrs, this.optimizer);
    const rates = savedRates('loadStateDict', 'rates', state.rates, this.optimizer);
    this.count = count;
    this.baseLrs = baseLrs;
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = rates[i]));
  }
}

/** The rate times a function of the step; one function for all groups, or one for each. */
export class LambdaLR extends LRScheduler {
  constructor(
    optimizer: Scheduled,
    private readonly factor: ((step: number) => number) | readonly ((step: number) => number)[],
  ) {
    super(optimizer);
    if (typeof factor !== 'function' && factor.length !== optimizer.paramGroups.length) {
      throw new RangeError(`LambdaLR: ${factor.length} functions for ${optimizer.paramGroups.length} groups`);
    }
    this.apply();
  }

  protected override nextRate(step: number, _: number, base: number, group: number): number {
    const factor = typeof this.factor === 'function' ? this.factor : this.factor[group];
    return base * factor(step);
  }
}

/** The rate times `gamma` every `stepSize` steps. `gamma` defaults to 0.1. */
export class StepLR extends LRScheduler {
  private readonly gamma: number;

  constructor(
    optimizer: Scheduled,
    private readonly stepSize: number,
    options: { gamma?: number } = {},
  ) {
    super(optimizer);
    checkInteger('StepLR', 'stepSize', stepSize, 1, most);
    this.gamma = checkNumber('StepLR', 'gamma', options.gamma ?? 0.1, 0);
  }

  protected override nextRate(step: number, current: number): number {
    return step === 0 || step % this.stepSize !== 0 ? current : current * this.gamma;
  }
}

/** The rate times `gamma` at each of the given steps. `gamma` defaults to 0.1. */
export class MultiStepLR extends LRScheduler {
  private readonly gamma: number;

  constructor(
    optimizer: Scheduled,
    private readonly milestones: readonly number[],
    options: { gamma?: number } = {},
  ) {
    super(optimizer);
    milestones.forEach((milestone, i) => {
      checkInteger('MultiStepLR', `milestones[${i}]`, milestone, 0, most);
    });
    this.gamma = checkNumber('MultiStepLR', 'gamma', options.gamma ?? 0.1, 0);
  }

  protected override nextRate(step: number, current: number): number {
    return current * this.gamma ** this.milestones.filter((milestone) => milestone === step).length;
  }
}

/** The rate times `gamma` at every step. */
export class ExponentialLR extends LRScheduler {
  constructor(
    optimizer: Scheduled,
    private readonly gamma: number,
  ) {
    super(optimizer);
    checkNumber('ExponentialLR', 'gamma', gamma, 0);
  }

  protected override nextRate(step: number, current: number): number {
    return step === 0 ? current : current * this.gamma;
  }
}

/** The first rate times a factor of the step, in steps of the ratio of two factors. */
abstract class FactorLR extends LRScheduler {
  protected abstract factorAt(step: number): number;

  protected override nextRate(step: number, current: number, base: number): number {
    if (step === 0) return current * this.factorAt(0);
    const [before, after] = [this.factorAt(step - 1), this.factorAt(step)];
    // Nothing leads away from a rate of 0.
    return before === 0 ? base * after : current * (after / before);
  }
}

/** From startFactor (default 1/3) to endFactor (1) times the rate in a straight line of `totalIters` (5): a warm-up. */
export class LinearLR extends FactorLR {
  private readonly start: number;
  private readonly end: number;
  private readonly totalIters: number;

  constructor(optimizer: Scheduled, options: { startFactor?: number; endFactor?: number; totalIters?: number } = {}) {
    super(optimizer);
    this.start = checkNumber('LinearLR', 'startFactor', options.startFactor ?? 1 / 3, 0, 1);
    this.end = checkNumber('LinearLR', 'endFactor', options.endFactor ?? 1, 0, 1);
    this.totalIters = checkInteger('LinearLR', 'totalIters', options.totalIters ?? 5, 1, most);
    this.apply();
  }

  protected override factorAt(step: number): number {
    return this.start + ((this.end - this.start) * Math.min(step, this.totalIters)) / this.totalIters;
  }
}

/** `factor` (default 1/3) times the rate for the first `totalIters` (5) steps. */
export class ConstantLR extends FactorLR {
  private readonly factor: number;
  private readonly totalIters: number;

  constructor(optimizer: Scheduled, options: { factor?: number; totalIters?: number } = {}) {
    super(optimizer);
    this.factor = checkNumber('ConstantLR', 'factor', options.factor ?? 1 / 3, 0, 1);
    this.totalIters = checkInteger('ConstantLR', 'totalIters', options.totalIters ?? 5, 0, most);
    this.apply();
  }

  protected override factorAt(step: number): number {
    return step < this.totalIters ? this.factor : 1;
  }
}

/** Down to 0 along a power (default 1) of the remaining share of `totalIters` (5). */
export class PolynomialLR extends FactorLR {
  private readonly totalIters: number;
  private readonly power: number;

  constructor(optimizer: Scheduled, options: { totalIters?: number; power?: number } = {}) {
    super(optimizer);
    this.totalIters = checkInteger('PolynomialLR', 'totalIters', options.totalIters ?? 5, 1, most);
    this.power = checkNumber('PolynomialLR', 'power', options.power ?? 1, 0);
  }

  protected override factorAt(step: number): number {
    return (1 - Math.min(step, this.totalIters) / this.totalIters) ** this.power;
  }
}

/** Along half a cosine from the first rate to `etaMin` (default 0) in `tMax` steps, and back up (Loshchilov and Hutter, 2017). */
export class CosineAnnealingLR extends LRScheduler {
  private readonly etaMin: number;

  constructor(
    optimizer: Scheduled,
    private readonly tMax: number,
    options: { etaMin?: number } = {},
  ) {
    super(optimizer);
    checkInteger('CosineAnnealingLR', 'tMax', tMax, 1, most);
    this.etaMin = checkNumber('CosineAnnealingLR', 'etaMin', options.etaMin ?? 0, 0);
  }

  protected override nextRate(step: number, current: number, base: number): number {
    if (step === 0) return current;
    const { etaMin, tMax } = this;
    // From the lowest point, where the ratio below has no meaning, it goes up again.
    if ((step - 1 - tMax) % (2 * tMax) === 0) {
      return current + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
    }
    const height = (at: number): number => 1 + Math.cos((Math.PI * at) / tMax);
    return etaMin + (height(step) / height(step - 1)) * (current - etaMin);
  }
}

import { checkInteger, checkNumber, describe } from '../tensor/shape';
import { checkOptimizer, perGroup, type Scheduled, type SchedulerState } from './schedules';

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
  /** For all groups, or one for each. Default 0. */
  minLr?: number | readonly number[];
  /** Smaller changes of the rate are not made. Default 1e-8. */
  eps?: number;
}

/** Lowers the rate when a measured value stops improving. `step` takes that value. */
export class ReduceLROnPlateau {
  private readonly options: Required<Omit<PlateauOptions, 'minLr'>>;
  private readonly minLrs: readonly number[];
  private best: number;
  private badSteps = 0;
  private cooling = 0;

  constructor(
    readonly optimizer: Scheduled,
    options: PlateauOptions = {},
  ) {
    const name = 'ReduceLROnPlateau';
    checkOptimizer(name, optimizer);
    const { mode = 'min', factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = 'rel' } = options;
    const { cooldown = 0, minLr = 0, eps = 1e-8 } = options;
    checkNumber(name, 'factor', factor, 0, 1);
    if (factor === 1) throw new RangeError(`${name}: factor must be below 1`);
    if (!['min', 'max'].includes(mode)) throw new RangeError(`${name}: mode must be min or max, got ${describe(mode)}`);
    if (!['rel', 'abs'].includes(thresholdMode)) {
      throw new RangeError(`${name}: thresholdMode must be rel or abs, got ${describe(thresholdMode)}`);
    }
    checkInteger(name, 'patience', patience, 0, 2 ** 31 - 1);
    checkInteger(name, 'cooldown', cooldown, 0, 2 ** 31 - 1);
    checkNumber(name, 'threshold', threshold, 0);
    checkNumber(name, 'eps', eps, 0);
    this.minLrs = perGroup(name, 'minLr', minLr, optimizer);
    this.options = { mode, factor, patience, threshold, thresholdMode, cooldown, eps };
    this.best = mode === 'min' ? Infinity : -Infinity;
  }

  private isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const sign = mode === 'min' ? -1 : 1;
    // PyTorch's rule, also for values below 0, where a relative threshold asks for less than no improvement.
    const bound = thresholdMode === 'rel' ? this.best * (1 + sign * threshold) : this.best + sign * threshold;
    return sign * value > sign * bound;
  }

  /** Takes the value of this epoch; NaN is no improvement. */
  step(value: number): void {
    if (typeof value !== 'number') throw new TypeError(`step: the value must be a number, got ${describe(value)}`);
    const { patience, cooldown, factor, eps } = this.options;
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
    this.optimizer.paramGroups.forEach((group, i) => {
      const lower = Math.max(group.lr * factor, this.minLrs[i] ?? 0);
      if (group.lr - lower > eps) group.lr = lower;
    });
    this.cooling = cooldown;
    this.badSteps = 0;
  }

  /** The rates in use, one for each group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  stateDict(): SchedulerState {
    return { best: this.best, badSteps: this.badSteps, cooling: this.cooling };
  }

  /** The rates themselves are part of the optimizer's state. */
  loadStateDict(state: SchedulerState): void {
    const best = checkNumber('loadStateDict', 'best', state.best);
    const badSteps = checkInteger('loadStateDict', 'badSteps', state.badSteps, 0, 2 ** 31 - 1);
    this.cooling = checkInteger('loadStateDict', 'cooling', state.cooling, 0, 2 ** 31 - 1);
    this.best = best;
    this.badSteps = badSteps;
  }
}

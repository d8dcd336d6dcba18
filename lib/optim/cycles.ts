/** Schedules that rise and fall. */
import { checkInteger, checkNumber, describe } from '../tensor/shape';
import { LRScheduler, perGroup, type Scheduled, type SchedulerState } from './schedules';

const most = 2 ** 31 - 1;

/** Options of {@link CosineAnnealingWarmRestarts}. */
export interface WarmRestartOptions {
  /** Each stretch is so many times longer than the last. Default 1. */
  tMult?: number;
  /** Default 0. */
  etaMin?: number;
}

/** Half a cosine again and again, from the first rate to `etaMin` (Loshchilov and Hutter, 2017). */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  private readonly tMult: number;
  private readonly etaMin: number;
  /** In steps; between two where `step` was given a fraction. */
  private position = 0;

  /** @param t0 the steps of the first stretch */
  constructor(
    optimizer: Scheduled,
    private readonly t0: number,
    options: WarmRestartOptions = {},
  ) {
    super(optimizer);
    checkInteger('CosineAnnealingWarmRestarts', 't0', t0, 1, most);
    this.tMult = checkInteger('CosineAnnealingWarmRestarts', 'tMult', options.tMult ?? 1, 1, most);
    this.etaMin = checkNumber('CosineAnnealingWarmRestarts', 'etaMin', options.etaMin ?? 0, 0);
    this.apply();
  }

  /** Goes one step on, or to `epoch`, which may be a fraction: `epoch + batch / batches`, say. */
  override step(epoch: number = this.position + 1): void {
    this.position = checkNumber('CosineAnnealingWarmRestarts', 'epoch', epoch, 0, Number.MAX_SAFE_INTEGER);
    this.count = Math.floor(epoch);
    this.apply();
  }

  override begin(): void {
    this.position = 0;
    super.begin();
  }

  protected override nextRate(_: number, __: number, base: number): number {
    let [at, length] = [this.position, this.t0];
    if (this.tMult === 1) at %= length;
    while (at >= length) {
      at -= length;
      length *= this.tMult;
    }
    return this.etaMin + ((base - this.etaMin) * (1 + Math.cos((Math.PI * at) / length))) / 2;
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), position: this.position };
  }

  override loadStateDict(state: SchedulerState): void {
    const position = checkNumber('loadStateDict', 'position', state.position, 0, Number.MAX_SAFE_INTEGER);
    super.loadStateDict(state);
    this.position = position;
  }
}

/** Options of {@link OneCycleLR}. */
export interface OneCycleOptions {
  /** The share of the steps in which the rate rises. Default 0.3. */
  pctStart?: number;
  /** Default 'cos'. */
  annealStrategy?: 'cos' | 'linear';
  /** The first rate is maxLr / divFactor. Default 25. */
  divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default 10000. */
  finalDivFactor?: number;
  /** Fall as long as it rose, to the first rate, and only then to the last. Default false. */
  threePhase?: boolean;
  /** Move the momentum (or beta1) the other way. Default true. */
  cycleMomentum?: boolean;
  /** Default 0.85. */
  baseMomentum?: number;
  /** Default 0.95. */
  maxMomentum?: number;
}

/** Up to `end` (a step, which may be a fraction); rates by index into [first, top, last], momenta into [base, max]. */
interface Phase {
  readonly end: number;
  readonly rates: readonly [number, number];
  readonly momenta: readonly [number, number];
}

/** Up to `maxLr` and far down again in `totalSteps` steps, one a batch (Smith and Topin, 2018). */
export class OneCycleLR extends LRScheduler {
  private readonly tops: readonly number[];
  private readonly phases: readonly Phase[];
  private readonly options: Required<OneCycleOptions>;

  /**
   * @param maxLr for all groups, or one for each
   * @throws RangeError for a setting out of range, and with `cycleMomentum` for an optimizer that has none.
   */
  constructor(
    optimizer: Scheduled,
    maxLr: number | readonly number[],
    private readonly totalSteps: number,
    options: OneCycleOptions = {},
  ) {
    super(optimizer);
    this.tops = perGroup('OneCycleLR', 'maxLr', maxLr, optimizer);
    checkInteger('OneCycleLR', 'totalSteps', totalSteps, 1, most);
    const {
      pctStart = 0.3,
      annealStrategy = 'cos',
      divFactor = 25,
      finalDivFactor = 1e4,
      threePhase = false,
    } = options;
    const { cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = options;
    checkNumber('OneCycleLR', 'pctStart', pctStart, 0, 1);
    checkNumber('OneCycleLR', 'divFactor', divFactor, Number.MIN_VALUE);
    checkNumber('OneCycleLR', 'finalDivFactor', finalDivFactor, Number.MIN_VALUE);
    checkNumber('OneCycleLR', 'baseMomentum', baseMomentum, 0, 1);
    checkNumber('OneCycleLR', 'maxMomentum', maxMomentum, 0, 1);
    if (!['cos', 'linear'].includes(annealStrategy)) {
      throw new RangeError(`OneCycleLR: unknown annealStrategy ${describe(annealStrategy)}; known are cos, linear`);
    }
    const hasMomentum = optimizer.paramGroups.every((group) => group.betas ?? group.momentum !== undefined);
    if (cycleMomentum && !hasMomentum) {
      throw new RangeError('OneCycleLR: the optimizer has no momentum to cycle; pass { cycleMomentum: false }');
    }
    this.options = {
      pctStart,
      annealStrategy,
      divFactor,
      finalDivFactor,
      threePhase,
      cycleMomentum,
      baseMomentum,
      maxMomentum,
    };
    const turn = pctStart * totalSteps - 1;
    const rise: Phase = { end: turn, rates: [0, 1], momenta: [1, 0] };
    const last = totalSteps - 1;
    this.phases = threePhase
      ? [rise, { end: 2 * turn, rates: [1, 0], momenta: [0, 1] }, { end: last, rates: [0, 2], momenta: [1, 1] }]
      : [rise, { end: last, rates: [1, 2], momenta: [0, 1] }];
    optimizer.paramGroups.forEach((group, i) => (group.initialLr = this.tops[i] / divFactor));
    this.baseLrs = this.tops.map((top) => top / divFactor);
    this.apply();
  }

  /** Between two values; `share` 0 gives the first. */
  private blend(from: number, to: number, share: number): number {
    return this.options.annealStrategy === 'linear'
      ? from + (to - from) * share
      : to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
  }

  /** The phase that a step is in, and how far. */
  private at(step: number): { phase: Phase; share: number } {
    const { phases } = this;
    const found = phases.findIndex(({ end }) => step <= end);
    const i = found < 0 ? phases.length - 1 : found;
    const start = i === 0 ? 0 : phases[i - 1].end;
    const length = phases[i].end - start;
    return { phase: phases[i], share: length === 0 ? 1 : (step - start) / length };
  }

  override step(): void {
    if (this.count >= this.totalSteps) {
      throw new RangeError(`OneCycleLR: step ${this.count + 1} is beyond the ${this.totalSteps} steps of the cycle`);
    }
    super.step();
  }

  protected override nextRate(step: number, _: number, __: number, group: number): number {
    const { phase, share } = this.at(step);
    const first = this.tops[group] / this.options.divFactor;
    const rates = [first, this.tops[group], first / this.options.finalDivFactor];
    return this.blend(rates[phase.rates[0]], rates[phase.rates[1]], share);
  }

  protected override apply(): void {
    super.apply();
    const { cycleMomentum, baseMomentum, maxMomentum } = this.options;
    if (!cycleMomentum) return;
    const { phase, share } = this.at(this.count);
    const momenta = [baseMomentum, maxMomentum];
    const momentum = this.blend(momenta[phase.momenta[0]], momenta[phase.momenta[1]], share);
    for (const group of this.optimizer.paramGroups) {
      if (group.betas !== undefined) group.betas = [momentum, group.betas[1]];
      else group.momentum = momentum;
    }
  }

  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state);
    // The momentum too; the rates follow from the step.
    this.apply();
  }
}

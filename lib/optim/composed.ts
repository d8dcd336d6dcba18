/** Schedules made of schedules. */
import { checkInteger, describe } from '../tensor/shape';
import { LRScheduler, type Scheduled, type SchedulerState } from './schedules';

/** What the two ways to compose have in common. */
abstract class ComposedLR extends LRScheduler {
  protected readonly schedules: readonly LRScheduler[];

  constructor(name: string, optimizer: Scheduled, schedules: readonly LRScheduler[]) {
    super(optimizer);
    if (!Array.isArray(schedules) || schedules.length === 0) {
      throw new RangeError(`${name}: expected schedules, got ${describe(schedules)}`);
    }
    schedules.forEach((schedule: unknown, i) => {
      if (!(schedule instanceof LRScheduler)) {
        throw new TypeError(`${name}: schedule ${i} is ${describe(schedule)}, which cannot be composed`);
      }
      if (schedule.optimizer !== optimizer) throw new RangeError(`${name}: schedule ${i} is of another optimizer`);
    });
    this.schedules = [...(schedules as readonly LRScheduler[])];
  }

  protected override nextRate(_: number, current: number): number {
    return current;
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), schedules: this.schedules.map((schedule) => schedule.stateDict()) };
  }

  override loadStateDict(state: SchedulerState): void {
    const parts: unknown = state.schedules;
    if (!Array.isArray(parts) || parts.length !== this.schedules.length) {
      throw new RangeError(`loadStateDict: expected ${this.schedules.length} schedules, got ${describe(parts)}`);
    }
    this.schedules.forEach((schedule, i) => {
      schedule.loadStateDict(parts[i] as SchedulerState);
    });
    super.loadStateDict(state);
  }
}

/** One schedule after the other: the next takes over, from its own step 0 and the first rates, at each milestone. */
export class SequentialLR extends ComposedLR {
  /** @throws RangeError unless the milestones ascend and are one less than the schedules, all of this optimizer. */
  constructor(
    optimizer: Scheduled,
    schedules: readonly LRScheduler[],
    private readonly milestones: readonly number[],
  ) {
    super('SequentialLR', optimizer, schedules);
    if (schedules.length !== milestones.length + 1) {
      throw new RangeError(
        `SequentialLR: ${schedules.length} schedules need ${schedules.length - 1} milestones, got ${milestones.length}`,
      );
    }
    milestones.forEach((milestone, i) => {
      checkInteger('SequentialLR', `milestones[${i}]`, milestone, i === 0 ? 1 : milestones[i - 1] + 1, 2 ** 31 - 1);
    });
    // The later ones changed the rates when they were made.
    this.schedules[0].restart();
  }

  override step(): void {
    this.count++;
    const at = this.milestones.filter((milestone) => milestone <= this.count).length;
    if (at > 0 && this.milestones[at - 1] === this.count) this.schedules[at].restart();
    else this.schedules[at].step();
  }

  override begin(): void {
    this.count = 0;
    this.schedules[0].begin();
  }
}

/** All schedules at once: each step goes one on in all of them, so that their factors multiply. */
export class ChainedScheduler extends ComposedLR {
  /** @throws RangeError unless all schedules are of one optimizer. */
  constructor(schedules: readonly LRScheduler[]) {
    const [first] = Array.isArray(schedules) ? (schedules as readonly (LRScheduler | undefined)[]) : [];
    if (!(first instanceof LRScheduler)) {
      throw new RangeError(`ChainedScheduler: expected schedules, got ${describe(schedules)}`);
    }
    super('ChainedScheduler', first.optimizer, schedules);
  }

  override step(): void {
    this.count++;
    for (const schedule of this.schedules) schedule.step();
  }

  override begin(): void {
    this.count = 0;
    for (const schedule of this.schedules) schedule.begin();
  }
}

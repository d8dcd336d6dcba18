/** A slowly moving copy of the weights. */
import { noGrad } from '../autograd/node';
import { assign } from '../ops/update';
import { keep, tidy } from '../tensor/scope';
import { checkNumber } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';

/** Options of {@link ExponentialMovingAverage}. */
export interface AverageOptions {
  /** How much of the average stays at each update, in [0, 1]. Default 0.999. */
  decay?: number;
  /** At first decay less: min(decay, (1 + updates) / (10 + updates)). Default false. */
  warmUp?: boolean;
}

/**
 * The exponential moving average of parameters (Polyak and Juditsky, 1992), often better at test time than the
 * parameters themselves. Call {@link ExponentialMovingAverage.update} after each step.
 */
export class ExponentialMovingAverage {
  readonly parameters: readonly Tensor[];
  /** The averages, one for each parameter. */
  readonly averages: readonly Tensor[];
  private readonly decay: number;
  private readonly warmUp: boolean;
  private updates = 0;
  private stored: Tensor[] | null = null;

  constructor(parameters: Iterable<Tensor>, options: AverageOptions = {}) {
    const { decay = 0.999, warmUp = false } = options;
    checkNumber('ExponentialMovingAverage', 'decay', decay, 0, 1);
    this.decay = decay;
    this.warmUp = warmUp;
    this.parameters = [...parameters];
    this.averages = this.parameters.map((p) => keep(p.detach().clone()));
  }

  /** Moves the averages toward the parameters. */
  update(): void {
    this.updates++;
    const decay = this.warmUp ? Math.min(this.decay, (1 + this.updates) / (10 + this.updates)) : this.decay;
    noGrad(() => {
      tidy(() => {
        this.averages.forEach((average, i) => {
          assign(average, average.mul(decay).add(this.parameters[i].detach().mul(1 - decay)));
        });
      });
    });
  }

  /** Puts the averages into the parameters, whose own values are kept until {@link ExponentialMovingAverage.restore}. */
  apply(): void {
    if (this.stored !== null) throw new Error('ExponentialMovingAverage: the averages are applied already');
    this.stored = this.parameters.map((p) => keep(p.detach().clone()));
    this.copy(this.averages);
  }

  /** Puts the parameters' own values back. */
  restore(): void {
    if (this.stored === null) throw new Error('ExponentialMovingAverage: nothing to restore, apply() was not called');
    this.copy(this.stored);
    for (const x of this.stored) x.dispose();
    this.stored = null;
  }

  private copy(from: readonly Tensor[]): void {
    this.parameters.forEach((p, i) => {
      assign(p, from[i]);
    });
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const x of [...this.averages, ...(this.stored ?? [])]) x.dispose();
    this.stored = null;
  }
}

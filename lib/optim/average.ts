/** A slowly moving copy of the weights. */
import { noGrad } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { assign, averageStep } from '../ops/update';
import type { DType } from '../tensor/dtype';
import { keep } from '../tensor/scope';
import { checkInteger, checkNumber, describe, formatShape, sameShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';

/** Options of {@link ExponentialMovingAverage}. */
export interface AverageOptions {
  /** How much of the average stays at each update, in [0, 1]. Default 0.999. */
  decay?: number;
  /** At first decay less: min(decay, (1 + updates) / (10 + updates)). Default false. */
  useNumUpdates?: boolean;
}

/** What a later run needs to go on exactly. */
export interface AverageState {
  readonly decay: number;
  readonly updates: number;
  readonly averages: readonly AnyTensor[];
}

/**
 * The exponential moving average of parameters (Polyak and Juditsky, 1992), often better at test time than the
 * parameters themselves. Call {@link ExponentialMovingAverage.update} after each step.
 */
export class ExponentialMovingAverage {
  readonly parameters: readonly Tensor[];
  /** The averages, one for each parameter. */
  readonly averages: readonly Tensor[];
  private decay: number;
  private readonly useNumUpdates: boolean;
  private updates = 0;
  private stored: Tensor[] | null = null;
  private applied = false;

  /** @throws RangeError for a decay out of range; TypeError or DTypeError for what is not a floating-point tensor. */
  constructor(parameters: Iterable<Tensor>, options: AverageOptions = {}) {
    const { decay = 0.999, useNumUpdates = false } = options;
    checkNumber('ExponentialMovingAverage', 'decay', decay, 0, 1);
    this.decay = decay;
    this.useNumUpdates = useNumUpdates;
    this.parameters = checkedParameters(parameters);
    this.averages = copies(this.parameters);
  }

  /** Moves the averages toward the parameters. */
  update(): void {
    this.updates++;
    const decay = this.useNumUpdates ? Math.min(this.decay, (1 + this.updates) / (10 + this.updates)) : this.decay;
    this.averages.forEach((average, i) => {
      averageStep(average, this.parameters[i], decay);
    });
  }

  /** Keeps the parameters' values for {@link ExponentialMovingAverage.restore}, in place of those kept before. */
  store(): void {
    if (this.stored === null) this.stored = copies(this.parameters);
    else copy(this.parameters, this.stored);
  }

  /** Writes the averages into the parameters, or into those of another model of the same shapes. */
  applyTo(parameters: Iterable<Tensor> = this.parameters): void {
    const targets = parameters === this.parameters ? this.parameters : checkedParameters(parameters);
    checkFit(targets, this.averages);
    copy(this.averages, targets);
  }

  /** {@link ExponentialMovingAverage.store}, then {@link ExponentialMovingAverage.applyTo} its own parameters. */
  apply(): void {
    if (this.applied) throw new Error('ExponentialMovingAverage: the averages are applied already');
    this.store();
    this.applyTo();
    this.applied = true;
  }

  /** Puts the parameters' own values back, as they were stored. */
  restore(): void {
    if (this.stored === null) {
      throw new Error('ExponentialMovingAverage: nothing to restore, neither store() nor apply() was called');
    }
    copy(this.stored, this.parameters);
    for (const x of this.stored) x.dispose();
    this.stored = null;
    this.applied = false;
  }

  /** The averages themselves (not copies) and the number of updates. */
  stateDict(): AverageState {
    return { decay: this.decay, updates: this.updates, averages: this.averages };
  }

  /** Goes on where {@link ExponentialMovingAverage.stateDict} was taken. @throws ShapeError if shapes or dtypes differ. */
  loadStateDict(state: AverageState): void {
    const averages: unknown = (state as Partial<AverageState> | null)?.averages;
    if (!Array.isArray(averages)) {
      throw new TypeError(`ExponentialMovingAverage: loadStateDict takes what stateDict gave, got ${describe(state)}`);
    }
    const decay = checkNumber('ExponentialMovingAverage', 'decay', state.decay, 0, 1);
    const updates = checkInteger('ExponentialMovingAverage', 'updates', state.updates, 0, Number.MAX_SAFE_INTEGER);
    const sources = checkedParameters(averages as Tensor[]);
    checkFit(this.averages, sources);
    copy(sources, this.averages);
    this.decay = decay;
    this.updates = updates;
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const x of [...this.averages, ...(this.stored ?? [])]) x.dispose();
    this.stored = null;
    this.applied = false;
  }
}

function checkedParameters(parameters: Iterable<Tensor>): Tensor[] {
  const list = [...parameters];
  list.forEach((parameter: unknown, i) => {
    if (!isTensor(parameter)) throw new TypeError(`ExponentialMovingAverage: parameter ${i} is not a tensor`);
    parameter._check('ExponentialMovingAverage');
    const dtype = parameter.dtype as DType;
    if (dtype !== 'float32' && dtype !== 'float64') {
      throw new DTypeError(`ExponentialMovingAverage: parameter ${i} must be float32 or float64, got ${dtype}`);
    }
  });
  return list;
}

function checkFit(targets: readonly Tensor[], sources: readonly Tensor[]): void {
  if (targets.length !== sources.length) {
    throw new ShapeError(`ExponentialMovingAverage: ${sources.length} averages for ${targets.length} parameters`);
  }
  targets.forEach(({ dtype, shape }, i) => {
    const source = sources[i];
    if ((dtype as DType) === source.dtype && sameShape(shape, source.shape)) return;
    throw new ShapeError(
      `ExponentialMovingAverage: ${source.dtype} ${formatShape(source.shape)} does not fit ` +
        `${dtype} ${formatShape(shape)}`,
    );
  });
}

function copies(parameters: readonly Tensor[]): Tensor[] {
  return noGrad(() => parameters.map((parameter) => keep(parameter.clone())));
}

function copy(from: readonly Tensor[], to: readonly Tensor[]): void {
  to.forEach((target, i) => {
    assign(target, from[i]);
  });
}

/** The training loop behind `model.fit`, and its companions. */
import { withGrad } from '../autograd/node';
import { TensorDataset, type Samples } from '../data/dataset';
import { permutation } from '../tensor/shuffle';
import type { Module } from '../nn/module';
import { concat } from '../ops/copies';
import { tensor } from '../tensor/creation';
import { defaultGenerator } from '../tensor/generator';
import { tidy } from '../tensor/scope';
import { checkInteger } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Compiled } from './compile';
import { ProgressReporter, type Verbosity } from './progress';

/** Metric names to values; 'loss' is always there. */
export type Logs = Record<string, number>;

/** What `fit` returns: one value per epoch under each name, `val_` in front of validation results. */
export interface History {
  /** The epochs that were run, from 0. */
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly number[]>>;
}

/** Options of `fit`. */
export interface FitOptions {
  /** Passes over the data. Default 1. */
  epochs?: number;
  /** Samples per update; the last batch of an epoch may be smaller. Default 32. */
  batchSize?: number;
  /** Data to evaluate after each epoch. */
  validation?: Samples;
  /** Visit the samples in a new random order each epoch. Default true. */
  shuffle?: boolean;
  /** Seed of that order. Default: drawn from the generator that `manualSeed` sets. */
  seed?: number;
  /** 0: silent; 1: a progress bar; 2: a line per epoch; 'auto' (default): 1 on a terminal, else 2. */
  verbose?: Verbosity;
  /** Stops between two steps; `fit` then rejects with the signal's reason, the weights stay as they are. */
  signal?: AbortSignal;
  /** Called after each epoch. */
  onEpochEnd?: (epoch: number, logs: Readonly<Logs>) => void;
}

/** Options of `evaluate` and `predict`. */
export interface EvaluateOptions {
  /** Samples per forward pass; does not change results. Default 256. */
  batchSize?: number;
  signal?: AbortSignal;
}

/** How long training may hold the event loop before it lets other work run. */
const maxHoldMs = 10;

/** Gives other work a turn when the time is up. */
class Breather {
  private last = performance.now();

  constructor(private readonly signal: AbortSignal | undefined) {}

  /** Resolves at once (undefined) or after the event loop has had a turn. */
  pause(): Promise<void> | undefined {
    if (performance.now() - this.last < maxHoldMs) return undefined;
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        this.last = performance.now();
        if (this.signal?.aborted) reject(this.signal.reason as Error);
        else resolve();
      });
    });
  }
}

/** Sums over the samples seen, for the loss and each metric. */
class Totals {
  private readonly sums: number[];
  private count = 0;

  constructor(private readonly compiled: Compiled) {
    this.sums = new Array<number>(compiled.metrics.length + 1).fill(0);
  }

  add(loss: Tensor, output: AnyTensor, target: AnyTensor): void {
    const samples = target.shape[0];
    this.sums[0] += loss.item() * samples;
    this.compiled.metrics.forEach(({ fn }, i) => (this.sums[i + 1] += fn(output, target)));
    this.count += samples;
  }

  logs(): Logs {
    const logs: Logs = { loss: this.sums[0] / this.count };
    this.compiled.metrics.forEach(({ name }, i) => (logs[name] = this.sums[i + 1] / this.count));
    return logs;
  }
}

function trainStep(compiled: Compiled, batch: Samples, totals: Totals): void {
  const output = compiled.forward(batch.x);
  const loss = compiled.loss(output, batch.y);
  compiled.optimizer.zeroGrad();
  loss.backward();
  compiled.optimizer.step();
  totals.add(loss, output, batch.y);
}

async function trainEpoch(
  compiled: Compiled,
  data: TensorDataset,
  order: Tensor<'int32'> | null,
  batchSize: number,
  breather: Breather,
  onStep: (step: number, totals: Totals) => void,
): Promise<Logs> {
  const totals = new Totals(compiled);
  for (let start = 0, step = 1; start < data.length; start += batchSize, step++) {
    const end = Math.min(start + batchSize, data.length);
    withGrad(true, () => {
      tidy(() => {
        const batch = order === null ? data.range(start, end) : data.gather(order.slice([start, end]));
        trainStep(compiled, batch, totals);
      });
    });
    onStep(step, totals);
    const pause = breather.pause();
    if (pause !== undefined) await pause;
  }
  return totals.logs();
}

function asDataset(op: string, samples: Samples): TensorDataset {
  const data = samples instanceof TensorDataset ? samples : new TensorDataset(samples.x, samples.y);
  if (data.length === 0) throw new RangeError(`${op}: the dataset is empty`);
  return data;
}

/** {@link Module.fit} */
export async function fit(model: Module, compiled: Compiled, samples: Samples, options: FitOptions): Promise<History> {
  const { epochs = 1, batchSize = 32, shuffle = true, signal } = options;
  checkInteger('fit', 'epochs', epochs, 0, 2 ** 31 - 1);
  checkInteger('fit', 'batchSize', batchSize, 1, 2 ** 31 - 1);
  const data = asDataset('fit', samples);
  const validation = options.validation === undefined ? null : asDataset('fit: validation', options.validation);
  const seed = options.seed ?? defaultGenerator().fork();
  const reporter = new ProgressReporter({ epochs, verbose: options.verbose ?? 'auto' });
  const steps = Math.ceil(data.length / batchSize);
  const breather = new Breather(signal);
  const history: Record<string, number[]> = {};
  const done: number[] = [];
  const wasTraining = model.training;
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      signal?.throwIfAborted();
      reporter.epochBegin(epoch, steps);
      model.train();
      const order = shuffle ? tensor(permutation(data.length, seed, epoch), { dtype: 'int32' }) : null;
      let logs: Logs;
      try {
        logs = await trainEpoch(compiled, data, order, batchSize, breather, (step, totals) => {
          reporter.step(step, () => totals.logs());
        });
      } finally {
        order?.dispose();
      }
      if (validation !== null) {
        const results = await evaluate(model, compiled, validation, { batchSize: Math.max(batchSize, 256), signal });
        for (const [name, value] of Object.entries(results)) logs[`val_${name}`] = value;
      }
      reporter.epochEnd(logs);
      for (const [name, value] of Object.entries(logs)) (history[name] ??= []).push(value);
      done.push(epoch);
      options.onEpochEnd?.(epoch, logs);
    }
  } finally {
    model.train(wasTraining);
  }
  return { epoch: done, history };
}

/** Runs `visit` over batches in order, without recording, in evaluation mode. */
async function forBatches(
  model: Module,
  length: number,
  options: EvaluateOptions,
  visit: (start: number, end: number) => void,
): Promise<void> {
  const { batchSize = 256, signal } = options;
  checkInteger('evaluate', 'batchSize', batchSize, 1, 2 ** 31 - 1);
  const breather = new Breather(signal);
  signal?.throwIfAborted();
  const wasTraining = model.training;
  try {
    for (let start = 0; start < length; start += batchSize) {
      model.eval();
      withGrad(false, () => {
        visit(start, Math.min(start + batchSize, length));
      });
      const pause = breather.pause();
      if (pause !== undefined) await pause;
    }
  } finally {
    model.train(wasTraining);
  }
}

/** {@link Module.evaluate} */
export async function evaluate(
  model: Module,
  compiled: Compiled,
  samples: Samples,
  options: EvaluateOptions,
): Promise<Logs> {
  const data = asDataset('evaluate', samples);
  const totals = new Totals(compiled);
  await forBatches(model, data.length, options, (start, end) => {
    tidy(() => {
      const { x, y } = data.range(start, end);
      const output = compiled.forward(x);
      totals.add(compiled.loss(output, y), output, y);
    });
  });
  return totals.logs();
}

/** {@link Module.predict} */
export async function predict(model: Module, x: AnyTensor, options: EvaluateOptions): Promise<Tensor> {
  x._check('predict');
  if (x.rank === 0) throw new RangeError('predict: a scalar has no batch axis');
  const parts: Tensor[] = [];
  try {
    await forBatches(model, x.shape[0], options, (start, end) => {
      parts.push(tidy(() => model.forward(x.slice([start, end]))));
    });
    if (parts.length === 0) return withGrad(false, () => tidy(() => model.forward(x)));
    return parts.length === 1 ? (parts.pop() as Tensor) : concat(parts);
  } finally {
    for (const part of parts) part.dispose();
  }
}

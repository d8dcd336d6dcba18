/** The training loop behind `model.fit`. */
import { isSource } from '../data/batches';
import type { Module } from '../nn/module';
import { defaultGenerator } from '../tensor/generator';
import { checkInteger } from '../tensor/shape';
import type { Compiled } from './compile';
import { evaluateWith, evaluationFeed } from './evaluate';
import { feeding, trainingFeed, type Feed, type TrainingData } from './feed';
import { ProgressReporter, type Verbosity } from './progress';
import { Totals, type Logs } from './totals';

/** What `fit` returns: one value per epoch under each name, `val_` in front of validation results. */
export interface History {
  /** The epochs that were run, from 0. */
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly number[]>>;
  /** Why steps were run one operation after the other instead of compiled; null where they were compiled. */
  readonly fallbackReason: Error | null;
}

/** Options of `fit`. */
export interface FitOptions {
  /** Passes over the data. Default 1. */
  epochs?: number;
  /** Samples per update; the last batch of an epoch may be smaller. Default 32. Not for batches that come as they are. */
  batchSize?: number;
  /** At most so many updates an epoch. A generator goes on in the next epoch where it was left. Default: all there are. */
  stepsPerEpoch?: number;
  /**
   * How many batches of an iterable or a loader are fetched while a step runs, ahead of the one it works on. Default: the
   * loader's, or 2.
   */
  prefetch?: number;
  /** Data to evaluate after each epoch; a generator only does for the first one, a generator function for all. */
  validation?: TrainingData;
  /** Visit the samples in a new random order each epoch. Default true. Not for batches that come as they are. */
  shuffle?: boolean;
  /** Seed of that order. Default: drawn from the generator that `manualSeed` sets. */
  seed?: number;
  /** 0: silent; 1: a progress bar; 2: a line per epoch; 'auto' (default): 1 on a terminal, else 2. */
  verbose?: Verbosity;
  /**
   * Stops between two steps; `fit` then rejects with the signal's reason, the weights stay as they are. An iterable's
   * `return()` is called; if it is in the middle of a batch, that is not waited for.
   */
  signal?: AbortSignal;
  /** Called after each epoch. */
  onEpochEnd?: (epoch: number, logs: Readonly<Logs>) => void;
}

const most = 2 ** 31 - 1;

function checkOptions(data: TrainingData, options: FitOptions): void {
  const { epochs = 1, batchSize = 32, stepsPerEpoch } = options;
  checkInteger('fit', 'epochs', epochs, 0, most);
  checkInteger('fit', 'batchSize', batchSize, 1, most);
  if (stepsPerEpoch !== undefined) checkInteger('fit', 'stepsPerEpoch', stepsPerEpoch, 1, most);
  if (!isSource(data)) return;
  for (const name of ['batchSize', 'shuffle', 'seed'] as const) {
    if (options[name] === undefined) continue;
    throw new TypeError(
      `fit: ${name} is for samples in memory; batches of an iterable or a loader are taken as they come`,
    );
  }
}

/** {@link Module.fit} */
export async function fit(
  model: Module,
  compiled: Compiled,
  data: TrainingData,
  options: FitOptions,
): Promise<History> {
  checkOptions(data, options);
  const { batchSize = 32, shuffle = true, stepsPerEpoch, prefetch, signal } = options;
  const seed = (): number => options.seed ?? defaultGenerator().fork();
  const validationOptions = { name: 'fit: validation', batchSize: Math.max(batchSize, 256), prefetch, signal };
  const wasTraining = model.training;
  const feed = trainingFeed(model, compiled, data, { batchSize, shuffle, seed, stepsPerEpoch, prefetch, signal });
  const validation =
    options.validation === undefined ? null : evaluationFeed(model, compiled, options.validation, validationOptions);
  try {
    return await feeding([feed, validation], () => runEpochs(model, compiled, feed, validation, options));
  } finally {
    model.train(wasTraining);
  }
}

async function runEpochs(
  model: Module,
  compiled: Compiled,
  feed: Feed,
  validation: Feed | null,
  options: FitOptions,
): Promise<History> {
  const { epochs = 1, signal } = options;
  const reporter = new ProgressReporter({ epochs, verbose: options.verbose ?? 'auto' });
  const history: Record<string, number[]> = {};
  const done: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    signal?.throwIfAborted();
    reporter.epochBegin(epoch, feed.steps);
    model.train();
    const logs = await trainEpoch(feed, new Totals(compiled), reporter);
    if (validation !== null) {
      const results = await evaluateWith(model, compiled, validation);
      for (const [name, value] of Object.entries(results)) logs[`val_${name}`] = value;
    }
    reporter.epochEnd(logs);
    for (const [name, value] of Object.entries(logs)) (history[name] ??= []).push(value);
    done.push(epoch);
    options.onEpochEnd?.(epoch, logs);
  }
  return { epoch: done, history, fallbackReason: feed.pass.fallbackReason };
}

async function trainEpoch(feed: Feed, totals: Totals, reporter: ProgressReporter): Promise<Logs> {
  let steps = 0;
  await feed.run((results, count, samples) => {
    totals.take(results, count, samples);
    reporter.step((steps += count), () => totals.logs());
  });
  return totals.logs();
}

/** The training loop behind `model.fit`. */
import type { Samples, TensorDataset } from '../data/dataset';
import type { Module } from '../nn/module';
import { tensor } from '../tensor/creation';
import { defaultGenerator } from '../tensor/generator';
import { checkInteger } from '../tensor/shape';
import { permutation } from '../tensor/shuffle';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { BatchPass } from './batchPass';
import type { Compiled } from './compile';
import { asDataset, evaluateWith, evaluationPass } from './evaluate';
import { ProgressReporter, type Verbosity } from './progress';
import { stepResults, Totals, type Logs } from './totals';

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

/** A step of training on the samples that an index names. */
function trainingPass(compiled: Compiled, data: TensorDataset, batchSize: number, signal?: AbortSignal): BatchPass {
  const step = (index: AnyTensor): AnyTensor[] => {
    const batch = data.gather(index as Tensor<'int32'>);
    const output = compiled.forward(batch.x);
    const loss = compiled.loss(output, batch.y);
    compiled.optimizer.zeroGrad();
    loss.backward();
    compiled.optimizer.step();
    return stepResults(compiled, loss, output, batch.y);
  };
  return new BatchPass(step, { name: 'fit', batchSize, recording: true, runEagerly: compiled.runEagerly, signal });
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
  const history: Record<string, number[]> = {};
  const done: number[] = [];
  const wasTraining = model.training;
  const pass = trainingPass(compiled, data, batchSize, signal);
  const validationSize = Math.max(batchSize, 256);
  const validationPass = validation === null ? null : evaluationPass(compiled, { batchSize: validationSize, signal });
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      signal?.throwIfAborted();
      reporter.epochBegin(epoch, Math.ceil(data.length / batchSize));
      const order = shuffle ? permutation(data.length, seed, epoch) : inOrder(data.length);
      const logs = await trainEpoch(model, pass, new Totals(compiled), tensor(order, { dtype: 'int32' }), reporter);
      if (validation !== null && validationPass !== null) {
        const results = await evaluateWith(validationPass, model, compiled, validation);
        for (const [name, value] of Object.entries(results)) logs[`val_${name}`] = value;
      }
      reporter.epochEnd(logs);
      for (const [name, value] of Object.entries(logs)) (history[name] ??= []).push(value);
      done.push(epoch);
      options.onEpochEnd?.(epoch, logs);
    }
  } finally {
    model.train(wasTraining);
    pass.dispose();
    validationPass?.dispose();
  }
  return { epoch: done, history, fallbackReason: pass.fallbackReason };
}

function inOrder(length: number): Int32Array {
  const order = new Int32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return order;
}

async function trainEpoch(
  model: Module,
  pass: BatchPass,
  totals: Totals,
  order: Tensor<'int32'>,
  reporter: ProgressReporter,
): Promise<Logs> {
  let steps = 0;
  model.train();
  try {
    await pass.run({
      length: order.size,
      rows: (start, end) => [order.slice([start, end])],
      take: (results, count, samples) => {
        totals.take(results, count, samples);
        reporter.step((steps += count), () => totals.logs());
      },
    });
  } finally {
    order.dispose();
  }
  return totals.logs();
}

/** Where the batches of an epoch come from: a dataset in memory, or a stream. */
import { isSource, type Pair, type Source } from '../data/batches';
import { TensorDataset, type Samples } from '../data/dataset';
import { DataLoader, inOrder } from '../data/loader';
import { deviceOfModule, type Module } from '../nn/module';
import { tensor } from '../tensor/creation';
import { permutation } from '../tensor/shuffle';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { BatchPass, type BatchOptions, type Take } from './batchPass';
import type { Compiled } from './compile';
import { BatchStream, type StreamOptions } from './stream';
import { stepResults } from './totals';

/**
 * What `fit` and `evaluate` take: a dataset in memory, tensors `{ x, y }`, a {@link DataLoader}, or batches as they come:
 * any iterable, async iterable or generator function of `[x, y]` or `{ x, y }`.
 *
 * Tensors that an iterable yields stay its own: nobody disposes them but the iterable or, in the end, the garbage
 * collector. They may be disposed as soon as the next batch is asked for. Numbers and arrays become tensors that are
 * disposed after their step.
 */
export type TrainingData = Samples | Source<Pair>;

/** Batches, epoch after epoch. */
export interface Feed {
  readonly pass: BatchPass;
  /** Steps in an epoch, where that is known before. */
  readonly steps: number | undefined;
  /** Goes through one epoch. */
  run(take: Take): Promise<void>;
  /** Leaves the data; to be called once, whatever has happened. */
  close(): Promise<void>;
}

/** @throws RangeError where there are no samples. */
export function asDataset(op: string, samples: Samples): TensorDataset {
  const data = samples instanceof TensorDataset ? samples : new TensorDataset(samples.x, samples.y);
  if (data.length === 0) throw new RangeError(`${op}: the dataset is empty`);
  return data;
}

/** Runs `fn` with a feed that is closed in the end. An error of `fn` counts for more than one of closing. */
export async function feeding<T>(feeds: readonly (Feed | null)[], fn: () => Promise<T>): Promise<T> {
  const close = async (): Promise<void> => {
    for (const feed of feeds) await feed?.close();
  };
  let result: T;
  try {
    result = await fn();
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  await close();
  return result;
}

/** The feed of an iterable or a loader. */
export function streamFeed(
  pass: BatchPass,
  source: Source<unknown>,
  options: StreamOptions & { readonly limit?: number | undefined },
): Feed {
  const { limit = Infinity } = options;
  const stream = new BatchStream(source, options);
  const known = Math.min(limit, (source instanceof DataLoader ? source.length : undefined) ?? Infinity);
  return {
    pass,
    steps: Number.isFinite(known) ? known : undefined,
    run: async (take) => {
      stream.begin(limit);
      await pass.runStream(stream, take);
      await stream.end();
    },
    close: async () => {
      pass.dispose();
      await stream.close();
    },
  };
}

/** How `fit` goes through its data. */
export interface TrainingOptions {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: () => number;
  readonly stepsPerEpoch: number | undefined;
  readonly prefetch: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A step of training on samples in memory or of a stream. */
export function trainingFeed(model: Module, compiled: Compiled, data: TrainingData, options: TrainingOptions): Feed {
  const train = (x: AnyTensor, y: AnyTensor): AnyTensor[] => {
    const output = compiled.forward(x);
    const loss = compiled.loss(output, y);
    compiled.optimizer.zeroGrad();
    loss.backward();
    compiled.optimizer.step();
    return stepResults(compiled, loss, output, y);
  };
  const { stepsPerEpoch: limit, prefetch, signal } = options;
  const passWith = (body: (...rows: AnyTensor[]) => AnyTensor[], batchSize: number): BatchPass =>
    new BatchPass(body, {
      ...passOptions(model, compiled, batchSize, signal),
      before: () => model.training || model.train(),
    });
  const memory = ordersOf(data, options);
  if (memory === null) {
    const pass = passWith(train as (...rows: AnyTensor[]) => AnyTensor[], 1);
    return streamFeed(pass, data as Source<Pair>, { name: 'fit', prefetch, onlyX: false, limit });
  }
  const { batchSize } = memory;
  // As a whole, once: a step gathers its samples itself.
  const dataset = memory.dataset.to(deviceOfModule(model));
  const body = (index: AnyTensor): AnyTensor[] => {
    const { x, y } = dataset.gather(index as Tensor<'int32'>);
    return train(x, y);
  };
  const feed = memoryFeed(passWith(body, batchSize), memory, limit);
  return dataset === memory.dataset ? feed : closing(feed, dataset);
}

function passOptions(
  model: Module,
  { runEagerly }: Compiled,
  batchSize: number,
  signal: AbortSignal | undefined,
): BatchOptions {
  return { name: 'fit', batchSize, recording: true, runEagerly, signal, device: () => deviceOfModule(model) };
}

/** A feed that gives its own copy of the data back. */
function closing(feed: Feed, { x, y }: TensorDataset): Feed {
  const close = async (): Promise<void> => {
    await feed.close();
    x.dispose();
    y.dispose();
  };
  return { ...feed, close };
}

interface Memory {
  readonly dataset: TensorDataset;
  readonly batchSize: number;
  /** Samples in an epoch. */
  readonly length: number;
  /** The order of each epoch in its turn. */
  readonly nextOrder: () => Int32Array;
}

/** Null where the data are not in memory. */
function ordersOf(data: TrainingData, { batchSize, shuffle, seed }: TrainingOptions): Memory | null {
  if (data instanceof DataLoader) {
    const loader = data as DataLoader<unknown, unknown>;
    const dataset = loader._memory;
    if (dataset === null) return null;
    const length = loader.dropLast ? dataset.length - (dataset.length % loader.batchSize) : dataset.length;
    if (length === 0) throw new RangeError('fit: the loader has no batches');
    return { dataset, batchSize: loader.batchSize, length, nextOrder: () => loader._nextOrder() };
  }
  if (isSource(data)) return null;
  const dataset = asDataset('fit', data as Samples);
  const { length } = dataset;
  const ownSeed = seed();
  let epoch = 0;
  const nextOrder = (): Int32Array => (shuffle ? permutation(length, ownSeed, epoch++) : inOrder(length));
  return { dataset, batchSize, length, nextOrder };
}

function memoryFeed(pass: BatchPass, { batchSize, length, nextOrder }: Memory, limit = Infinity): Feed {
  const used = Math.min(length, limit * batchSize);
  return {
    pass,
    steps: Math.ceil(used / batchSize),
    run: async (take) => {
      const order = tensor(nextOrder().subarray(0, used), { dtype: 'int32' });
      try {
        await pass.run({ length: used, rows: (start, end) => [order.slice([start, end])], take });
      } finally {
        order.dispose();
      }
    },
    close: () => {
      pass.dispose();
      return Promise.resolve();
    },
  };
}

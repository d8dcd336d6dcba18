/** Batches of a dataset, fetched ahead of their use. */
import { tensor } from '../tensor/creation';
import { defaultGenerator } from '../tensor/generator';
import { keep, tidy } from '../tensor/scope';
import { checkInteger } from '../tensor/shape';
import { permutation } from '../tensor/shuffle';
import { isTensor, type Tensor } from '../tensor/tensor';
import { collate, isSource, type Pair, type PairDTypes, type Source } from './batches';
import { TensorDataset, type Samples } from './dataset';

/** A dataset whose samples are fetched one by one, by number: from files, say. */
export interface MapDataset<S = Pair> {
  /** How many samples there are. */
  readonly length: number;
  /** Sample number `index`, from 0. Those of a batch are asked for at once and may come in any order. */
  get(index: number): S | PromiseLike<S>;
}

/** A dataset that gathers a batch by itself, as a {@link TensorDataset} does. */
export interface GatherDataset {
  readonly length: number;
  /** New tensors with the samples that `index` (int32 [m]) names. */
  gather(index: Tensor<'int32'>): Samples;
}

/** What a {@link DataLoader} loads from: tensors, samples by number, or samples in the order they come. */
export type Dataset<S = Pair> = Samples | GatherDataset | MapDataset<S> | readonly S[] | Source<S>;

/** Options of {@link DataLoader}. */
export interface DataLoaderOptions<S = Pair, B = Samples> {
  /** Samples in a batch. Default 1, as in PyTorch. */
  batchSize?: number;
  /** Visit the samples in a new random order each time. Default false. */
  shuffle?: boolean;
  /** Seed of that order. Default: drawn from the generator that `manualSeed` sets. */
  seed?: number;
  /** Leave out a last batch that is smaller than the others. Default false. */
  dropLast?: boolean;
  /** How many batches are fetched ahead of the one in use. Default 2. */
  prefetch?: number;
  /** Makes a batch of samples. Default: tensors are stacked; of numbers and arrays one tensor is made. */
  collate?: (samples: readonly S[]) => B;
  /** The dtypes of tensors that are made of numbers and arrays, such as `{ y: 'int32' }` for labels. */
  dtypes?: PairDTypes;
}

type Loading<S> =
  | { readonly kind: 'gather'; readonly dataset: GatherDataset }
  | { readonly kind: 'map'; readonly length: number; readonly get: (index: number) => S | PromiseLike<S> }
  | { readonly kind: 'source'; readonly source: Source<S> };

function loadingOf<S>(dataset: Dataset<S>): Loading<S> {
  if (Array.isArray(dataset)) {
    const samples = dataset as readonly S[];
    return { kind: 'map', length: samples.length, get: (i) => samples[i] };
  }
  if (isSource(dataset)) return { kind: 'source', source: dataset as Source<S> };
  if (typeof dataset === 'object' && (dataset as object | null) !== null) {
    if ('gather' in dataset) return { kind: 'gather', dataset };
    if ('get' in dataset) return { kind: 'map', length: dataset.length, get: (i) => dataset.get(i) };
    if ('x' in dataset && isTensor(dataset.x)) {
      return { kind: 'gather', dataset: new TensorDataset(dataset.x, dataset.y) };
    }
  }
  throw new TypeError('DataLoader: the dataset must be tensors { x, y }, have length and get(index), or be iterable');
}

/**
 * Goes through a dataset in batches, like PyTorch's DataLoader; `fit`, `evaluate` and `predict` take one too.
 *
 * Batches of a {@link TensorDataset} are gathered natively. Of a dataset with `get` and of an iterable the next batches
 * are fetched while one is in use. The batches are yours: dispose them (`fit`, `evaluate` and `predict` dispose those
 * that they take from a loader, but for those that a `collate` of yours has made).
 * @example
 * const loader = new DataLoader(dataset, { batchSize: 32, shuffle: true });
 * for await (const { x, y } of loader) console.log(await step(x, y));
 */
export class DataLoader<S = Pair, B = Samples> implements AsyncIterable<B> {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly prefetch: number;
  private readonly loading: Loading<S>;
  private readonly collate: (samples: readonly S[]) => B;
  private readonly isCustom: boolean;
  private seed: number | undefined;
  private epoch = 0;

  /** @throws RangeError, TypeError for options that make no sense. */
  constructor(dataset: Dataset<S>, options: DataLoaderOptions<S, B> = {}) {
    const { batchSize = 1, shuffle = false, dropLast = false, prefetch = 2, dtypes = {} } = options;
    this.batchSize = checkInteger('DataLoader', 'batchSize', batchSize, 1, 2 ** 31 - 1);
    this.prefetch = checkInteger('DataLoader', 'prefetch', prefetch, 0, 2 ** 31 - 1);
    this.shuffle = shuffle;
    this.dropLast = dropLast;
    this.seed = options.seed;
    this.loading = loadingOf(dataset);
    this.isCustom = options.collate !== undefined;
    this.collate = options.collate ?? ((samples) => collate(samples, dtypes) as B);
    if (this.loading.kind === 'source' && shuffle) {
      throw new TypeError('DataLoader: an iterable has its own order, it cannot be shuffled');
    }
    if (this.loading.kind === 'gather' && this.isCustom) {
      throw new TypeError('DataLoader: a dataset that gathers its batches itself takes no collate');
    }
  }

  /** Batches in one go through the dataset; undefined for an iterable, which only tells at its end. */
  get length(): number | undefined {
    const samples = this.sampleCount;
    if (samples === undefined) return undefined;
    return this.dropLast ? Math.floor(samples / this.batchSize) : Math.ceil(samples / this.batchSize);
  }

  private get sampleCount(): number | undefined {
    const { loading } = this;
    if (loading.kind === 'source') return undefined;
    return loading.kind === 'gather' ? loading.dataset.length : loading.length;
  }

  /** A new way through the dataset, in a new order if `shuffle` is set. */
  [Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    return ahead(this._batches(), this.prefetch, (batch) => {
      this._discard(batch);
    });
  }

  /** @internal The dataset, where batches are nothing but rows of its tensors. */
  get _memory(): TensorDataset | null {
    const { loading } = this;
    return loading.kind === 'gather' && loading.dataset instanceof TensorDataset ? loading.dataset : null;
  }

  /** @internal Whether nobody but the one who takes a batch has its tensors. */
  get _givesAway(): boolean {
    return !this.isCustom;
  }

  /** @internal Gives a batch back that nobody has seen. */
  _discard(batch: B): void {
    if (this.isCustom) return;
    const { x, y } = batch as Samples;
    x.dispose();
    y.dispose();
  }

  /** @internal The numbers of the samples, in the order of the next way through. */
  _nextOrder(): Int32Array {
    const samples = this.sampleCount ?? 0;
    const used = this.dropLast ? samples - (samples % this.batchSize) : samples;
    if (!this.shuffle) return inOrder(used);
    this.seed ??= defaultGenerator().fork();
    return permutation(samples, this.seed, this.epoch++).subarray(0, used);
  }

  /** @internal The batches, each made when it is asked for. */
  _batches(): AsyncGenerator<B, void, undefined> {
    const { loading } = this;
    if (loading.kind === 'gather') return this.gathered(loading.dataset) as AsyncGenerator<B, void, undefined>;
    return loading.kind === 'map' ? this.fetched(loading.get) : this.collected(loading.source);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- batches of every dataset come by the same protocol
  private async *gathered(dataset: GatherDataset): AsyncGenerator<Samples, void, undefined> {
    const order = keep(tensor(this._nextOrder(), { dtype: 'int32' }));
    try {
      for (let start = 0; start < order.size; start += this.batchSize) {
        const end = Math.min(start + this.batchSize, order.size);
        yield tidy(() => dataset.gather(order.slice([start, end])));
      }
    } finally {
      order.dispose();
    }
  }

  private async *fetched(get: (index: number) => S | PromiseLike<S>): AsyncGenerator<B, void, undefined> {
    const order = this._nextOrder();
    for (let start = 0; start < order.length; start += this.batchSize) {
      const numbers = Array.from(order.subarray(start, start + this.batchSize));
      yield this.collate(await Promise.all(numbers.map((i) => get(i))));
    }
  }

  private async *collected(source: Source<S>): AsyncGenerator<B, void, undefined> {
    let samples: S[] = [];
    for await (const sample of typeof source === 'function' ? source() : source) {
      samples.push(sample);
      if (samples.length < this.batchSize) continue;
      yield this.collate(samples);
      samples = [];
    }
    if (samples.length > 0 && !this.dropLast) yield this.collate(samples);
  }
}

/** The numbers from 0. */
export function inOrder(length: number): Int32Array {
  const order = new Int32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return order;
}

/** Gives what `source` gives, and has up to `count` more of it fetched in the meantime. */
async function* ahead<T>(
  source: AsyncGenerator<T, void, undefined>,
  count: number,
  discard: (item: T) => void,
): AsyncGenerator<T, void, undefined> {
  const queue: Promise<IteratorResult<T, void>>[] = [];
  try {
    for (;;) {
      while (queue.length <= count) {
        const next = source.next();
        // Its turn comes; until then an error is nobody's.
        next.catch(() => undefined);
        queue.push(next);
      }
      const result = await (queue.shift() as (typeof queue)[number]);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    const closed = source.return();
    for (const one of await Promise.allSettled(queue)) {
      if (one.status === 'fulfilled' && !one.value.done) discard(one.value.value);
    }
    await closed;
  }
}

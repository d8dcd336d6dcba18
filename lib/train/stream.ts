/** Batches that come from an iterable or a loader, one after the other, as rows of a step. */
import { open, pairOf, type AnyIterator, type Source, type Values } from '../data/batches';
import { DataLoader } from '../data/loader';
import { ShapeError } from '../errors';
import { tensor } from '../tensor/creation';
import { checkInteger, describe, formatShape } from '../tensor/shape';
import { isTensor, type AnyTensor } from '../tensor/tensor';

function versionOf(tensor: AnyTensor): number {
  return (tensor._base ?? tensor)._version;
}

/** One batch. Its rows are the stream's own, whatever becomes of the tensors that they were made of. */
export class Batch {
  private readonly versions: readonly number[];

  constructor(
    private readonly what: string,
    private readonly held: readonly AnyTensor[],
    private readonly columns: number,
  ) {
    this.versions = held.map(versionOf);
  }

  get size(): number {
    return this.held[0].shape[0];
  }

  /** @throws Error where a tensor was changed in place since it was yielded: the step would see other values. */
  rows(): AnyTensor[] {
    if (this.held.some((row, i) => versionOf(row) !== this.versions[i])) {
      throw new Error(
        `${this.what} was changed in place after it was yielded, before its turn came; yield new tensors, or set prefetch: 0`,
      );
    }
    return this.held.slice(0, this.columns);
  }

  release(): void {
    for (const row of this.held) row.dispose();
  }
}

/** How batches are taken from a source. */
export interface StreamOptions {
  /** Stands in error messages. */
  readonly name: string;
  /** Batches that may be fetched ahead of the one whose step runs. */
  readonly prefetch: number | undefined;
  /** Whether only the samples are wanted, and batches may come without targets. */
  readonly onlyX: boolean;
}

export class BatchStream {
  readonly prefetch: number;
  private readonly source: Source<unknown>;
  private readonly givesAway: boolean;
  private iterator: AnyIterator<unknown> | null = null;
  private isOnce = false;
  private isFetching = false;
  private last: Batch | null = null;
  private left = Infinity;
  private given = 0;
  private epoch = 0;

  constructor(
    source: unknown,
    private readonly options: StreamOptions,
  ) {
    const loader = source instanceof DataLoader ? (source as DataLoader<unknown, unknown>) : null;
    this.source = loader === null ? (source as Source<unknown>) : () => loader._batches();
    this.givesAway = loader?._givesAway ?? false;
    const prefetch = options.prefetch ?? loader?.prefetch ?? 2;
    this.prefetch = checkInteger(options.name, 'prefetch', prefetch, 0, 2 ** 31 - 1);
  }

  /** Begins an epoch of at most `limit` batches: where a generator was left, else at the beginning. */
  begin(limit = Infinity): void {
    this.left = limit;
    this.given = 0;
    this.epoch++;
    if (this.iterator === null) {
      ({ iterator: this.iterator, isOnce: this.isOnce } = open(this.options.name, this.source));
    }
  }

  /** The next batch; null at the end. Not to be called again before it has resolved. */
  async next(): Promise<Batch | null> {
    const { iterator } = this;
    if (iterator === null || this.left === 0) return null;
    this.left--;
    this.isFetching = true;
    let value: unknown;
    try {
      const result = await iterator.next();
      if (result.done) {
        this.iterator = null;
        return this.ended();
      }
      value = await result.value;
    } catch (error) {
      // What has thrown is not asked to return.
      this.iterator = null;
      throw error;
    } finally {
      this.isFetching = false;
    }
    this.given++;
    const batch = this.batchOf(value);
    // Closed in the meantime.
    if (this.iterator !== iterator) {
      batch.release();
      return null;
    }
    return (this.last = batch);
  }

  private ended(): null {
    if (this.given > 0) return null;
    const { name } = this.options;
    const hint = this.epoch > 1 && this.isOnce ? '; a generator can be gone through once: pass a function instead' : '';
    throw new RangeError(
      `${name}: the iterable gave no batches${this.epoch > 1 ? ` in epoch ${this.epoch}` : ''}${hint}`,
    );
  }

  private batchOf(value: unknown): Batch {
    const what = `${this.options.name}: batch ${this.given}`;
    const isPair = this.givesAway || !this.options.onlyX;
    const values = isPair ? pairOf(what, value) : [samplesOf(what, value)];
    const held: AnyTensor[] = [];
    try {
      for (const one of values) held.push(this.hold(what, one));
      checkCounts(what, held);
    } catch (error) {
      for (const row of held) row.dispose();
      throw error;
    }
    return new Batch(what, held, this.options.onlyX ? 1 : 2);
  }

  private hold(what: string, value: Values): AnyTensor {
    if (!isTensor(value)) return tensor(value) as AnyTensor;
    value._check(what);
    return this.givesAway ? value : value.detach();
  }

  /** After an epoch. What can be gone through again is left as a loop would leave it. */
  async end(): Promise<void> {
    if (!this.isOnce) await this.close();
  }

  /** Leaves the source. Does not wait for a batch that is being fetched. */
  async close(): Promise<void> {
    const { iterator, isFetching } = this;
    this.iterator = null;
    this.last?.release();
    if (iterator === null) return;
    const closed = leave(iterator);
    if (isFetching) closed.catch(() => undefined);
    else await closed;
  }
}

async function leave(iterator: AnyIterator<unknown>): Promise<void> {
  await iterator.return?.();
}

/** What goes in, of a batch that may have targets too. */
function samplesOf(what: string, value: unknown): Values {
  if (isTensor(value)) return value;
  if (Array.isArray(value) && value.length > 0) return value[0] as Values;
  if (typeof value === 'object' && value !== null && 'x' in value) return value.x as Values;
  throw new TypeError(`${what}: expected a tensor, [x, y] or { x, y }, got ${describe(value)}`);
}

function checkCounts(what: string, rows: readonly AnyTensor[]): void {
  if (rows.every(({ rank, shape }) => rank > 0 && shape[0] > 0 && shape[0] === rows[0].shape[0])) return;
  const shapes = rows.map(({ shape }) => formatShape(shape)).join(' and ');
  throw new ShapeError(`${what}: ${shapes}: there must be samples along axis 0, as many of all`);
}

/** Runs a step over samples in batches: compiled where it can be, else one operation after the other. */
import { Step } from '../compile';
import { withGrad } from '../autograd/node';
import { TraceError } from '../errors';
import { toCode } from '../ops/transfer';
import { tidy } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import { Interrupt } from './interrupt';
import { Breather, Pace } from './pace';
import type { Batch, BatchStream } from './stream';

/** Calls under way: one computes, the next one waits. */
const depth = 2;

export interface BatchOptions {
  /** Stands in error messages. */
  readonly name: string;
  readonly batchSize: number;
  /** Whether the step goes backward. */
  readonly recording: boolean;
  readonly runEagerly: boolean;
  readonly signal: AbortSignal | undefined;
  /** The number of the device that steps work on; rows are moved there. */
  readonly device: () => number;
  /** Called right before each step. */
  readonly before?: () => void;
}

/** Is given the results of each call, in order, to keep or dispose; of `steps` > 1 they are stacked along axis 0. */
export type Take = (results: readonly AnyTensor[], steps: number, samples: number) => void;

/** One way through the samples. */
export interface Samples {
  readonly length: number;
  /** The step's arguments for samples [start, end). Called right before the step. */
  rows(start: number, end: number): AnyTensor[];
  readonly take: Take;
}

export class BatchPass {
  /** Why the step is not compiled, where it could not be. */
  fallbackReason: TraceError | null = null;
  private readonly step: Step<AnyTensor[], AnyTensor[]>;
  private readonly pace = new Pace();

  constructor(
    private readonly body: (...rows: AnyTensor[]) => AnyTensor[],
    private readonly options: BatchOptions,
  ) {
    this.step = new Step(options.name, body, {});
  }

  /** Rejects with the signal's reason between two calls. */
  async run(samples: Samples): Promise<void> {
    this.options.signal?.throwIfAborted();
    let done = 0;
    if (!this.options.runEagerly && this.fallbackReason === null) done = await this.runCompiled(samples);
    await this.runEagerly(samples, done);
  }

  /** Returns how many samples it got through: all, or those before what cannot be compiled. */
  private async runCompiled(samples: Samples): Promise<number> {
    const { pace } = this;
    const { batchSize, signal } = this.options;
    const waiting: Promise<void>[] = [];
    let start = 0;
    pace.begin();
    try {
      while (start < samples.length) {
        signal?.throwIfAborted();
        const whole = Math.floor((samples.length - start) / batchSize);
        const steps = Math.max(1, Math.min(pace.stepsPerCall, whole));
        const end = Math.min(start + steps * batchSize, samples.length);
        const results = this.submit(() => samples.rows(start, end), steps);
        waiting.push(this.finish(samples.take, results, steps, end - start));
        start = end;
        if (waiting.length === depth) await waiting.shift();
      }
      while (waiting.length > 0) await waiting.shift();
    } catch (error) {
      const ended = await Promise.allSettled(waiting);
      const failed = ended.find((one) => one.status === 'rejected');
      if (!(error instanceof TraceError) || failed !== undefined) throw failed === undefined ? error : failed.reason;
      this.fallbackReason = error;
    }
    return start;
  }

  /** Queues a call. What cannot be traced throws, before anything is queued. */
  private submit(rows: () => AnyTensor[], steps: number): Promise<AnyTensor[]> {
    const { results } = withGrad(this.options.recording, () =>
      tidy(() => {
        this.options.before?.();
        const given = this.moved(rows());
        // In an object: a scope does not take promises.
        return {
          results: steps === 1 ? this.step.submit(given) : this.step.submitScan(given.map((x) => inBatches(x, steps))),
        };
      }),
    );
    return results;
  }

  private moved(rows: readonly AnyTensor[]): AnyTensor[] {
    const device = this.options.device();
    return rows.map((row) => toCode(row, device));
  }

  private async finish(take: Take, submitted: Promise<AnyTensor[]>, steps: number, count: number): Promise<void> {
    take(await submitted, steps, count);
    this.pace.ended(steps);
  }

  private async runEagerly(samples: Samples, from: number): Promise<void> {
    const breather = new Breather(this.options.signal);
    for (let start = from; start < samples.length; start += this.options.batchSize) {
      const end = Math.min(start + this.options.batchSize, samples.length);
      samples.take(
        this.compute(() => samples.rows(start, end)),
        1,
        end - start,
      );
      const pause = breather.pause();
      if (pause !== undefined) await pause;
    }
  }

  /** The results of one step, one operation after the other. */
  private compute(rows: () => AnyTensor[]): AnyTensor[] {
    return withGrad(this.options.recording, () =>
      tidy(() => {
        this.options.before?.();
        return this.body(...this.moved(rows()));
      }),
    );
  }

  /**
   * One step for each batch of a stream. The next ones are fetched in the meantime, but never more than the stream's
   * `prefetch`: batch n + 1 + prefetch is asked for when step n has ended.
   */
  async runStream(stream: BatchStream, take: Take): Promise<void> {
    const interrupt = new Interrupt(this.options.signal);
    const breather = new Breather(this.options.signal);
    const running: Promise<void>[] = [];
    let fetched: Promise<Batch | null> | null = null;
    try {
      for (;;) {
        for (; running.length > stream.prefetch; running.shift()) await interrupt.or(running[0]);
        const batch: Batch | null = await interrupt.or(fetched ?? stream.next());
        fetched = null;
        if (batch === null) break;
        const submitted = this.trySubmit(batch);
        if (submitted !== null) {
          const ended = this.finish(take, submitted, 1, batch.size);
          running.push(
            ended.catch((error: unknown) => {
              interrupt.fail(error);
            }),
          );
          continue;
        }
        for (const one of running.splice(0)) await one;
        interrupt.throwIfFailed();
        if (stream.prefetch > 0) fetched = quietly(stream.next());
        this.computeBatch(batch, take);
        await breather.pause();
      }
      await Promise.all(running);
      interrupt.throwIfFailed();
    } finally {
      interrupt.close();
      await Promise.all(running);
    }
  }

  /** Null where steps are not compiled. The run has what it needs of the batch, which is given back. */
  private trySubmit(batch: Batch): Promise<AnyTensor[]> | null {
    if (this.options.runEagerly || this.fallbackReason !== null) return null;
    try {
      const submitted = this.submit(() => batch.rows(), 1);
      batch.release();
      return submitted;
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      this.fallbackReason = error;
      return null;
    }
  }

  private computeBatch(batch: Batch, take: Take): void {
    try {
      take(
        this.compute(() => batch.rows()),
        1,
        batch.size,
      );
    } finally {
      batch.release();
    }
  }

  dispose(): void {
    this.step.dispose();
  }
}

/** A promise that is waited for later; until then its error is nobody's. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function inBatches(x: AnyTensor, batches: number): AnyTensor {
  return x.reshape([batches, x.shape[0] / batches, ...x.shape.slice(1)]);
}

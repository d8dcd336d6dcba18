import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Compiled } from './compile';

/** Metric names to values; 'loss' is always there. */
export type Logs = Record<string, number>;

/**
 * What a step returns for {@link Totals}: the mean loss and the metrics that are tensors, then, where there are metrics
 * that read values, the output and the target.
 */
export function stepResults(compiled: Compiled, loss: Tensor, output: AnyTensor, target: AnyTensor): AnyTensor[] {
  const asTensors = compiled.metrics.flatMap(({ asTensor }) => asTensor?.(output, target) ?? []);
  const isRead = compiled.metrics.length > asTensors.length;
  return [loss.detach(), ...asTensors, ...(isRead ? [output.detach(), target] : [])];
}

/** Sums over the samples seen, for the loss and each metric. */
export class Totals {
  private readonly sums: number[];
  private count = 0;

  constructor(private readonly compiled: Compiled) {
    this.sums = new Array<number>(compiled.metrics.length + 1).fill(0);
  }

  /** Adds the results of `steps` batches with `samples` samples together, and disposes them. */
  take(results: readonly AnyTensor[], steps: number, samples: number): void {
    const { metrics } = this.compiled;
    const numbers = 1 + metrics.filter(({ asTensor }) => asTensor !== undefined).length;
    const read = results.slice(0, numbers).map((x) => Array.from(x.dataSync(), Number));
    for (let step = 0; step < steps; step++) {
      this.sums[0] += (read[0][step] * samples) / steps;
      let next = 1;
      metrics.forEach(({ asTensor, fn }, i) => {
        const own = (): number =>
          fn(entryOf(results[numbers], step, steps), entryOf(results[numbers + 1], step, steps));
        this.sums[i + 1] += asTensor === undefined ? own() : read[next++][step];
      });
    }
    this.count += samples;
    for (const x of results) x.dispose();
  }

  logs(): Logs {
    const logs: Logs = { loss: this.sums[0] / this.count };
    this.compiled.metrics.forEach(({ name }, i) => (logs[name] = this.sums[i + 1] / this.count));
    return logs;
  }
}

function entryOf(x: AnyTensor, step: number, steps: number): AnyTensor {
  return steps === 1 ? x : x.slice(step);
}

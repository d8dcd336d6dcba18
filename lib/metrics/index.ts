/** Metrics: numbers that tell how good predictions are, kept as sums so that batches add up. */
import { ShapeError } from '../errors';
import { equal } from '../ops/elementwise';
import { argmax, sum } from '../ops/reduce';
import { formatShape } from '../tensor/shape';
import type { AnyTensor } from '../tensor/tensor';

/** The sum of a metric over the samples of a batch; the mean over all samples is reported. */
export type Metric = (output: AnyTensor, target: AnyTensor) => number;

/**
 * How many samples have their largest output at the right class.
 * @param output scores or probabilities [n, classes]
 * @param target class numbers, int32 [n]
 */
export function correctClasses(output: AnyTensor, target: AnyTensor): number {
  return countCorrect(output, target).item();
}

function countCorrect(output: AnyTensor, target: AnyTensor): AnyTensor {
  if (output.rank !== 2 || target.rank !== 1 || output.shape[0] !== target.size) {
    throw new ShapeError(
      `accuracy: expected outputs [n, classes] and class numbers [n], got ` +
        `${formatShape(output.shape)} and ${formatShape(target.shape)}`,
    );
  }
  return sum(equal(argmax(output, 1), target));
}

/** A metric that is known by name. */
interface NamedMetric {
  readonly fn: Metric;
  /** The same as a tensor without axes, which a compiled step can compute. */
  readonly asTensor: (output: AnyTensor, target: AnyTensor) => AnyTensor;
}

const metrics: Readonly<Record<MetricName, NamedMetric>> = {
  accuracy: { fn: correctClasses, asTensor: countCorrect },
};

/** Metrics by name. */
export type MetricName = 'accuracy';

/** @throws RangeError for an unknown name, naming those there are. */
export function metricByName(name: string): NamedMetric {
  if (Object.hasOwn(metrics, name)) return metrics[name as MetricName];
  throw new RangeError(`compile: unknown metric ${JSON.stringify(name)}; known are ${Object.keys(metrics).join(', ')}`);
}

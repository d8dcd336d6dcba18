/** `model.evaluate` and `model.predict`. */
import { withGrad } from '../autograd/node';
import { isSource, type Source, type Values } from '../data/batches';
import type { Samples } from '../data/dataset';
import { deviceOfModule, type Module } from '../nn/module';
import { concat } from '../ops/copies';
import { toCode } from '../ops/transfer';
import { tidy } from '../tensor/scope';
import { checkInteger } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { BatchPass, type BatchOptions, type Take } from './batchPass';
import type { Compiled } from './compile';
import { asDataset, feeding, streamFeed, type Feed, type TrainingData } from './feed';
import { stepResults, Totals, type Logs } from './totals';

/** Options of `evaluate` and `predict`. */
export interface EvaluateOptions {
  /** Samples per forward pass; does not change results. Default 256. Not for batches that come as they are. */
  batchSize?: number;
  /** How many batches of an iterable or a loader are fetched ahead of the one in use. Default: the loader's, or 2. */
  prefetch?: number;
  signal?: AbortSignal;
}

/** What `predict` takes: samples, or batches of them as for `fit`; targets are not looked at. */
export type PredictionData = AnyTensor | Samples | Source<AnyTensor | readonly Values[] | { readonly x: Values }>;

interface EvaluationOptions extends EvaluateOptions {
  /** Stands in error messages. */
  readonly name: string;
}

function passOptions(model: Module, options: EvaluationOptions, runEagerly: boolean): BatchOptions {
  const { name, batchSize = 256, signal } = options;
  checkInteger(name, 'batchSize', batchSize, 1, 2 ** 31 - 1);
  // Others may have trained the model in the meantime.
  return {
    name,
    batchSize,
    recording: false,
    runEagerly,
    signal,
    device: () => deviceOfModule(model),
    before: () => model.eval(),
  };
}

function refuseBatchSize({ name, batchSize }: EvaluationOptions): void {
  if (batchSize === undefined) return;
  throw new TypeError(`${name}: batchSize is for samples in memory; batches are taken as they come`);
}

/** The loss and the metrics of batches. */
export function evaluationFeed(
  model: Module,
  compiled: Compiled,
  data: TrainingData,
  options: EvaluationOptions,
): Feed {
  const step = (x: AnyTensor, y: AnyTensor): AnyTensor[] => {
    const output = compiled.forward(x);
    return stepResults(compiled, compiled.loss(output, y), output, y);
  };
  const body = step as (...rows: AnyTensor[]) => AnyTensor[];
  const pass = new BatchPass(body, passOptions(model, options, compiled.runEagerly));
  const { name, prefetch } = options;
  if (isSource(data)) return streamFeed(pass, data, { name, prefetch, onlyX: false });
  const dataset = asDataset(name, data as Samples);
  return viewFeed(pass, dataset.length, (start, end) => {
    const { x, y } = dataset.range(start, end);
    return [x, y];
  });
}

/** The feed of samples in memory that are shown in their order. */
function viewFeed(pass: BatchPass, length: number, rows: (start: number, end: number) => AnyTensor[]): Feed {
  return {
    pass,
    steps: undefined,
    run: (take) => pass.run({ length, rows, take }),
    close: () => {
      pass.dispose();
      return Promise.resolve();
    },
  };
}

async function inEvaluation(model: Module, feed: Feed, take: Take): Promise<void> {
  const wasTraining = model.training;
  try {
    await feed.run(take);
  } finally {
    model.train(wasTraining);
  }
}

/** Goes over the data once in evaluation mode. */
export async function evaluateWith(model: Module, compiled: Compiled, feed: Feed): Promise<Logs> {
  const totals = new Totals(compiled);
  await inEvaluation(model, feed, (results, steps, samples) => {
    totals.take(results, steps, samples);
  });
  return totals.logs();
}

/** {@link Module.evaluate} */
export async function evaluate(
  model: Module,
  compiled: Compiled,
  data: TrainingData,
  options: EvaluateOptions,
): Promise<Logs> {
  const named = { ...options, name: 'evaluate' };
  if (isSource(data)) refuseBatchSize(named);
  const feed = evaluationFeed(model, compiled, data, named);
  return feeding([feed], () => evaluateWith(model, compiled, feed));
}

/** {@link Module.predict} */
export async function predict(model: Module, data: PredictionData, options: EvaluateOptions): Promise<Tensor> {
  const named = { ...options, name: 'predict' };
  const pass = new BatchPass((x) => [model.forward(x)], passOptions(model, named, false));
  if (!isTensor(data) && isSource(data)) {
    refuseBatchSize(named);
    const feed = streamFeed(pass, data, { name: 'predict', prefetch: options.prefetch, onlyX: true });
    return predictWith(model, feed);
  }
  const { x } = isTensor(data) ? { x: data } : (data as Samples);
  x._check('predict');
  if (x.rank === 0) throw new RangeError('predict: a scalar has no batch axis');
  if (x.shape[0] === 0) {
    return withGrad(false, () => tidy(() => model.forward(toCode(x, deviceOfModule(model)))));
  }
  return predictWith(
    model,
    viewFeed(pass, x.shape[0], (start, end) => [x.slice([start, end])]),
  );
}

async function predictWith(model: Module, feed: Feed): Promise<Tensor> {
  const parts: AnyTensor[] = [];
  const take: Take = ([output], steps) => {
    parts.push(steps === 1 ? output : tidy(() => output.reshape([-1, ...output.shape.slice(2)])));
    if (steps > 1) output.dispose();
  };
  try {
    await feeding([feed], () => inEvaluation(model, feed, take));
    return (parts.length === 1 ? parts.pop() : concat(parts)) as Tensor;
  } finally {
    for (const part of parts) part.dispose();
  }
}

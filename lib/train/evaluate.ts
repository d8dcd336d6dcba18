/** `model.evaluate` and `model.predict`. */
import { withGrad } from '../autograd/node';
import { TensorDataset, type Samples } from '../data/dataset';
import type { Module } from '../nn/module';
import { concat } from '../ops/copies';
import { tidy } from '../tensor/scope';
import { checkInteger } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { BatchPass, type BatchOptions } from './batchPass';
import type { Compiled } from './compile';
import { stepResults, Totals, type Logs } from './totals';

/** Options of `evaluate` and `predict`. */
export interface EvaluateOptions {
  /** Samples per forward pass; does not change results. Default 256. */
  batchSize?: number;
  signal?: AbortSignal;
}

/** @throws RangeError where there are no samples. */
export function asDataset(op: string, samples: Samples): TensorDataset {
  const data = samples instanceof TensorDataset ? samples : new TensorDataset(samples.x, samples.y);
  if (data.length === 0) throw new RangeError(`${op}: the dataset is empty`);
  return data;
}

function optionsOf(name: string, { batchSize = 256, signal }: EvaluateOptions, runEagerly: boolean): BatchOptions {
  checkInteger(name, 'batchSize', batchSize, 1, 2 ** 31 - 1);
  return { name, batchSize, recording: false, runEagerly, signal };
}

/** The loss and the metrics of batches. */
export function evaluationPass(compiled: Compiled, options: EvaluateOptions): BatchPass {
  const step = (x: AnyTensor, y: AnyTensor): AnyTensor[] => {
    const output = compiled.forward(x);
    return stepResults(compiled, compiled.loss(output, y), output, y);
  };
  return new BatchPass(
    step as (...rows: AnyTensor[]) => AnyTensor[],
    optionsOf('evaluate', options, compiled.runEagerly),
  );
}

/** Goes over `data` in evaluation mode. */
export async function evaluateWith(
  pass: BatchPass,
  model: Module,
  compiled: Compiled,
  data: TensorDataset,
): Promise<Logs> {
  const totals = new Totals(compiled);
  await inEvaluation(model, pass, {
    length: data.length,
    rows: (start, end) => {
      const { x, y } = data.range(start, end);
      return [x, y];
    },
    take: (results, steps, samples) => {
      totals.take(results, steps, samples);
    },
  });
  return totals.logs();
}

async function inEvaluation(model: Module, pass: BatchPass, samples: Parameters<BatchPass['run']>[0]): Promise<void> {
  const wasTraining = model.training;
  try {
    await pass.run({
      ...samples,
      rows: (start, end) => {
        // Others may have trained the model in the meantime.
        model.eval();
        return samples.rows(start, end);
      },
    });
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
  const pass = evaluationPass(compiled, options);
  try {
    return await evaluateWith(pass, model, compiled, data);
  } finally {
    pass.dispose();
  }
}

/** {@link Module.predict} */
export async function predict(model: Module, x: AnyTensor, options: EvaluateOptions): Promise<Tensor> {
  x._check('predict');
  if (x.rank === 0) throw new RangeError('predict: a scalar has no batch axis');
  if (x.shape[0] === 0) return withGrad(false, () => tidy(() => model.forward(x)));
  const pass = new BatchPass((rows) => [model.forward(rows)], optionsOf('predict', options, false));
  const parts: AnyTensor[] = [];
  try {
    await inEvaluation(model, pass, {
      length: x.shape[0],
      rows: (start, end) => [x.slice([start, end])],
      take: ([output], steps) => {
        parts.push(steps === 1 ? output : tidy(() => output.reshape([-1, ...output.shape.slice(2)])));
        if (steps > 1) output.dispose();
      },
    });
    return (parts.length === 1 ? parts.pop() : concat(parts)) as Tensor;
  } finally {
    for (const part of parts) part.dispose();
    pass.dispose();
  }
}

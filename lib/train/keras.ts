/** The Keras face: `compile`, `fit`, `evaluate`, `predict` and `summary` on every Module. */
import { Module } from '../nn/module';
import type { Tensor } from '../tensor/tensor';
import { compileModel, type Compiled, type CompileOptions } from './compile';
import { evaluate, predict, type EvaluateOptions, type PredictionData } from './evaluate';
import type { TrainingData } from './feed';
import { fit, type FitOptions, type History } from './fit';
import type { Logs } from './totals';
import { summarize } from './summary';

const compiledModels = new WeakMap<Module, Compiled>();

function compiledOf(model: Module, op: string): Compiled {
  const compiled = compiledModels.get(model);
  if (compiled === undefined) throw new Error(`${op}: call compile({ optimizer, loss }) first`);
  return compiled;
}

declare module '../nn/module' {
  interface Module {
    /** Chooses the optimizer, the loss and the metrics that `fit` and `evaluate` use. Returns the model. */
    compile(options: CompileOptions): this;
    /**
     * Trains on `data`: samples in memory, a `DataLoader`, or batches as they come from an iterable, an async iterable
     * or a generator function. While a step runs, the next batches are being fetched. An error of an iterable rejects
     * the promise; the weights are then those after the last step before it.
     * @throws Error if the model was not compiled; RangeError, ShapeError, TypeError for data that does not fit.
     * @example
     * await model.fit(
     *   async function* () {
     *     for (const file of files) yield await readBatch(file);
     *   },
     *   { epochs: 5 },
     * );
     */
    fit(data: TrainingData, options?: FitOptions): Promise<History>;
    /** The loss and the metrics over `data`, in evaluation mode and without recording. */
    evaluate(data: TrainingData, options?: EvaluateOptions): Promise<Logs>;
    /** The outputs for samples, computed in batches along axis 0, in evaluation mode and without recording. */
    predict(x: PredictionData, options?: EvaluateOptions): Promise<Tensor>;
    /** A table of the layers and their parameter counts, printed unless `print` is false. */
    summary(options?: { print?: boolean }): string;
  }
}

Module.prototype.compile = function (options) {
  compiledModels.set(this, compileModel(this, options));
  return this;
};
Module.prototype.fit = async function (data, options = {}) {
  return fit(this, compiledOf(this, 'fit'), data, options);
};
Module.prototype.evaluate = async function (data, options = {}) {
  return evaluate(this, compiledOf(this, 'evaluate'), data, options);
};
Module.prototype.predict = async function (x, options = {}) {
  return predict(this, x, options);
};
Module.prototype.summary = function (options = {}) {
  const text = summarize(this);
  if (options.print ?? true) process.stdout.write(`${text}\n`);
  return text;
};

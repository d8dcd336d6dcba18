import { metricByName, type Metric, type MetricName } from '../metrics';
import { Sequential } from '../nn/containers';
import { Softmax } from '../nn/layers';
import type { Module } from '../nn/module';
import * as optim from '../optim';
import { Optimizer } from '../optim';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { resolveLoss, type LossFunction, type LossName } from './losses';

/** Optimizers by Keras's names, with the defaults of the classes: {@link Adam}, {@link SGD} and so on. */
export type OptimizerName = keyof typeof byName;

const byName = {
  adam: optim.Adam,
  adamw: optim.AdamW,
  sgd: optim.SGD,
  rmsprop: optim.RMSprop,
  nadam: optim.NAdam,
  radam: optim.RAdam,
  adamax: optim.AdaMax,
  adagrad: optim.Adagrad,
  adadelta: optim.Adadelta,
  lion: optim.Lion,
  lamb: optim.LAMB,
} as const;

/** Options of `compile`. */
export interface CompileOptions {
  /** A name, an optimizer over this model's parameters, or a function that makes one of them. */
  optimizer: OptimizerName | Optimizer | ((parameters: Tensor[]) => Optimizer);
  /**
   * A name or a function of (output, target) that gives a scalar.
   *
   * Differs from Keras: `'sparseCategoricalCrossentropy'` takes logits, as PyTorch's cross-entropy does.
   * A model that ends in a Softmax layer trains on what goes into that layer, so Keras's habit works too.
   */
  loss: LossName | LossFunction;
  /** Reported besides the loss: `'accuracy'`, or functions giving a batch's sum, by name. */
  metrics?: readonly MetricName[] | Readonly<Record<string, Metric>>;
  /**
   * Run every operation by itself on the main thread, as Keras's run_eagerly does: for debugging. Default false: steps
   * are compiled ({@link compile}) where they can be.
   */
  runEagerly?: boolean;
}

/** What `compile` makes of its options. */
export interface Compiled {
  readonly optimizer: Optimizer;
  readonly loss: LossFunction;
  readonly metrics: readonly {
    readonly name: string;
    readonly fn: Metric;
    /** What a compiled step computes in the function's place. */
    readonly asTensor?: (output: AnyTensor, target: AnyTensor) => AnyTensor;
  }[];
  readonly runEagerly: boolean;
  /** The output that the loss and the metrics take. */
  readonly forward: (x: AnyTensor) => Tensor;
}

function resolveOptimizer(given: CompileOptions['optimizer'], parameters: Tensor[]): Optimizer {
  if (isOptimizer(given)) return given;
  if (typeof given === 'function') return given(parameters);
  if (!Object.hasOwn(byName, given)) {
    const known = Object.keys(byName).join(', ');
    throw new RangeError(`compile: unknown optimizer ${JSON.stringify(given)}; known are ${known}`);
  }
  return new byName[given](parameters);
}

function isOptimizer(value: unknown): value is Optimizer {
  return value instanceof Optimizer;
}

function forwardOf(model: Module, onLogits: boolean): (x: AnyTensor) => Tensor {
  if (onLogits && model instanceof Sequential) {
    const { layers } = model;
    const last = layers[layers.length - 1];
    if (last instanceof Softmax && (last.axis === -1 || last.axis === 1)) {
      const body = layers.slice(0, -1);
      return (x) => body.reduce((value, layer) => layer.forward(value), x as Tensor);
    }
  }
  return (x) => model.forward(x);
}

/** {@link Module.compile} */
export function compileModel(model: Module, options: CompileOptions): Compiled {
  const { fn: loss, onLogits } = resolveLoss(options.loss);
  const given = options.metrics ?? [];
  const metrics = Array.isArray(given)
    ? (given as readonly string[]).map((name) => ({ name, ...metricByName(name) }))
    : Object.entries(given as Readonly<Record<string, Metric>>).map(([name, fn]) => ({ name, fn }));
  return {
    optimizer: resolveOptimizer(options.optimizer, model.parameters()),
    loss,
    metrics,
    runEagerly: options.runEagerly ?? false,
    forward: forwardOf(model, onLogits),
  };
}

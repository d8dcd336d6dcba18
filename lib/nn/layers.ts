import { ShapeError } from '../errors';
import { linear as linearOp } from '../ops/matmul';
import { bilinear as bilinearOp } from '../ops/bilinear';
import { requireFloat } from '../ops/reduce';
import { softmax as softmaxOp } from '../ops/softmax';
import { flatten as flattenOp } from '../ops/views';
import type { Generator } from '../tensor/generator';
import { checkInteger, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { initializeDense, uniformFanIn, type Initialization } from './init';
import { Module, parameter } from './module';

/** Options of {@link Linear}. */
export interface LinearOptions {
  /** Add a bias. Default true. */
  bias?: boolean;
  /** Initial values; default `'pytorch'`. `'keras'` is what Keras's Dense starts with. */
  init?: Initialization;
  /** Where the initial values come from; default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/**
 * A fully connected layer, `x · weightᵀ + bias`, as PyTorch's `nn.Linear`: weight
 * [outFeatures, inFeatures] and bias [outFeatures], uniform in ±1/√inFeatures at first unless
 * {@link LinearOptions.init} says otherwise.
 */
export class Linear extends Module {
  weight: Tensor;
  bias: Tensor | null;

  /**
   * @param inFeatures size of the input's last axis
   * @param outFeatures size of the output's last axis
   */
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkInteger('linear', 'inFeatures', inFeatures, 0, 2 ** 31 - 1);
    checkInteger('linear', 'outFeatures', outFeatures, 0, 2 ** 31 - 1);
    const { weight, bias } = initializeDense(options.init ?? 'pytorch', inFeatures, outFeatures, options.generator);
    this.weight = parameter(weight);
    if (options.bias === false) {
      bias.dispose();
      this.bias = null;
    } else {
      this.bias = parameter(bias);
    }
  }

  /** @param x float32 [..., inFeatures]; @returns [..., outFeatures] */
  override forward(x: AnyTensor): Tensor {
    if (x.rank === 0 || x.shape[x.rank - 1] !== this.inFeatures) {
      throw new ShapeError(
        `linear(${String(this.inFeatures)}, ${String(this.outFeatures)}): expected an input of shape ` +
          `[..., ${String(this.inFeatures)}], got ${formatShape(x.shape)}`,
      );
    }
    return linearOp(x, this.weight, this.bias);
  }
}

/** Merges all axes but the first: [n, ...] becomes [n, features]. */
export class Flatten extends Module {
  override forward(x: AnyTensor): Tensor {
    const input = requireFloat('flatten', 'x', x);
    if (input.rank < 1) throw new ShapeError('flatten: a scalar has no batch axis');
    return input.rank === 2 ? input : flattenOp(input.rank === 1 ? input.unsqueeze(1) : input, 1);
  }
}

/** Softmax over one axis, by default the last. */
export class Softmax extends Module {
  constructor(readonly axis = -1) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return softmaxOp(x, this.axis);
  }
}

/** Options of {@link Bilinear}. */
export interface BilinearOptions {
  /** Default true. */
  bias?: boolean;
  generator?: Generator;
}

/** aᵀ·W·b + bias for two inputs, as PyTorch's nn.Bilinear: weight [out, in1, in2], uniform in ±1/√in1 at first. */
export class Bilinear extends Module {
  weight: Tensor;
  bias: Tensor | null;

  constructor(in1: number, in2: number, out: number, options: BilinearOptions = {}) {
    super();
    for (const [name, value] of Object.entries({ in1, in2, out }))
      checkInteger('bilinear', name, value, 1, 2 ** 31 - 1);
    this.weight = parameter(uniformFanIn([out, in1, in2], in1, options.generator));
    this.bias = options.bias === false ? null : parameter(uniformFanIn([out], in1, options.generator));
  }

  /** @param a [..., in1]; @param b [..., in2] */
  override forward(a: AnyTensor, b: AnyTensor): Tensor {
    return bilinearOp(a, b, this.weight, this.bias);
  }
}

/** The input itself. */
export class Identity extends Module {
  override forward(x: AnyTensor): Tensor {
    return x as Tensor;
  }
}

/** {@link Linear} */
export function linear(inFeatures: number, outFeatures: number, options?: LinearOptions): Linear {
  return new Linear(inFeatures, outFeatures, options);
}

/** {@link Flatten} */
export function flatten(): Flatten {
  return new Flatten();
}

/** {@link Softmax} */
export function softmax(axis?: number): Softmax {
  return new Softmax(axis);
}

/** {@link Bilinear} */
export function bilinear(in1: number, in2: number, out: number, options?: BilinearOptions): Bilinear {
  return new Bilinear(in1, in2, out, options);
}

/** {@link Identity} */
export function identity(): Identity {
  return new Identity();
}

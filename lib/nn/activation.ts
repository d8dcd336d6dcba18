/** Activations as modules. */
import * as f from '../ops/activations';
import { logSoftmax } from '../ops/softmax';
import { relu, sigmoid, tanh } from '../ops/unary';
import { requireFloat } from '../ops/reduce';
import { full } from '../tensor/creation';
import { checkInteger, checkNumber } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';

type Fn = (x: Tensor) => AnyTensor;

/** A module of one function. */
abstract class Activation extends Module {
  constructor(
    private readonly op: string,
    private readonly fn: Fn,
  ) {
    super();
  }

  override forward(x: AnyTensor): Tensor {
    return this.fn(requireFloat(this.op, 'x', x)) as Tensor;
  }
}

/** max(x, 0) */
export class ReLU extends Activation {
  constructor() {
    super('relu', relu);
  }
}
/** See {@link functional.relu6}. */
export class ReLU6 extends Activation {
  constructor() {
    super('relu6', f.relu6);
  }
}
/** See {@link functional.leakyRelu}. */
export class LeakyReLU extends Activation {
  constructor(slope = 0.01) {
    checkNumber('leakyRelu', 'slope', slope);
    super('leakyRelu', (x) => f.leakyRelu(x, slope));
  }
}
/** See {@link functional.elu}. */
export class ELU extends Activation {
  constructor(alpha = 1) {
    checkNumber('elu', 'alpha', alpha);
    super('elu', (x) => f.elu(x, alpha));
  }
}
/** See {@link functional.celu}. */
export class CELU extends Activation {
  constructor(alpha = 1) {
    checkNumber('celu', 'alpha', alpha, Number.MIN_VALUE);
    super('celu', (x) => f.celu(x, alpha));
  }
}
/** See {@link functional.selu}. */
export class SELU extends Activation {
  constructor() {
    super('selu', f.selu);
  }
}
/** See {@link functional.gelu}. */
export class GELU extends Activation {
  constructor(options: f.GeluOptions = {}) {
    super('gelu', (x) => f.gelu(x, options));
  }
}
/** See {@link functional.silu}. */
export class SiLU extends Activation {
  constructor() {
    super('silu', f.silu);
  }
}
/** See {@link functional.mish}. */
export class Mish extends Activation {
  constructor() {
    super('mish', f.mish);
  }
}
/** See {@link functional.hardswish}. */
export class Hardswish extends Activation {
  constructor() {
    super('hardswish', f.hardswish);
  }
}
/** See {@link functional.hardsigmoid}. */
export class Hardsigmoid extends Activation {
  constructor() {
    super('hardsigmoid', f.hardsigmoid);
  }
}
/** See {@link functional.hardtanh}. */
export class Hardtanh extends Activation {
  constructor() {
    super('hardtanh', f.hardtanh);
  }
}
/** Hyperbolic tangent. */
export class Tanh extends Activation {
  constructor() {
    super('tanh', tanh);
  }
}
/** 1 / (1 + e^-x) */
export class Sigmoid extends Activation {
  constructor() {
    super('sigmoid', sigmoid);
  }
}
/** See {@link functional.logSigmoid}. */
export class LogSigmoid extends Activation {
  constructor() {
    super('logSigmoid', f.logSigmoid);
  }
}
/** See {@link functional.softplus}. */
export class Softplus extends Activation {
  constructor(options: f.SoftplusOptions = {}) {
    super('softplus', (x) => f.softplus(x, options));
  }
}
/** See {@link functional.softsign}. */
export class Softsign extends Activation {
  constructor() {
    super('softsign', f.softsign);
  }
}
/** See {@link functional.tanhshrink}. */
export class Tanhshrink extends Activation {
  constructor() {
    super('tanhshrink', f.tanhshrink);
  }
}
/** See {@link functional.glu}. */
export class GLU extends Activation {
  constructor(axis = -1) {
    super('glu', (x) => f.glu(x, axis));
  }
}
/** The logarithm of softmax over one axis, by default the last. */
export class LogSoftmax extends Activation {
  constructor(axis = -1) {
    super('logSoftmax', (x) => logSoftmax(x, axis));
  }
}

/** relu with a learned slope below 0 (He et al., 2015). */
export class PReLU extends Module {
  /** One slope, or one for each channel; 0.25 at first. */
  weight: Tensor;

  /** @param channels 1 (default), or as many as axis 1 of the input has */
  constructor(channels = 1, slope = 0.25) {
    super();
    checkInteger('prelu', 'channels', channels, 1, 2 ** 31 - 1);
    this.weight = parameter(full([channels], slope));
  }

  override forward(x: AnyTensor): Tensor {
    return f.prelu(x, this.weight);
  }
}

export const relu6 = (): ReLU6 => new ReLU6();
export const leakyRelu = (slope?: number): LeakyReLU => new LeakyReLU(slope);
export const elu = (alpha?: number): ELU => new ELU(alpha);
export const selu = (): SELU => new SELU();
export const gelu = (options?: f.GeluOptions): GELU => new GELU(options);
export const silu = (): SiLU => new SiLU();
export const mish = (): Mish => new Mish();
export const hardswish = (): Hardswish => new Hardswish();
export const prelu = (channels?: number): PReLU => new PReLU(channels);
const makeTanh = (): Tanh => new Tanh();
const makeSigmoid = (): Sigmoid => new Sigmoid();
const makeRelu = (): ReLU => new ReLU();
export { makeRelu as relu, makeSigmoid as sigmoid, makeTanh as tanh };

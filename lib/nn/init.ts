/** Initial values of parameters, as PyTorch and Keras name them. */
import { ShapeError } from '../errors';
import { eye, full, rand, randn, tensor, zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import { checkNumber, formatShape, sizeOf, type Shape } from '../tensor/shape';
import { clamp } from '../ops/binary';
import { erfinv } from '../ops/unary';
import type { Tensor } from '../tensor/tensor';

/** Where the numbers come from. */
export interface InitOptions {
  /** Default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/** Which side's variance stays 1 (He et al., 2015). */
export type FanMode = 'fanIn' | 'fanOut';

/** Which nonlinearity follows, for {@link gain}. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu';

/** The factor that keeps variances through a nonlinearity; `slope` is leakyRelu's. PyTorch's calculate_gain. */
export function gain(nonlinearity: Nonlinearity, slope = 0.01): number {
  switch (nonlinearity) {
    case 'linear':
    case 'sigmoid':
      return 1;
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + slope * slope));
    case 'selu':
      return 3 / 4;
    default:
      throw new TypeError(`gain: unknown nonlinearity ${String(nonlinearity)}`);
  }
}

/**
 * How many inputs and outputs a weight connects: of [out, in, ...kernel], as PyTorch counts them.
 * @throws ShapeError for fewer than two axes.
 */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2) throw new ShapeError(`init: shape ${formatShape(shape)} has no fans; it needs two axes`);
  const kernel = sizeOf(shape.slice(2));
  return { fanIn: shape[1] * kernel, fanOut: shape[0] * kernel };
}

function symmetric(shape: Shape, bound: number, { generator }: InitOptions): Tensor {
  return rand(shape, { range: [-bound, bound], generator });
}

/** Uniform in [low, high). Default [0, 1). */
export function uniform(shape: Shape, options: InitOptions & { low?: number; high?: number } = {}): Tensor {
  const { low = 0, high = 1, generator } = options;
  return rand(shape, { range: [low, high], generator });
}

/** Normal with a mean (default 0) and a deviation (default 1). */
export function normal(shape: Shape, options: InitOptions & { mean?: number; std?: number } = {}): Tensor {
  return randn(shape, options);
}

/**
 * Normal, but redrawn beyond two deviations: by the inverse of the distribution function. Keras's
 * TruncatedNormal, PyTorch's trunc_normal_ with a = mean - 2·std and b = mean + 2·std.
 */
export function truncatedNormal(shape: Shape, options: InitOptions & { mean?: number; std?: number } = {}): Tensor {
  const { mean = 0, std = 1, generator } = options;
  checkNumber('truncatedNormal', 'std', std, 0);
  const edge = 0.9544997361036416; // erf(2 / √2)
  const values = erfinv(rand(shape, { range: [-edge, edge], generator })).mul(Math.SQRT2);
  return clamp(values, { min: -2, max: 2 }).mul(std).add(mean);
}

/** @internal {@link xavierUniform} for fans that the shape does not tell. */
export function uniformGlorot(shape: Shape, fanIn: number, fanOut: number, generator?: Generator, factor = 1): Tensor {
  return symmetric(shape, fanIn + fanOut > 0 ? factor * Math.sqrt(6 / (fanIn + fanOut)) : 0, { generator });
}

/** Xavier's uniform in ±gain·√(6 / (fanIn + fanOut)) (Glorot and Bengio, 2010). Keras: GlorotUniform. */
export function xavierUniform(shape: Shape, options: InitOptions & { gain?: number } = {}): Tensor {
  const { fanIn, fanOut } = fans(shape);
  return uniformGlorot(shape, fanIn, fanOut, options.generator, options.gain);
}

/** Xavier's normal with deviation gain·√(2 / (fanIn + fanOut)). Keras's GlorotNormal is truncated. */
export function xavierNormal(shape: Shape, options: InitOptions & { gain?: number } = {}): Tensor {
  const { fanIn, fanOut } = fans(shape);
  const std = fanIn + fanOut > 0 ? (options.gain ?? 1) * Math.sqrt(2 / (fanIn + fanOut)) : 0;
  return randn(shape, { std, generator: options.generator });
}

/** Options of the Kaiming initializers. */
export interface KaimingOptions extends InitOptions {
  /** Default 'fanIn'. */
  mode?: FanMode;
  /** Default 'leakyRelu', as in PyTorch. */
  nonlinearity?: Nonlinearity;
  /** leakyRelu's slope. Default 0. */
  slope?: number;
}

function kaimingDeviation(shape: Shape, options: KaimingOptions): number {
  const { mode = 'fanIn', nonlinearity = 'leakyRelu', slope = 0 } = options;
  const { fanIn, fanOut } = fans(shape);
  const fan = mode === 'fanIn' ? fanIn : fanOut;
  return fan > 0 ? gain(nonlinearity, slope) / Math.sqrt(fan) : 0;
}

/** Kaiming's uniform in ±gain·√(3 / fan) (He et al., 2015). Keras: HeUniform. */
export function kaimingUniform(shape: Shape, options: KaimingOptions = {}): Tensor {
  return symmetric(shape, Math.sqrt(3) * kaimingDeviation(shape, options), options);
}

/** Kaiming's normal with deviation gain / √fan. Keras's HeNormal is truncated. */
export function kaimingNormal(shape: Shape, options: KaimingOptions = {}): Tensor {
  return randn(shape, { std: kaimingDeviation(shape, options), generator: options.generator });
}

/** LeCun's uniform in ±√(3 / fanIn) (LeCun et al., 1998), as Keras's. */
export function lecunUniform(shape: Shape, options: InitOptions = {}): Tensor {
  return kaimingUniform(shape, { ...options, nonlinearity: 'linear' });
}

/** LeCun's normal with deviation 1 / √fanIn. */
export function lecunNormal(shape: Shape, options: InitOptions = {}): Tensor {
  return kaimingNormal(shape, { ...options, nonlinearity: 'linear' });
}

/** A matrix with orthonormal rows or columns, times gain (Saxe et al., 2014). Further axes count as columns. */
export function orthogonal(shape: Shape, options: InitOptions & { gain?: number } = {}): Tensor {
  fans(shape);
  const [rows] = shape;
  const columns = sizeOf(shape.slice(1));
  const tall = Math.max(rows, columns);
  const wide = Math.min(rows, columns);
  const draws = randn([tall, wide], { generator: options.generator }).dataSync();
  const q = orthonormalColumns(Float64Array.from(draws), tall, wide);
  const flat = new Float32Array(rows * columns);
  for (let i = 0; i < tall; i++) {
    for (let j = 0; j < wide; j++) flat[rows >= columns ? i * columns + j : j * columns + i] = q[i * wide + j];
  }
  return tensor(flat, { shape }).mul(options.gain ?? 1);
}

/** Gram and Schmidt, twice over for digits; the sign of the diagonal makes the draw uniform (Mezzadri, 2007). */
function orthonormalColumns(a: Float64Array, rows: number, columns: number): Float64Array {
  for (let j = 0; j < columns; j++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < j; k++) {
        let product = 0;
        for (let i = 0; i < rows; i++) product += a[i * columns + j] * a[i * columns + k];
        for (let i = 0; i < rows; i++) a[i * columns + j] -= product * a[i * columns + k];
      }
    }
    let square = 0;
    for (let i = 0; i < rows; i++) square += a[i * columns + j] ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = 0; i < rows; i++) a[i * columns + j] *= scale;
  }
  return a;
}

/** All the same value. */
export function constant(shape: Shape, value: number): Tensor {
  return full(shape, value);
}

/** The identity matrix. */
export function identity(shape: Shape): Tensor {
  if (shape.length !== 2) throw new ShapeError(`identity: needs two axes, got shape ${formatShape(shape)}`);
  return eye(shape[0], shape[1]);
}

/**
 * Uniform in ±1/√fanIn: what PyTorch's Linear and convolutions use for weights (as kaiming_uniform with a = √5) and
 * biases.
 */
export function uniformFanIn(shape: Shape, fanIn: number, generator?: Generator): Tensor {
  return symmetric(shape, fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0, { generator });
}

/**
 * How a layer starts: `'pytorch'`, uniform in ±1/√fanIn for weights and biases; `'keras'`, Glorot's
 * uniform weights and zero biases.
 */
export type Initialization = 'pytorch' | 'keras';

/** Weight [fanOut, fanIn] and bias [fanOut] of a fully connected layer. */
export function initializeDense(
  init: Initialization,
  fanIn: number,
  fanOut: number,
  generator?: Generator,
): { weight: Tensor; bias: Tensor } {
  switch (init) {
    case 'pytorch':
      return {
        weight: uniformFanIn([fanOut, fanIn], fanIn, generator),
        bias: uniformFanIn([fanOut], fanIn, generator),
      };
    case 'keras':
      return { weight: xavierUniform([fanOut, fanIn], { generator }), bias: zeros([fanOut]) };
    default:
      throw new RangeError(`linear: unknown init ${String(init)}; known are pytorch, keras`);
  }
}

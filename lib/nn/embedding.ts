/** Tables of vectors, and where in a sequence a position stands. */
import { noGrad } from '../autograd/node';
import { ShapeError } from '../errors';
import { embedding as lookUp } from '../ops/embedding';
import { add } from '../ops/binary';
import type { Index } from '../ops/gather';
import { requireFloat } from '../ops/reduce';
import { assign } from '../ops/update';
import { slice } from '../ops/views';
import { arange, randn, tensor, zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import { checkInteger, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { dropout as drop } from '../ops/random';
import { buffer, Module, parameter } from './module';

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** This row starts as zeros and is never trained. Default none. */
  paddingIndex?: number;
  /** Gradients as rows in `weight.sparseGrad`; the optimizers then update only those rows. Default false. */
  sparse?: boolean;
  /** Where the initial values come from; default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/** A table of `count` vectors, from the standard normal distribution at first, as PyTorch's nn.Embedding. */
export class Embedding extends Module {
  /** [count, features] */
  weight: Tensor;
  readonly paddingIndex: number | undefined;
  readonly sparse: boolean;

  constructor(
    readonly count: number,
    readonly features: number,
    options: EmbeddingOptions = {},
  ) {
    super();
    checkInteger('Embedding', 'count', count, 1, 2 ** 31 - 1);
    checkInteger('Embedding', 'features', features, 1, 2 ** 31 - 1);
    const { paddingIndex, sparse = false, generator } = options;
    if (paddingIndex !== undefined) checkInteger('Embedding', 'paddingIndex', paddingIndex, 0, count - 1);
    this.paddingIndex = paddingIndex;
    this.sparse = sparse;
    const start = randn([count, features], { generator });
    if (paddingIndex !== undefined) {
      noGrad(() => {
        assign(slice(start, paddingIndex), zeros([features], { like: start }));
      });
    }
    this.weight = parameter(start);
  }

  /** @param index int32 or int64 of any shape; @returns [...index.shape, features] */
  override forward(index: AnyTensor): Tensor {
    return lookUp(index as Index, this.weight, { paddingIndex: this.paddingIndex, sparse: this.sparse });
  }
}

/** Options of {@link PositionalEncoding}. */
export interface PositionalEncodingOptions {
  /** The longest sequence. Default 5000. */
  maxLength?: number;
  /** Applied to the sum. Default 0. */
  dropout?: number;
  /** Inputs are [n, length, features] (default), or with false [length, n, features]. */
  batchFirst?: boolean;
}

/** The sines and cosines of Vaswani et al. (2017): [length, features]. */
export function sinusoids(length: number, features: number): Tensor {
  checkInteger('sinusoids', 'length', length, 0, 2 ** 31 - 1);
  checkInteger('sinusoids', 'features', features, 0, 2 ** 31 - 1);
  const values = new Float32Array(length * features);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < features; i++) {
      const angle = position * Math.exp((-Math.log(10000) * (i - (i % 2))) / features);
      values[position * features + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return tensor(values, { shape: [length, features] });
}

/** Adds each position's {@link sinusoids} to a sequence. */
export class PositionalEncoding extends Module {
  readonly encoding: Tensor;
  readonly p: number;
  readonly batchFirst: boolean;

  constructor(
    readonly features: number,
    options: PositionalEncodingOptions = {},
  ) {
    super();
    const { maxLength = 5000, dropout = 0, batchFirst = true } = options;
    this.encoding = buffer(sinusoids(maxLength, features));
    this.p = dropout;
    this.batchFirst = batchFirst;
  }

  override forward(x: AnyTensor): Tensor {
    const input = requireFloat('PositionalEncoding', 'x', x);
    const axis = this.batchFirst ? 1 : 0;
    if (input.rank !== 3 || input.shape[2] !== this.features || input.shape[axis] > this.encoding.shape[0]) {
      throw new ShapeError(
        `PositionalEncoding(${String(this.features)}): expected three axes with at most ${String(this.encoding.shape[0])} ` +
          `positions at axis ${String(axis)} and ${String(this.features)} features, got ${formatShape(input.shape)}`,
      );
    }
    const rows = slice(this.encoding, [0, input.shape[axis]]);
    return drop(add(input, this.batchFirst ? rows : rows.unsqueeze(1)), this.p, { training: this.training });
  }
}

/** Adds a learned vector to each position of [n, length, features]. */
export class LearnedPositions extends Module {
  readonly table: Embedding;

  constructor(maxLength: number, features: number, options: { generator?: Generator } = {}) {
    super();
    this.table = new Embedding(maxLength, features, options);
  }

  override forward(x: AnyTensor): Tensor {
    const input = requireFloat('LearnedPositions', 'x', x);
    if (input.rank !== 3 || input.shape[1] > this.table.count || input.shape[2] !== this.table.features) {
      throw new ShapeError(
        `LearnedPositions: expected [n, at most ${String(this.table.count)}, ${String(this.table.features)}], got ${formatShape(input.shape)}`,
      );
    }
    return add(input, this.table.forward(arange(input.shape[1], { dtype: 'int32', like: input })));
  }
}

/** {@link Embedding} */
export const embedding = (count: number, features: number, options?: EmbeddingOptions): Embedding =>
  new Embedding(count, features, options);
/** {@link PositionalEncoding} */
export const positionalEncoding = (features: number, options?: PositionalEncodingOptions): PositionalEncoding =>
  new PositionalEncoding(features, options);

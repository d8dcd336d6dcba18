/** Multi-head attention and the transformer's layers. */
import { DTypeError, ShapeError } from '../errors';
import { attentionWeights, scaledDotProductAttention } from '../ops/attention';
import { add } from '../ops/binary';
import { where } from '../ops/compare';
import { dropout as drop } from '../ops/random';
import { linear } from '../ops/matmul';
import { mean, requireFloat } from '../ops/reduce';
import { gelu } from '../ops/activations';
import { relu } from '../ops/unary';
import { reshape, slice, transpose } from '../ops/views';
import { full, zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import { checkInteger, checkNumber, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { xavierUniform } from './init';
import { Linear } from './layers';
import { Module, parameter } from './module';
import { LayerNorm } from './normalization';

/** Options of {@link MultiheadAttention}. */
export interface MultiheadOptions {
  /** Probability of dropping an attention weight in training. Default 0. */
  dropout?: number;
  /** Default true. */
  bias?: boolean;
  /** [n, length, features] instead of [length, n, features]. Default false, as in PyTorch. */
  batchFirst?: boolean;
  generator?: Generator;
}

/** Who may attend to what. Masks follow PyTorch's nn.MultiheadAttention: true hides. */
export interface MaskOptions {
  /** bool (true: hidden) or float (added to the scores), [queries, keys] or [n·heads, queries, keys]. */
  attentionMask?: AnyTensor | null;
  /** bool [n, keys]: true hides the key of that row, as padding. */
  keyPaddingMask?: Tensor<'bool'> | null;
  /** Each query sees only keys up to its own position. Default false. */
  causal?: boolean;
}

/**
 * Attention in several heads (Vaswani et al., 2017), parameters as PyTorch's: `in_proj_weight` [3·features, features],
 * `in_proj_bias`, `out_proj.weight`, `out_proj.bias`.
 */
export class MultiheadAttention extends Module {
  inProjWeight: Tensor;
  inProjBias: Tensor | null;
  readonly outProj: Linear;
  readonly p: number;
  readonly batchFirst: boolean;

  /**
   * @param features of queries, keys and values
   * @param heads divides the features
   */
  constructor(
    readonly features: number,
    readonly heads: number,
    options: MultiheadOptions = {},
  ) {
    super();
    const { dropout = 0, bias = true, batchFirst = false, generator } = options;
    checkInteger('MultiheadAttention', 'features', features, 1, 2 ** 28);
    checkInteger('MultiheadAttention', 'heads', heads, 1, features);
    if (features % heads !== 0) {
      throw new RangeError(
        `MultiheadAttention: ${String(features)} features are no multiple of ${String(heads)} heads`,
      );
    }
    checkNumber('MultiheadAttention', 'dropout', dropout, 0, 1);
    this.p = dropout;
    this.batchFirst = batchFirst;
    this.inProjWeight = parameter(xavierUniform([3 * features, features], { generator }));
    this.inProjBias = bias ? parameter(zeros([3 * features])) : null;
    this.outProj = new Linear(features, features, { bias, generator });
  }

  /**
   * @param query [length, n, features], or with `batchFirst` [n, length, features]
   * @param key by default the query
   * @param value by default the key
   */
  override forward(query: AnyTensor, key: AnyTensor = query, value: AnyTensor = key): Tensor {
    return this.attend(query, key, value).output;
  }

  /** {@link MultiheadAttention.forward} with masks; `needWeights` also gives the weights, averaged over the heads. */
  attend(
    query: AnyTensor,
    key: AnyTensor = query,
    value: AnyTensor = key,
    options: MaskOptions & { needWeights?: boolean } = {},
  ): { output: Tensor; weights: Tensor | null } {
    const inputs = [query, key, value].map((x, i) => this.batched(x, ['query', 'key', 'value'][i]));
    const [q, k, v] = inputs.map((x, i) => this.project(x, i));
    const [n, queries] = inputs[0].shape;
    const keys = inputs[1].shape[1];
    const mask = this.mask(options, n, queries, keys, q);
    const p = this.training ? this.p : 0;
    const heads = scaledDotProductAttention(q, k, v, { mask, causal: options.causal, dropout: p });
    const joined = this.outProj.forward(reshape(transpose(heads, 1, 2), [n, queries, this.features]));
    const seen = options.needWeights === true ? mean(attentionWeights(q, k, withCausal(mask, options, q, k)), 1) : null;
    return { output: this.batchFirst ? joined : transpose(joined, 0, 1), weights: seen };
  }

  private batched(x: AnyTensor, name: string): Tensor {
    const input = requireFloat('MultiheadAttention', name, x);
    if (input.rank !== 3 || input.shape[2] !== this.features) {
      const expected = this.batchFirst ? '[n, length, ' : '[length, n, ';
      throw new ShapeError(
        `MultiheadAttention: ${name} must be ${expected}${String(this.features)}], got ${formatShape(input.shape)}`,
      );
    }
    return this.batchFirst ? input : transpose(input, 0, 1);
  }

  /** [n, length, features] to [n, heads, length, features / heads], by part i of the weights. */
  private project(x: Tensor, i: number): Tensor {
    const rows = [i * this.features, (i + 1) * this.features] as const;
    const bias = this.inProjBias === null ? null : slice(this.inProjBias, rows);
    const y = linear(x, slice(this.inProjWeight, rows), bias);
    return transpose(reshape(y, [x.shape[0], x.shape[1], this.heads, this.features / this.heads]), 1, 2);
  }

  /** Both masks as one that scaledDotProductAttention takes. */
  private mask({ attentionMask, keyPaddingMask }: MaskOptions, n: number, queries: number, keys: number, like: Tensor) {
    let mask: AnyTensor | null = null;
    if (attentionMask !== null && attentionMask !== undefined) {
      const shaped = attentionMask.rank === 3 ? reshape(attentionMask, [n, this.heads, queries, keys]) : attentionMask;
      mask = shaped.dtype === 'bool' ? shaped.logicalNot() : shaped;
    }
    if (keyPaddingMask === null || keyPaddingMask === undefined) return mask;
    if ((keyPaddingMask.dtype as string) !== 'bool' || formatShape(keyPaddingMask.shape) !== formatShape([n, keys])) {
      throw new DTypeError(
        `MultiheadAttention: keyPaddingMask must be bool [${String(n)},${String(keys)}], got ` +
          `${keyPaddingMask.dtype} ${formatShape(keyPaddingMask.shape)}`,
      );
    }
    const visible = reshape(keyPaddingMask, [n, 1, 1, keys]).logicalNot();
    if (mask === null) return visible;
    if (mask.dtype === 'bool') return mask.logicalAnd(visible);
    return where(visible, mask as Tensor, full([], -1e30, { like }));
  }
}

function withCausal(mask: AnyTensor | null, options: MaskOptions, q: Tensor, k: Tensor): AnyTensor | null {
  if (options.causal !== true) return mask;
  const shape = [q.shape[q.rank - 2], k.shape[k.rank - 2]];
  const past = full(shape, true, { dtype: 'bool', like: q }).tril();
  if (mask === null) return past;
  return mask.dtype === 'bool' ? past.logicalAnd(mask) : where(past, mask as Tensor, -1e30);
}

/** Options of the transformer's layers. */
export interface TransformerLayerOptions {
  /** Width between the two linear layers. Default 2048. */
  feedforward?: number;
  /** Default 0.1. */
  dropout?: number;
  /** Default 'relu'. */
  activation?: 'relu' | 'gelu';
  /** Normalize before each part instead of after it. Default false. */
  normFirst?: boolean;
  /** [n, length, features] instead of [length, n, features]. Default false, as in PyTorch. */
  batchFirst?: boolean;
  /** Of the layer normalizations. Default 1e-5. */
  eps?: number;
  generator?: Generator;
}

/** What the two kinds of layer share. */
abstract class TransformerLayer extends Module {
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly p: number;
  readonly normFirst: boolean;
  private readonly activation: 'relu' | 'gelu';

  constructor(layer: string, features: number, options: TransformerLayerOptions) {
    super();
    const { feedforward = 2048, dropout = 0.1, activation = 'relu', normFirst = false, generator } = options;
    if (activation !== 'relu' && (activation as string) !== 'gelu') {
      throw new TypeError(`${layer}: unknown activation ${activation}; known are relu, gelu`);
    }
    checkNumber(layer, 'dropout', dropout, 0, 1);
    this.p = dropout;
    this.normFirst = normFirst;
    this.activation = activation;
    this.linear1 = new Linear(features, feedforward, { generator });
    this.linear2 = new Linear(feedforward, features, { generator });
  }

  protected dropped(x: Tensor): Tensor {
    return drop(x, this.p, { training: this.training });
  }

  protected feedforward(x: Tensor): Tensor {
    const inner = this.linear1.forward(x);
    const active = this.activation === 'relu' ? relu(inner) : gelu(inner);
    return this.dropped(this.linear2.forward(this.dropped(active)));
  }

  /** x + part(x) with a normalization before or after. */
  protected block(x: Tensor, norm: LayerNorm, part: (x: Tensor) => Tensor): Tensor {
    return this.normFirst ? add(x, part(norm.forward(x))) : norm.forward(add(x, part(x)));
  }
}

/** Self-attention and a feedforward net, each with a shortcut (Vaswani et al., 2017). PyTorch's TransformerEncoderLayer. */
export class TransformerEncoderLayer extends TransformerLayer {
  readonly selfAttn: MultiheadAttention;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;

  constructor(features: number, heads: number, options: TransformerLayerOptions = {}) {
    super('TransformerEncoderLayer', features, options);
    const { dropout = 0.1, batchFirst = false, eps = 1e-5, generator } = options;
    this.selfAttn = new MultiheadAttention(features, heads, { dropout, batchFirst, generator });
    this.norm1 = new LayerNorm(features, { eps });
    this.norm2 = new LayerNorm(features, { eps });
  }

  override forward(x: AnyTensor): Tensor {
    return this.encode(x);
  }

  /** {@link TransformerEncoderLayer.forward} with masks. */
  encode(x: AnyTensor, options: MaskOptions = {}): Tensor {
    const input = requireFloat('TransformerEncoderLayer', 'x', x);
    const attended = this.block(input, this.norm1, (h) => this.dropped(this.selfAttn.attend(h, h, h, options).output));
    return this.block(attended, this.norm2, (h) => this.feedforward(h));
  }
}

/** Self-attention, attention to an encoder's memory, and a feedforward net. PyTorch's TransformerDecoderLayer. */
export class TransformerDecoderLayer extends TransformerLayer {
  readonly selfAttn: MultiheadAttention;
  readonly multiheadAttn: MultiheadAttention;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly norm3: LayerNorm;

  constructor(features: number, heads: number, options: TransformerLayerOptions = {}) {
    super('TransformerDecoderLayer', features, options);
    const { dropout = 0.1, batchFirst = false, eps = 1e-5, generator } = options;
    this.selfAttn = new MultiheadAttention(features, heads, { dropout, batchFirst, generator });
    this.multiheadAttn = new MultiheadAttention(features, heads, { dropout, batchFirst, generator });
    this.norm1 = new LayerNorm(features, { eps });
    this.norm2 = new LayerNorm(features, { eps });
    this.norm3 = new LayerNorm(features, { eps });
  }

  /** @param x the target sequence; @param memory the encoder's output */
  override forward(x: AnyTensor, memory: AnyTensor): Tensor {
    return this.decode(x, memory);
  }

  /** {@link TransformerDecoderLayer.forward} with masks for the target and for the memory. */
  decode(x: AnyTensor, memory: AnyTensor, target: MaskOptions = {}, source: MaskOptions = {}): Tensor {
    const input = requireFloat('TransformerDecoderLayer', 'x', x);
    const own = this.block(input, this.norm1, (h) => this.dropped(this.selfAttn.attend(h, h, h, target).output));
    const seen = this.block(own, this.norm2, (h) =>
      this.dropped(this.multiheadAttn.attend(h, memory, memory, source).output),
    );
    return this.block(seen, this.norm3, (h) => this.feedforward(h));
  }
}

/** Encoder layers one after the other, with an optional last normalization: `layers.0.…`, `norm.…`. */
export class TransformerEncoder extends Module {
  readonly layers: readonly TransformerEncoderLayer[];
  readonly norm: LayerNorm | null;

  constructor(layers: readonly TransformerEncoderLayer[], norm: LayerNorm | null = null) {
    super();
    this.layers = [...layers];
    this.norm = norm;
  }

  override forward(x: AnyTensor): Tensor {
    return this.encode(x);
  }

  /** {@link TransformerEncoder.forward} with masks. */
  encode(x: AnyTensor, options: MaskOptions = {}): Tensor {
    const out = this.layers.reduce<AnyTensor>((h, layer) => layer.encode(h, options), x) as Tensor;
    return this.norm === null ? out : this.norm.forward(out);
  }
}

/** Decoder layers one after the other, with an optional last normalization. */
export class TransformerDecoder extends Module {
  readonly layers: readonly TransformerDecoderLayer[];
  readonly norm: LayerNorm | null;

  constructor(layers: readonly TransformerDecoderLayer[], norm: LayerNorm | null = null) {
    super();
    this.layers = [...layers];
    this.norm = norm;
  }

  override forward(x: AnyTensor, memory: AnyTensor): Tensor {
    return this.decode(x, memory);
  }

  /** {@link TransformerDecoder.forward} with masks. */
  decode(x: AnyTensor, memory: AnyTensor, target: MaskOptions = {}, source: MaskOptions = {}): Tensor {
    const out = this.layers.reduce<AnyTensor>((h, layer) => layer.decode(h, memory, target, source), x) as Tensor;
    return this.norm === null ? out : this.norm.forward(out);
  }
}

/** {@link MultiheadAttention} */
export const multiheadAttention = (features: number, heads: number, options?: MultiheadOptions): MultiheadAttention =>
  new MultiheadAttention(features, heads, options);

/** Attention, with memory linear in the length of the sequence. */
import { valuesAreThere } from '../tensor/recorder';
import { isGradEnabled, isRecording, record, withGrad } from '../autograd/node';
import { gradients } from '../autograd/backward';
import { variable } from '../autograd/functional';
import { DTypeError, ShapeError } from '../errors';
import { arange } from '../tensor/creation';
import { defaultGenerator, Generator } from '../tensor/generator';
import type { DType } from '../tensor/dtype';
import { tidy } from '../tensor/scope';
import { broadcastShapes, checkNumber, formatShape, sizeOf, type Shape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { add, mul } from './binary';
import { lessEqual, where } from './compare';
import { cast, concat } from './copies';
import { dropout } from './random';
import { matmul } from './matmul';
import { requireFloat, requireSame } from './reduce';
import { runMany } from './run';
import { softmax, softmaxBackward } from './softmax';
import { expand, reshape, slice, transpose, unsqueeze } from './views';

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /**
   * Broadcasts to [..., queries, keys]: a bool mask (true: may attend), or floats that are added to the scores.
   * Default none.
   */
  mask?: AnyTensor | null;
  /** Each query sees only the keys up to its own position. Default false. */
  causal?: boolean;
  /** Probability of dropping an attention weight. Default 0. */
  dropout?: number;
  /** What the scores are multiplied with. Default 1 / √(features of a query). */
  scale?: number;
}

interface Settings {
  readonly mask: AnyTensor | null;
  readonly causal: boolean;
  readonly p: number;
  readonly scale: number;
  /** Of the dropout masks of blocks, so that the backward pass draws the same. */
  readonly seed?: number;
}

// A hidden score: far below any real one, and finite, so that a row with nothing to see makes no NaN.
const hidden = -1e30;
// Scores of more elements than this are worked on in blocks of queries and not kept for the backward pass.
const wholeScores = 1 << 21;

/** The part of a broadcast mask that belongs to queries [from, to) and the first `keys` keys. */
function maskPart(mask: AnyTensor, from: number, to: number, keys: number): AnyTensor {
  const rows = mask.rank > 1 && mask.shape[mask.rank - 2] > 1;
  const columns = mask.rank > 0 && mask.shape[mask.rank - 1] > 1;
  const lead = new Array<null>(Math.max(0, mask.rank - 2)).fill(null);
  const last = columns ? ([0, keys] as const) : null;
  if (mask.rank === 0) return mask;
  return mask.rank === 1 ? slice(mask, last) : slice(mask, ...lead, rows ? ([from, to] as const) : null, last);
}

/** Which keys each query may see, or null for all. */
function visible(like: Tensor, s: Settings, from: number, to: number, keys: number): Tensor<'bool'> | null {
  const seen = s.mask !== null && s.mask.dtype === 'bool' ? (maskPart(s.mask, from, to, keys) as Tensor<'bool'>) : null;
  if (!s.causal) return seen;
  const options = { like, dtype: 'int32' } as const;
  const past = lessEqual(arange(keys, options), unsqueeze(arange(from, to, 1, options), 1));
  return seen === null ? past : past.logicalAnd(seen);
}

/** softmax(q·kᵀ·scale + mask) for queries [from, to), before dropout. */
function weightsOf(q: Tensor, k: Tensor, s: Settings, from: number, to: number): Tensor {
  const keys = k.shape[k.rank - 2];
  let scores: Tensor = matmul(mul(q, s.scale), transpose(k));
  if (s.mask !== null && s.mask.dtype !== 'bool')
    scores = add(scores, cast(maskPart(s.mask, from, to, keys), scores.dtype)) as Tensor;
  const seen = visible(q, s, from, to, keys);
  if (seen === null) return softmax(scores);
  return where(seen, softmax(where(seen, scores, hidden)), 0);
}

function dropped(weights: Tensor, s: Settings, block: number): Tensor {
  return s.p === 0 ? weights : dropout(weights, s.p, { generator: new Generator((s.seed ?? 0) + block) });
}

/** All at once, by differentiable operations. */
function whole(q: Tensor, k: Tensor, v: Tensor, s: Settings): Tensor {
  const weights = weightsOf(q, k, s, 0, q.shape[q.rank - 2]);
  return matmul(s.p === 0 ? weights : dropout(weights, s.p), v);
}

/** [from, to) along the second last axis. */
function rowsOf(x: Tensor, from: number, to: number): Tensor {
  return slice(x, ...x.shape.slice(0, -2).map(() => null), [from, to]);
}

/** Queries [from, to) and the keys that they may see. */
interface Block {
  from: number;
  to: number;
  keys: number;
}

/** Blocks of queries whose scores fit, with the keys that they may see. */
function blocksOf(q: Tensor, k: Tensor, causal: boolean): Block[] {
  const [queries, keys] = [q.shape[q.rank - 2], k.shape[k.rank - 2]];
  const perQuery = sizeOf(q.shape.slice(0, -2)) * keys;
  const size = Math.max(16, Math.floor(wholeScores / Math.max(1, perQuery)));
  return Array.from({ length: Math.ceil(queries / size) }, (_, i) => {
    const to = Math.min(queries, (i + 1) * size);
    return { from: i * size, to, keys: causal ? Math.min(keys, to) : keys };
  });
}

function forwardBlocks(q: Tensor, k: Tensor, v: Tensor, s: Settings): Tensor {
  return tidy(() =>
    concat(
      blocksOf(q, k, s.causal).map(({ from, to, keys }, i) =>
        tidy(() => {
          const weights = weightsOf(rowsOf(q, from, to), rowsOf(k, 0, keys), s, from, to);
          return matmul(dropped(weights, s, i), rowsOf(v, 0, keys));
        }),
      ),
      -2,
    ),
  );
}

/** The sum of `total` and `part` in its first rows; takes the place of `total`. */
function addRowsTo(total: Tensor | null, part: Tensor, rows: number): Tensor {
  const sum = tidy(() => {
    const missing = rows - part.shape[part.rank - 2];
    const wide = missing > 0 ? part.pad([0, 0, 0, missing]) : part;
    return total === null ? wide : add(total, wide);
  });
  total?.dispose();
  if (sum !== part) part.dispose();
  return sum;
}

/** The gradients, with the weights of each block computed anew (as in Dao et al., 2022). */
function backwardBlocks(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, s: Settings): [Tensor, Tensor, Tensor] {
  return tidy(() => {
    const dq: Tensor[] = [];
    let dk: Tensor | null = null;
    let dv: Tensor | null = null;
    const rows = k.shape[k.rank - 2];
    blocksOf(q, k, s.causal).forEach((block, i) => {
      const part = tidy(() => backwardBlock(rowsOf(grad, block.from, block.to), q, k, v, s, block, i));
      dq.push(part.dq);
      dk = addRowsTo(dk, part.dk, rows);
      dv = addRowsTo(dv, part.dv, rows);
    });
    return [concat(dq, -2), dk as unknown as Tensor, dv as unknown as Tensor];
  });
}

function backwardBlock(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, s: Settings, block: Block, number: number) {
  const { from, to, keys } = block;
  const [qi, ki, vi] = [rowsOf(q, from, to), rowsOf(k, 0, keys), rowsOf(v, 0, keys)];
  const weights = weightsOf(qi, ki, s, from, to);
  const used = dropped(weights, s, number);
  const back = dropped(matmul(grad, transpose(vi)), s, number);
  const scores = mul(softmaxBackward(back, weights), s.scale);
  return { dq: matmul(scores, ki), dk: matmul(transpose(scores), qi), dv: matmul(transpose(used), grad) };
}

function checkMask(mask: AnyTensor | null | undefined, scores: Shape): AnyTensor | null {
  if (mask === null || mask === undefined) return null;
  if (!isTensor(mask)) throw new TypeError('scaledDotProductAttention: the mask must be a tensor');
  mask._check('scaledDotProductAttention');
  if (mask.dtype !== 'bool' && mask.dtype !== 'float32' && mask.dtype !== 'float64') {
    throw new DTypeError(`scaledDotProductAttention: the mask must be bool or float, got ${mask.dtype}`);
  }
  const common = broadcastShapes('scaledDotProductAttention', scores, mask.shape);
  if (formatShape(common) !== formatShape(scores)) {
    throw new ShapeError(
      `scaledDotProductAttention: mask ${formatShape(mask.shape)} does not broadcast to the scores ${formatShape(scores)}`,
    );
  }
  return mask;
}

function checkShapes(q: Tensor, k: Tensor, v: Tensor): Shape {
  const all = `query ${formatShape(q.shape)}, key ${formatShape(k.shape)}, value ${formatShape(v.shape)}`;
  if (q.rank < 2 || k.rank < 2 || v.rank < 2) {
    throw new ShapeError(`scaledDotProductAttention: expected [..., length, features], got ${all}`);
  }
  if (q.shape[q.rank - 1] !== k.shape[k.rank - 1] || k.shape[k.rank - 2] !== v.shape[v.rank - 2]) {
    throw new ShapeError(
      `scaledDotProductAttention: query and key must have the same features, key and value the same length, got ${all}`,
    );
  }
  const lead = broadcastShapes('scaledDotProductAttention', q.shape.slice(0, -2), k.shape.slice(0, -2));
  return broadcastShapes('scaledDotProductAttention', lead, v.shape.slice(0, -2));
}

/**
 * softmax(q·kᵀ / √d + mask)·v (Vaswani et al., 2017). Long sequences are worked on in blocks of queries, whose weights
 * are computed again in the backward pass: memory grows linearly with the length. Without a mask and without dropout
 * one native kernel does it in float32. A query that may see nothing gives 0.
 * @param query float [..., queries, d]
 * @param key [..., keys, d]
 * @param value [..., keys, features]
 * @returns [..., queries, features]
 * @throws ShapeError, DTypeError.
 */
export function scaledDotProductAttention(
  query: AnyTensor,
  key: AnyTensor,
  value: AnyTensor,
  options: AttentionOptions = {},
): Tensor {
  const op = 'scaledDotProductAttention';
  const inputs = [requireFloat(op, 'query', query), requireFloat(op, 'key', key), requireFloat(op, 'value', value)];
  requireSame(op, inputs[0], inputs[1]);
  requireSame(op, inputs[0], inputs[2]);
  const lead = checkShapes(inputs[0], inputs[1], inputs[2]);
  const [q, k, v] = inputs.map((x) => expand(x, [...lead, ...x.shape.slice(-2)]));
  const { causal = false, dropout: p = 0, scale = 1 / Math.sqrt(q.shape[q.rank - 1]) } = options;
  checkNumber(op, 'dropout', p, 0, 1);
  checkNumber(op, 'scale', scale);
  const scores = [...lead, q.shape[q.rank - 2], k.shape[k.rank - 2]];
  const mask = checkMask(options.mask, scores);
  const settings: Settings = { mask, causal, p, scale };
  if (fitsKernel(q, mask, p)) return fused(q, k, v, settings);
  // A mask that learns is an input like the others: all at once, by ordinary operations.
  // In a compiled step no seed can be drawn for blocks.
  const isWhole = sizeOf(scores) <= wholeScores || mask?.requiresGrad === true || (p > 0 && !valuesAreThere());
  if (isWhole) return whole(q, k, v, settings);
  return blockwise(q, k, v, p === 0 ? settings : { ...settings, seed: defaultGenerator().fork() });
}

function blockwise(q: Tensor, k: Tensor, v: Tensor, s: Settings): Tensor {
  const out = withGrad(false, () => forwardBlocks(q, k, v, s));
  if (isRecording(q, k, v)) {
    record(
      'scaledDotProductAttention',
      out,
      [q, k, v],
      [q, k, v, ...(s.mask === null ? [] : [s.mask])],
      (grad, { saved }) => {
        const [a, b, c] = saved as Tensor[];
        const settings = { ...s, mask: s.mask === null ? null : saved[3] };
        if (!isGradEnabled()) return backwardBlocks(grad, a, b, c, settings);
        const variables = [a, b, c].map((x) => variable('attention', x));
        const again = whole(variables[0], variables[1], variables[2], settings);
        return gradients(again, variables, { gradient: grad, createGraph: true, partial: true });
      },
    );
  }
  return out;
}

/** What one native kernel does without the scores in memory: float32, no mask, nothing dropped. */
function fitsKernel(q: Tensor, mask: AnyTensor | null, p: number): boolean {
  return (q.dtype as DType) === 'float32' && mask === null && p === 0;
}

/** As [outer, heads, rows, columns]; a view where the axes allow. */
function asHeads(x: Tensor): Tensor {
  if (x.rank === 4) return x;
  return reshape(x, [1, sizeOf(x.shape.slice(0, -2)), ...x.shape.slice(-2)]);
}

function fused(q: Tensor, k: Tensor, v: Tensor, s: Settings): Tensor {
  const inputs = [q, k, v].map(asHeads);
  const [outer, heads, queries] = inputs[0].shape;
  const ints = [Number(s.causal)];
  const [y, logs] = runMany(
    'attention',
    inputs,
    [
      [[outer, heads, queries, v.shape[v.rank - 1]], 'float32'],
      [[outer, heads, queries, 1], 'float32'],
    ],
    ints,
    [s.scale],
  ) as Tensor[];
  if (isRecording(q, k, v)) {
    record('scaledDotProductAttention', y, inputs, [...inputs, y, logs], (grad, { saved }) => {
      const all = saved as Tensor[];
      const own = all.slice(0, 3);
      if (!isGradEnabled()) {
        const likes = own.map((x) => [x.shape, 'float32'] as const);
        return runMany('attentionBackward', [grad, ...all], likes, ints, [s.scale]) as Tensor[];
      }
      const variables = own.map((x) => variable('attention', x));
      const again = whole(variables[0], variables[1], variables[2], s);
      return gradients(again, variables, { gradient: grad, createGraph: true, partial: true });
    });
  } else {
    logs.dispose();
  }
  return q.rank === 4 ? y : reshape(y, [...q.shape.slice(0, -1), v.shape[v.rank - 1]]);
}

/** @internal For layers that expose the weights. */
export function attentionWeights(q: Tensor, k: Tensor, mask: AnyTensor | null): Tensor {
  return weightsOf(
    q,
    k,
    { mask, causal: false, p: 0, scale: 1 / Math.sqrt(q.shape[q.rank - 1]) },
    0,
    q.shape[q.rank - 2],
  );
}

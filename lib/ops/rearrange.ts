/** Joining, cutting, padding and repeating: made of views, copies and rows by index. */
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { arange, full, ones, tensor } from '../tensor/creation';
import { checkAxis, checkInteger, describe, formatShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add } from './binary';
import { greaterEqual, lessEqual, where } from './compare';
import { cast, clone, concat } from './copies';
import { checkTensor } from './define';
import { indexSelect } from './gather';
import { sum, type SumOf } from './reduce';
import { opTable } from './table';
import { expand, reshape, slice, sliceBackward, unsqueeze, type SliceSpec } from './views';

function along<D extends DType>(x: Tensor<D>, axis: number, range: SliceSpec): Tensor<D> {
  return slice(x, ...x.shape.map((_, i) => (i === axis ? range : null)));
}

/**
 * Tensors of one shape and dtype joined along a new axis (default 0).
 * @throws ShapeError naming the tensor that differs.
 */
export function stack<D extends DType>(tensors: readonly Tensor<D>[], axis = 0): Tensor<D> {
  if (!Array.isArray(tensors) || tensors.length === 0) throw new ShapeError('stack: needs at least one tensor');
  const list = tensors as readonly Tensor<D>[];
  list.forEach((x, i) => {
    checkTensor('stack', x);
    if (formatShape(x.shape) !== formatShape(list[0].shape)) {
      throw new ShapeError(
        `stack: tensor ${String(i)} has shape ${formatShape(x.shape)}, the first ${formatShape(list[0].shape)}`,
      );
    }
  });
  const at = checkAxis('stack', axis, list[0].rank + 1);
  return concat(
    list.map((x) => unsqueeze(x, at)),
    at,
  );
}

/**
 * Parts of a tensor along an axis (default 0), as views.
 * @param sizes the extent of each part, or of every part (the last may be smaller)
 * @throws ShapeError if the sizes do not add up.
 */
export function split<D extends DType>(x: Tensor<D>, sizes: number | readonly number[], axis = 0): Tensor<D>[] {
  checkTensor('split', x);
  const at = checkAxis('split', axis, x.rank);
  const extent = x.shape[at];
  let parts: readonly number[];
  if (typeof sizes === 'number') {
    checkInteger('split', 'sizes', sizes, 1, 2 ** 31 - 1);
    const count = Math.max(1, Math.ceil(extent / sizes));
    parts = Array.from({ length: count }, (_, i) => Math.min(sizes, extent - i * sizes));
  } else {
    if (!Array.isArray(sizes)) throw new TypeError(`split: sizes must be a number or an array, got ${describe(sizes)}`);
    parts = (sizes as readonly number[]).map((size, i) =>
      checkInteger('split', `sizes[${String(i)}]`, size, 0, extent),
    );
    const total = parts.reduce((a, b) => a + b, 0);
    if (total !== extent) {
      throw new ShapeError(
        `split: sizes [${parts.join(',')}] add up to ${String(total)}, axis ${String(at)} has ${String(extent)}`,
      );
    }
  }
  let start = 0;
  return parts.map((size) => {
    const part = along(x, at, [start, start + size]);
    start += size;
    return part;
  });
}

/** At most `count` parts of equal size along an axis (default 0); the last may be smaller. */
export function chunk<D extends DType>(x: Tensor<D>, count: number, axis = 0): Tensor<D>[] {
  checkTensor('chunk', x);
  checkInteger('chunk', 'count', count, 1, 2 ** 31 - 1);
  const at = checkAxis('chunk', axis, x.rank);
  return split(x, Math.max(1, Math.ceil(x.shape[at] / count)), at);
}

/** How {@link pad} fills: with a value, the mirrored inside, the edge, or the other end. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular';

/** Options of {@link pad}. */
export interface PadOptions {
  /** Default 'constant'. */
  mode?: PadMode;
  /** What 'constant' fills with. Default 0. */
  value?: number;
}

/**
 * A larger tensor around `x`.
 * @param padding how many positions to add before and after the last axis, then the one before it, and so on, as
 * PyTorch's: [left, right, top, bottom]. With 'constant' a negative number cuts.
 * @throws ShapeError if there are more pairs than axes or the inside is too small for the mode.
 */
export function pad<D extends DType>(x: Tensor<D>, padding: readonly number[], options: PadOptions = {}): Tensor<D> {
  checkTensor('pad', x);
  const { mode = 'constant', value = 0 } = options;
  if (!Array.isArray(padding) || padding.length % 2 !== 0 || padding.length > 2 * x.rank) {
    throw new ShapeError(
      `pad: padding must be pairs of before and after for at most ${String(x.rank)} axes, got ${describe(padding)}`,
    );
  }
  const amounts = (padding as readonly number[]).map((n, i) =>
    checkInteger('pad', `padding[${String(i)}]`, n, mode === 'constant' ? -(2 ** 31) : 0, 2 ** 31 - 1),
  );
  const pairs = Array.from({ length: amounts.length / 2 }, (_, i) => ({
    axis: x.rank - 1 - i,
    before: amounts[2 * i],
    after: amounts[2 * i + 1],
  }));
  switch (mode) {
    case 'constant':
      return padConstant(x, pairs, value);
    case 'reflect':
    case 'replicate':
    case 'circular':
      return pairs.reduce((part, pair) => padByIndex(part, pair, mode), x);
    default:
      throw new TypeError(`pad: unknown mode ${describe(mode)}; known are constant, reflect, replicate, circular`);
  }
}

interface Pair {
  axis: number;
  before: number;
  after: number;
}

function padConstant<D extends DType>(x: Tensor<D>, pairs: readonly Pair[], value: number): Tensor<D> {
  let inside = x;
  const shape = [...x.shape];
  const starts = shape.map(() => 0);
  for (const { axis, before, after } of pairs) {
    const kept = shape[axis] + Math.min(before, 0) + Math.min(after, 0);
    if (kept < 0) {
      throw new ShapeError(`pad: axis ${String(axis)} of ${formatShape(x.shape)} is too short to be cut so far`);
    }
    if (before < 0 || after < 0) inside = along(inside, axis, [Math.max(0, -before), Math.max(0, -before) + kept]);
    starts[axis] = Math.max(0, before);
    shape[axis] = kept + Math.max(0, before) + Math.max(0, after);
  }
  const axes = inside.shape.map((length, axis) => ({ start: starts[axis], step: 1, length }));
  const place = (part: AnyTensor): AnyTensor => {
    // Where there is no form of its own the elements go by way of float32 or int32, which hold them.
    const { dtypes } = opTable.sliceBackward;
    const working = dtypes.includes(part.dtype)
      ? part.dtype
      : part.dtype === 'bool' || part.dtype === 'uint8'
        ? 'int32'
        : 'float32';
    return cast(sliceBackward(cast(part, working) as Tensor, shape, axes), part.dtype);
  };
  const placed = place(inside) as Tensor<D>;
  if (value === 0) return placed;
  const mask = place(ones(inside.shape, { dtype: 'bool', like: inside })) as Tensor<'bool'>;
  return where(mask, placed, full([], value, { like: x })) as unknown as Tensor<D>;
}

function padByIndex<D extends DType>(x: Tensor<D>, { axis, before, after }: Pair, mode: PadMode): Tensor<D> {
  const extent = x.shape[axis];
  const most = mode === 'reflect' ? extent - 1 : mode === 'circular' ? extent : extent === 0 ? 0 : Infinity;
  if (before > most || after > most) {
    throw new ShapeError(
      `pad: ${mode} by ${String(before)} and ${String(after)} needs more than the ${String(extent)} positions of ` +
        `axis ${String(axis)} of ${formatShape(x.shape)}`,
    );
  }
  if (before === 0 && after === 0) return x;
  const last = extent - 1;
  const positions = Int32Array.from({ length: before + extent + after }, (_, i) => {
    const at = i - before;
    if (mode === 'replicate') return Math.min(Math.max(at, 0), last);
    if (mode === 'circular') return (at + extent) % extent;
    return at < 0 ? -at : at > last ? 2 * last - at : at;
  });
  return indexSelect(x, tensor(positions, { dtype: 'int32', like: x }), axis);
}

function axesOf(op: string, axes: number | readonly number[], rank: number): number[] {
  return (typeof axes === 'number' ? [axes] : axes).map((axis) => checkAxis(op, axis, rank));
}

/** The elements in reverse order along one or several axes; a view. */
export function flip<D extends DType>(x: Tensor<D>, axes: number | readonly number[]): Tensor<D> {
  checkTensor('flip', x);
  const flipped = axesOf('flip', axes, x.rank);
  return slice(x, ...x.shape.map((_, axis) => (flipped.includes(axis) ? ([null, null, -1] as const) : null)));
}

/** The elements moved by `shift` positions along an axis (default 0); what leaves comes in at the other end. */
export function roll<D extends DType>(x: Tensor<D>, shift: number, axis = 0): Tensor<D> {
  checkTensor('roll', x);
  checkInteger('roll', 'shift', shift, -(2 ** 52), 2 ** 52);
  const at = checkAxis('roll', axis, x.rank);
  const extent = x.shape[at];
  const by = extent === 0 ? 0 : ((shift % extent) + extent) % extent;
  return by === 0 ? clone(x) : concat([along(x, at, [extent - by]), along(x, at, [0, extent - by])], at);
}

/**
 * The whole tensor repeated along each axis.
 * @param times one number per axis; more than the rank puts new axes in front, fewer count for the last ones
 */
export function tile<D extends DType>(x: Tensor<D>, times: readonly number[]): Tensor<D> {
  checkTensor('tile', x);
  if (!Array.isArray(times)) throw new TypeError(`tile: times must be an array, got ${describe(times)}`);
  const counts = (times as readonly number[]).map((n, i) =>
    checkInteger('tile', `times[${String(i)}]`, n, 0, 2 ** 31 - 1),
  );
  const rank = Math.max(counts.length, x.rank);
  const repeats = [...new Array<number>(rank - counts.length).fill(1), ...counts];
  const shape = [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
  // One axis of repeats before each axis that is repeated.
  let out = reshape(x, shape);
  for (let axis = 0; axis < rank; axis++) {
    if (repeats[axis] === 1) continue;
    const { shape: now } = out;
    const wide = [...now.slice(0, axis), repeats[axis], ...now.slice(axis)];
    const merged = now.map((extent, i) => (i === axis ? extent * repeats[axis] : extent));
    const narrow = [...now.slice(0, axis), 1, ...now.slice(axis)];
    out = reshape(expand(reshape(out, narrow), wide), merged);
  }
  return out;
}

/** Each element `count` times in a row along an axis (default 0): PyTorch's repeat_interleave. */
export function repeatInterleave<D extends DType>(x: Tensor<D>, count: number, axis = 0): Tensor<D> {
  checkTensor('repeatInterleave', x);
  checkInteger('repeatInterleave', 'count', count, 0, 2 ** 31 - 1);
  const at = checkAxis('repeatInterleave', axis, x.rank);
  const { shape } = x;
  const wide = [...shape.slice(0, at + 1), count, ...shape.slice(at + 1)];
  return reshape(
    expand(unsqueeze(x, at + 1), wide),
    shape.map((extent, i) => (i === at ? extent * count : extent)),
  );
}

/** Keeps one triangle of the last two axes. */
function triangle<D extends DType>(op: string, x: Tensor<D>, offset: number, lower: boolean): Tensor<D> {
  checkTensor(op, x);
  checkInteger(op, 'diagonal', offset, -(2 ** 31), 2 ** 31 - 1);
  if (x.rank < 2) throw new ShapeError(`${op}: needs a matrix, got shape ${formatShape(x.shape)}`);
  const [rows, columns] = x.shape.slice(-2);
  const column = arange(columns, { dtype: 'int32', like: x });
  const diagonal = add(unsqueeze(arange(rows, { dtype: 'int32', like: x }), 1), offset);
  const mask = lower ? lessEqual(column, diagonal) : greaterEqual(column, diagonal);
  return where(mask, x, full([], 0, { like: x })) as unknown as Tensor<D>;
}

/** The last two axes with zeros above the given diagonal (default 0, the main one). */
export function tril<D extends DType>(x: Tensor<D>, diagonal = 0): Tensor<D> {
  return triangle('tril', x, diagonal, true);
}

/** The last two axes with zeros below the given diagonal (default 0, the main one). */
export function triu<D extends DType>(x: Tensor<D>, diagonal = 0): Tensor<D> {
  return triangle('triu', x, diagonal, false);
}

/**
 * The diagonal of the last two axes; `offset` above 0 names those above the main one.
 * @returns [..., length]
 */
export function diagonal<D extends DType>(x: Tensor<D>, offset = 0): Tensor<D> {
  checkTensor('diagonal', x);
  if (x.rank < 2) throw new ShapeError(`diagonal: needs a matrix, got shape ${formatShape(x.shape)}`);
  checkInteger('diagonal', 'offset', offset, -(2 ** 31), 2 ** 31 - 1);
  const lead = x.shape.slice(0, -2);
  const [rows, columns] = x.shape.slice(-2);
  const length = Math.max(0, Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0)));
  const start = offset >= 0 ? offset : -offset * columns;
  const flat = reshape(x, [...lead, rows * columns]);
  const end = length === 0 ? start : start + (length - 1) * (columns + 1) + 1;
  return along(flat, lead.length, [start, end, columns + 1]);
}

/** A vector as the diagonal of a square matrix of zeros, or the diagonal of a matrix. */
export function diag<D extends DType>(x: Tensor<D>, offset = 0): Tensor<D> {
  checkTensor('diag', x);
  if (x.rank === 2) return diagonal(x, offset);
  if (x.rank !== 1) throw new ShapeError(`diag: needs a vector or a matrix, got shape ${formatShape(x.shape)}`);
  checkInteger('diag', 'offset', offset, -(2 ** 15), 2 ** 15);
  const n = x.size + Math.abs(offset);
  const start = offset >= 0 ? offset : -offset * n;
  const { dtypes } = opTable.sliceBackward;
  const working = dtypes.includes(x.dtype) ? x.dtype : 'int32';
  const placed = sliceBackward(cast(x, working) as Tensor, [n * n], [{ start, step: n + 1, length: x.size }]);
  return cast(reshape(placed, [n, n]), x.dtype);
}

/** The sum of the main diagonal of the last two axes. */
export function trace<D extends DType>(x: Tensor<D>): Tensor<SumOf<D>> {
  checkTensor('trace', x);
  if (x.rank < 2) throw new ShapeError(`trace: needs a matrix, got shape ${formatShape(x.shape)}`);
  return sum(diagonal(x), -1);
}

/** The axis `from` moved to place `to`, the others in their order. */
export function moveAxis<D extends DType>(x: Tensor<D>, from: number, to: number): Tensor<D> {
  checkTensor('moveAxis', x);
  const source = checkAxis('moveAxis', from, x.rank);
  const target = checkAxis('moveAxis', to, x.rank);
  const order = x.shape.map((_, axis) => axis).filter((axis) => axis !== source);
  order.splice(target, 0, source);
  return x.permute(order);
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link split} */
    split(sizes: number | readonly number[], axis?: number): Tensor<D>[];
    /** {@link chunk} */
    chunk(count: number, axis?: number): Tensor<D>[];
    /** {@link pad} */
    pad(padding: readonly number[], options?: PadOptions): Tensor<D>;
    /** {@link flip} */
    flip(axes: number | readonly number[]): Tensor<D>;
    /** {@link roll} */
    roll(shift: number, axis?: number): Tensor<D>;
    /** {@link tile} */
    tile(times: readonly number[]): Tensor<D>;
    /** {@link repeatInterleave} */
    repeatInterleave(count: number, axis?: number): Tensor<D>;
    /** {@link tril} */
    tril(diagonal?: number): Tensor<D>;
    /** {@link triu} */
    triu(diagonal?: number): Tensor<D>;
    /** {@link diagonal} */
    diagonal(offset?: number): Tensor<D>;
    /** {@link diag} */
    diag(offset?: number): Tensor<D>;
    /** {@link trace} */
    trace(): Tensor<SumOf<D>>;
    /** {@link moveAxis} */
    moveAxis(from: number, to: number): Tensor<D>;
  }
}
defineMethods({ split, chunk, pad, flip, roll, tile, repeatInterleave, tril, triu, diagonal, diag, trace, moveAxis });

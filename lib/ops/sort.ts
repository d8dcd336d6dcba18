/** Order: sorting, the largest few, what occurs at all, the place of values in a sorted sequence. */
import { isRecording, record } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { isHalf, type DType } from '../tensor/dtype';
import { ones, zeros } from '../tensor/creation';
import { checkAxis, checkInteger, formatShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { notEqual } from './compare';
import { cast, concat } from './copies';
import { checkTensor } from './define';
import { maskedSelect, scatterAdd } from './gather';
import { cumsum } from './scan';
import { run, runMany } from './run';
import { opTable } from './table';
import { reshape, slice, transpose } from './views';

/** Elements in order and where they come from. */
export interface Sorted<D extends DType> {
  readonly values: Tensor<D>;
  /** int32 positions along the axis. */
  readonly indices: Tensor<'int32'>;
}

/** The first `kept` elements in order along the last axis. */
function sortLast<D extends DType>(x: Tensor<D>, kept: number, descending: boolean): Sorted<D> {
  const shape = x.rank === 0 ? [] : [...x.shape.slice(0, -1), kept];
  const outputs = [[shape, x.dtype] as const, [shape, 'int32'] as const];
  const [values, indices] = runMany('sort', [x], outputs, [Number(descending)]);
  if (isRecording(x)) {
    const { shape: before } = x;
    record('sort', values, [x], [indices], (grad, { saved }) => {
      if (before.length === 0) return [grad];
      return [scatterAdd(zeros(before, { like: grad }), -1, saved[0] as Tensor<'int32'>, grad)];
    });
  }
  return { values: values as Tensor<D>, indices: indices as Tensor<'int32'> };
}

function sortAlong<D extends DType>(
  op: string,
  x: Tensor<D>,
  axis: number,
  kept: number | null,
  descending: boolean,
): Sorted<D> {
  checkTensor(op, x);
  if (isHalf(x.dtype)) {
    const { values, indices } = sortAlong(op, cast(x, 'float32'), axis, kept, descending);
    return { values: cast(values, x.dtype), indices };
  }
  if (x.rank === 0) return sortLast(x, 1, descending);
  const at = checkAxis(op, axis, x.rank);
  const extent = x.shape[at];
  if (kept !== null) checkInteger(op, 'k', kept, 0, extent);
  if (at === x.rank - 1) return sortLast(x, kept ?? extent, descending);
  const { values, indices } = sortLast(transpose(x, at, -1), kept ?? extent, descending);
  return { values: transpose(values, at, -1), indices: transpose(indices, at, -1) };
}

/** Options of {@link sort} and {@link argsort}. */
export interface SortOptions {
  /** Default -1, the last. */
  axis?: number;
  /** The largest first. Default false. */
  descending?: boolean;
}

/**
 * The elements in ascending order along an axis, and where they stood. Equal elements keep their order; NaN
 * counts as the largest.
 * @throws RangeError for an axis out of range.
 */
export function sort<D extends DType>(x: Tensor<D>, options: SortOptions = {}): Sorted<D> {
  return sortAlong('sort', x, options.axis ?? -1, null, options.descending ?? false);
}

/** The positions that would {@link sort} the elements along an axis. */
export function argsort(x: AnyTensor, options: SortOptions = {}): Tensor<'int32'> {
  const { values, indices } = sortAlong('argsort', x, options.axis ?? -1, null, options.descending ?? false);
  values.dispose();
  return indices;
}

/** Options of {@link topK}. */
export interface TopKOptions {
  /** Default -1, the last. */
  axis?: number;
  /** The k largest (default), or with false the k smallest. */
  largest?: boolean;
}

/**
 * The k largest elements along an axis, the largest first, and where they stand.
 * @param k at most the axis's extent
 * @throws RangeError for a k or an axis out of range.
 */
export function topK<D extends DType>(x: Tensor<D>, k: number, options: TopKOptions = {}): Sorted<D> {
  return sortAlong('topK', x, options.axis ?? -1, k, options.largest ?? true);
}

/** What {@link unique} finds. */
export interface Unique<D extends DType> {
  /** The distinct elements in ascending order. */
  readonly values: Tensor<D>;
  /** For each element of the input its position in `values`, int32 of the input's shape. */
  readonly inverse: Tensor<'int32'>;
  /** How often each value occurs, int32. */
  readonly counts: Tensor<'int32'>;
}

/** The distinct elements of a tensor, in ascending order. Each NaN is distinct. */
export function unique<D extends DType>(x: Tensor<D>): Unique<D> {
  checkTensor('unique', x);
  const { values, indices } = sort(reshape(x.detach(), [x.size]));
  if (x.size === 0) {
    return { values, inverse: reshape(indices, x.shape), counts: indices.clone() };
  }
  const isNew = concat([ones([1], { dtype: 'bool', like: x }), notEqual(slice(values, [1]), slice(values, [0, -1]))]);
  const groups = cumsum(isNew, 0).sub(1);
  const distinct = maskedSelect(values, isNew);
  const blank = zeros([x.size], { dtype: 'int32', like: x });
  const inverse = scatterAdd(blank, 0, indices, groups);
  const once = ones([x.size], { dtype: 'int32', like: x });
  const counts = scatterAdd(zeros([distinct.size], { dtype: 'int32', like: x }), 0, groups, once);
  return { values: distinct, inverse: reshape(inverse, x.shape), counts };
}

/** Options of {@link searchSorted}. */
export interface SearchSortedOptions {
  /** Behind equal elements instead of before them. Default false. */
  right?: boolean;
}

/**
 * Where each value would have to be inserted to keep `sorted` in ascending order.
 * @param sorted a vector, or rows [..., n] whose leading axes are those of `values`
 * @param values of the same dtype, any shape
 * @returns int32 of values' shape, in [0, n]
 * @throws ShapeError, DTypeError.
 */
export function searchSorted<D extends DType>(
  sorted: Tensor<D>,
  values: Tensor<D>,
  options: SearchSortedOptions = {},
): Tensor<'int32'> {
  checkTensor('searchSorted', sorted, 'sorted');
  checkTensor('searchSorted', values, 'values');
  if (sorted.dtype !== values.dtype || !opTable.searchSorted.dtypes.includes(sorted.dtype)) {
    throw new DTypeError(`searchSorted: sorted is ${sorted.dtype}, values are ${values.dtype}`);
  }
  const isRow = sorted.rank === 1;
  const fits =
    sorted.rank === values.rank && sorted.shape.slice(0, -1).every((extent, i) => extent === values.shape[i]);
  if (sorted.rank === 0 || (!isRow && !fits)) {
    throw new ShapeError(
      `searchSorted: sorted ${formatShape(sorted.shape)} must be a vector or have the leading axes of ` +
        `values ${formatShape(values.shape)}`,
    );
  }
  return run('searchSorted', [sorted, values], values.shape, 'int32', [Number(options.right ?? false)]);
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link sort} */
    sort(options?: SortOptions): Sorted<D>;
    /** {@link argsort} */
    argsort(options?: SortOptions): Tensor<'int32'>;
    /** {@link topK} */
    topK(k: number, options?: TopKOptions): Sorted<D>;
    /** {@link unique} */
    unique(): Unique<D>;
  }
}
defineMethods({ sort, argsort, topK, unique });

/** Elements by position along an axis, and their way back. */
import { isRecording, record } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { full, tensor, zeros } from '../tensor/creation';
import { checkAxis, checkInteger, formatShape, sameShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { where } from './compare';
import { cast, indexRows } from './copies';
import { checkTensor } from './define';
import { sum } from './reduce';
import { run } from './run';
import { expand, reshape, transpose } from './views';

/** Positions: int32, or int64, which is converted. */
export type Index = Tensor<'int32'> | Tensor<'int64'>;

/** @internal The positions as int32. */
export function checkIndex(op: string, index: AnyTensor): Tensor<'int32'> {
  checkTensor(op, index, 'index');
  if (index.dtype !== 'int32' && index.dtype !== 'int64') {
    throw new DTypeError(`${op}: index must be int32 or int64, got ${index.dtype}`);
  }
  return cast(index, 'int32');
}

function checkFits(op: string, x: AnyTensor, index: AnyTensor, axis: number): void {
  const fits = index.rank === x.rank && index.shape.every((extent, i) => i === axis || extent <= x.shape[i]);
  if (!fits) {
    throw new ShapeError(
      `${op}: index ${formatShape(index.shape)} does not fit x ${formatShape(x.shape)}: it must have the same rank ` +
        `and may not be longer than x along any axis but ${String(axis)}`,
    );
  }
}

/**
 * out[i][j] = x[i][index[i][j]] for `axis` 1, and so on for the others.
 * @param index int32 or int64 of x's rank, with values in [0, x.shape[axis]); along other axes not longer than x
 * @returns a tensor of index's shape
 * @throws ShapeError; RangeError for a position out of range.
 */
export function gather<D extends DType>(x: Tensor<D>, axis: number, index: Index): Tensor<D> {
  checkTensor('gather', x);
  const positions = checkIndex('gather', index);
  const at = checkAxis('gather', axis, x.rank);
  checkFits('gather', x, positions, at);
  const out = run('gather', [x, positions], positions.shape, x.dtype, [at]);
  if (isRecording(x)) {
    const { shape } = x;
    record('gather', out, [x], [positions], (grad, { saved }) => [
      scatterAdd(zeros(shape, { like: grad }), at, saved[0] as Tensor<'int32'>, grad),
    ]);
  }
  return out;
}

function runScatter(
  op: 'scatter' | 'scatterAdd',
  x: AnyTensor,
  axis: number,
  index: Index,
  source: AnyTensor,
): [out: AnyTensor, positions: Tensor<'int32'>, axis: number] {
  checkTensor(op, x);
  checkTensor(op, source, 'source');
  const positions = checkIndex(op, index);
  const at = checkAxis(op, axis, x.rank);
  checkFits(op, x, positions, at);
  if (!sameShape(positions.shape, source.shape)) {
    throw new ShapeError(
      `${op}: source ${formatShape(source.shape)} must have the shape of index ${formatShape(positions.shape)}`,
    );
  }
  if (source.dtype !== x.dtype) throw new DTypeError(`${op}: x is ${x.dtype}, source is ${source.dtype}`);
  return [run('scatter', [x, positions, source], x.shape, x.dtype, [at, Number(op === 'scatterAdd')]), positions, at];
}

/**
 * A copy of `x` in which out[i][index[i][j]] = source[i][j] for `axis` 1, and so on. Where positions repeat, the last
 * one stays.
 * @param source of index's shape and x's dtype, or a number
 * @throws ShapeError, DTypeError; RangeError for a position out of range.
 */
export function scatter<D extends DType>(
  x: Tensor<D>,
  axis: number,
  index: Index,
  source: Tensor<D> | number,
): Tensor<D> {
  checkTensor('scatter', x);
  checkTensor('scatter', index, 'index');
  const values = typeof source === 'number' ? (full(index.shape, source, { like: x }) as AnyTensor) : source;
  const [out, positions, at] = runScatter('scatter', x, axis, index, values);
  if (isRecording(x, values)) {
    record('scatter', out, [x, values], [positions], (grad, { saved, needs }) => {
      const places = saved[0] as Tensor<'int32'>;
      return [needs[0] ? scatter(grad, at, places, 0) : null, needs[1] ? gather(grad, at, places) : null];
    });
  }
  return out as Tensor<D>;
}

/**
 * A copy of `x` to which out[i][index[i][j]] += source[i][j] was done for `axis` 1, and so on, in index's order.
 * @throws ShapeError, DTypeError; RangeError for a position out of range.
 */
export function scatterAdd<D extends DType>(x: Tensor<D>, axis: number, index: Index, source: Tensor<D>): Tensor<D> {
  const [out, positions, at] = runScatter('scatterAdd', x, axis, index, source);
  if (isRecording(x, source)) {
    record('scatterAdd', out, [x, source], [positions], (grad, { saved, needs }) => [
      grad,
      needs[1] ? gather(grad, at, saved[0] as Tensor<'int32'>) : null,
    ]);
  }
  return out as Tensor<D>;
}

/**
 * The positions of `x` along `axis` (default 0) that `index` names, in its order; they may repeat.
 * @param index int32 or int64 vector with values in [0, x.shape[axis])
 * @throws RangeError if an index is out of range; ShapeError if index is no vector or x a scalar.
 */
export function indexSelect<D extends DType>(x: Tensor<D>, index: Index, axis = 0): Tensor<D> {
  checkTensor('indexSelect', x);
  const positions = checkIndex('indexSelect', index);
  if (positions.rank !== 1) {
    throw new ShapeError(`indexSelect: the index must be a vector, its shape is ${formatShape(positions.shape)}`);
  }
  if (x.rank === 0) throw new ShapeError('indexSelect: a scalar has no rows');
  const at = checkAxis('indexSelect', axis, x.rank);
  if (at === 0) return indexRows(x, positions);
  return transpose(indexRows(transpose(x, 0, at), positions), 0, at);
}

/**
 * A copy of `x` with the rows of `source` added to those that `index` names, along `axis` (default 0).
 * @throws RangeError if an index is out of range; ShapeError, DTypeError.
 */
export function indexAdd<D extends DType>(x: Tensor<D>, index: Index, source: Tensor<D>, axis = 0): Tensor<D> {
  checkTensor('indexAdd', x);
  checkTensor('indexAdd', source, 'source');
  const positions = checkIndex('indexAdd', index);
  const at = checkAxis('indexAdd', axis, x.rank);
  const fits =
    source.rank === x.rank && source.shape.every((extent, i) => extent === (i === at ? positions.size : x.shape[i]));
  if (positions.rank !== 1 || !fits) {
    throw new ShapeError(
      `indexAdd: source ${formatShape(source.shape)} and index ${formatShape(positions.shape)} do not fit ` +
        `x ${formatShape(x.shape)} along axis ${String(at)}`,
    );
  }
  if (source.dtype !== x.dtype) throw new DTypeError(`indexAdd: x is ${x.dtype}, source is ${source.dtype}`);
  const wide = reshape(
    positions,
    source.shape.map((_, i) => (i === at ? positions.size : 1)),
  );
  return scatterAdd(x, axis, expand(wide, source.shape), source);
}

/** Options of {@link oneHot}. */
export interface OneHotOptions<D extends DType> {
  /** Default float32; PyTorch gives int64. */
  dtype?: D;
}

/**
 * Vectors of zeros with a 1 at each index.
 * @param index int32 or int64 of any shape, values in [0, classes)
 * @param classes the length of the new last axis
 * @throws RangeError for a value out of range.
 */
export function oneHot<D extends DType = 'float32'>(
  index: Index,
  classes: number,
  options: OneHotOptions<D> = {},
): Tensor<D> {
  const positions = checkIndex('oneHot', index);
  checkInteger('oneHot', 'classes', classes, 0, 2 ** 31 - 1);
  const dtype = options.dtype ?? 'float32';
  const blank = zeros([...positions.shape, classes], { dtype, like: positions }) as AnyTensor;
  return scatter(blank, -1, reshape(positions, [...positions.shape, 1]), 1) as Tensor<D>;
}

/** The number of true elements of a mask, or of elements that are not 0. */
function countTrue(mask: Tensor<'bool'>): number {
  return sum(mask).item();
}

/** @internal The positions of true elements in the flattened mask. */
export function flatNonzero(mask: Tensor<'bool'>): Tensor<'int32'> {
  return run('nonzero', [mask], [countTrue(mask)], 'int32');
}

/**
 * The positions of all elements that are not 0, in row-major order.
 * @returns int32 [count, rank]
 */
export function nonzero(x: AnyTensor): Tensor<'int32'> {
  checkTensor('nonzero', x);
  const flat = flatNonzero(cast(x, 'bool'));
  const result = new Int32Array(flat.size * x.rank);
  flat.dataSync().forEach((position, i) => {
    let rest = position;
    for (let axis = x.rank - 1; axis >= 0; axis--) {
      result[i * x.rank + axis] = rest % x.shape[axis];
      rest = Math.floor(rest / x.shape[axis]);
    }
  });
  return tensor(result, { shape: [flat.size, x.rank], dtype: 'int32', like: x });
}

/**
 * The elements where `mask` is true, as a vector.
 * @param mask bool of x's shape
 * @throws ShapeError, DTypeError.
 */
export function maskedSelect<D extends DType>(x: Tensor<D>, mask: Tensor<'bool'>): Tensor<D> {
  checkTensor('maskedSelect', x);
  checkTensor('maskedSelect', mask, 'mask');
  if ((mask.dtype as DType) !== 'bool') throw new DTypeError(`maskedSelect: the mask must be bool, got ${mask.dtype}`);
  if (!sameShape(x.shape, mask.shape)) {
    throw new ShapeError(`maskedSelect: x ${formatShape(x.shape)} and mask ${formatShape(mask.shape)} differ`);
  }
  return indexRows(reshape(x, [x.size]), flatNonzero(mask));
}

/** `value` where `mask` is true, else `x`; the mask broadcasts. */
export function maskedFill<D extends DType>(x: Tensor<D>, mask: Tensor<'bool'>, value: number): Tensor<D> {
  checkTensor('maskedFill', x);
  checkTensor('maskedFill', mask, 'mask');
  return where(mask, value, x) as unknown as Tensor<D>;
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link gather} */
    gather(axis: number, index: Index): Tensor<D>;
    /** {@link scatter} */
    scatter(axis: number, index: Index, source: Tensor<D> | number): Tensor<D>;
    /** {@link scatterAdd} */
    scatterAdd(axis: number, index: Index, source: Tensor<D>): Tensor<D>;
    /** {@link indexSelect} */
    indexSelect(index: Index, axis?: number): Tensor<D>;
    /** {@link indexAdd} */
    indexAdd(index: Index, source: Tensor<D>, axis?: number): Tensor<D>;
    /** {@link maskedSelect} */
    maskedSelect(mask: Tensor<'bool'>): Tensor<D>;
    /** {@link maskedFill} */
    maskedFill(mask: Tensor<'bool'>, value: number): Tensor<D>;
    /** {@link nonzero} */
    nonzero(): Tensor<'int32'>;
  }
}
defineMethods({ gather, scatter, scatterAdd, indexSelect, indexAdd, maskedSelect, maskedFill, nonzero });

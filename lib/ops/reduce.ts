/** Reductions over one, several or all axes. */
import { setNaNTest } from '../autograd/anomaly';
import { isRecording, noGrad, record } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { isFloat, isHalf, type DType, type FloatOf } from '../tensor/dtype';
import { axesMask, checkAxis, formatShape, reducedShape, sameShape, type Shape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { isTensor, type AnyTensor } from '../tensor/tensor';
import { cast } from './copies';
import { div, equal, mul } from './elementwise';
import { checkTensor, workingDType } from './define';
import { run } from './run';
import type { OpName } from './table';
import { exclusiveProduct } from './scan';
import { expand, permute, reshape } from './views';

/** Options of the reductions. */
export interface ReduceOptions {
  /** Leave the reduced axes in the shape, with extent 1. Default false. */
  keepDims?: boolean;
}

/** The dtype of a sum: bool and uint8 count as int32. */
export type SumOf<D extends DType> = DType extends D ? 'float32' : D extends 'bool' | 'uint8' ? 'int32' : D;

/** One axis, several, or all of them. */
export type Axes = number | readonly number[] | undefined;

/** `x` with the reduced axes put back with extent 1 and repeated to `shape`. */
function spread(x: Tensor, shape: Shape, mask: number): Tensor {
  return expand(reshape(x, reducedShape(shape, mask, true)), shape);
}

function checkNotEmpty(op: string, x: AnyTensor, mask: number): void {
  const emptyAxis = x.shape.findIndex((extent, axis) => extent === 0 && (mask >> axis) & 1);
  if (emptyAxis >= 0) {
    throw new ShapeError(
      `${op}: axis ${String(emptyAxis)} of shape ${formatShape(x.shape)} is empty and ${op} has no identity`,
    );
  }
}

/** bool and uint8 take part in arithmetic as int32, halves as float32. */
function arithmetic(op: OpName, x: AnyTensor): AnyTensor {
  checkTensor(op, x);
  return cast(x, workingDType(op, x.dtype));
}

/** The result in the input's own dtype where that is a half. */
function restore(out: AnyTensor, x: AnyTensor): AnyTensor {
  return isHalf(x.dtype) ? cast(out, x.dtype) : out;
}

/**
 * The sum over `axes` (default all); an empty sum is 0. bool and uint8 count as int32, integers wrap.
 * Floats are summed in blocks, so that the error grows with the logarithm of the count.
 */
export function sum<D extends DType>(x: Tensor<D>, axes?: Axes, options?: ReduceOptions): Tensor<SumOf<D>>;
export function sum(x: AnyTensor, axes?: Axes, options: ReduceOptions = {}): AnyTensor {
  const input = arithmetic('sum', x);
  const mask = axesMask('sum', axes, input.rank);
  const out = run('sum', [input], reducedShape(input.shape, mask, options.keepDims ?? false), input.dtype, [mask]);
  if (isRecording(input)) {
    const { shape } = input;
    record('sum', out, [input], [], (grad) => [spread(grad, shape, mask)]);
  }
  return restore(out, x);
}

/** The mean over `axes` (default all); integers become float32; NaN over nothing. */
export function mean<D extends DType>(x: Tensor<D>, axes?: Axes, options: ReduceOptions = {}): Tensor<FloatOf<D>> {
  const input = arithmetic('mean', x);
  const mask = axesMask('mean', axes, input.rank);
  const out = run('mean', [input], reducedShape(input.shape, mask, options.keepDims ?? false), input.dtype, [mask]);
  if (isRecording(input)) {
    const { shape } = input;
    const count = shape.reduce((product, extent, axis) => ((mask >> axis) & 1 ? product * extent : product), 1);
    record('mean', out, [input], [], (grad) => [spread(div(grad, count), shape, mask)]);
  }
  return restore(out, x) as Tensor<FloatOf<D>>;
}

function extremum(op: 'max' | 'min') {
  return <D extends DType>(x: Tensor<D>, axes?: Axes, options: ReduceOptions = {}): Tensor<D> => {
    const input = arithmetic(op, x) as Tensor<D>;
    const mask = axesMask(op, axes, input.rank);
    checkNotEmpty(op, input, mask);
    const out = run(op, [input], reducedShape(input.shape, mask, options.keepDims ?? false), input.dtype, [mask]);
    if (isRecording(input)) {
      record(op, out, [input], [input, out], (grad, { saved }) => {
        const [before, after] = saved as Tensor[];
        const hits = cast(equal(before, spread(after, before.shape, mask)), grad.dtype);
        const share = div(hits, sum(hits, maskAxes(mask, before.rank), { keepDims: true }));
        return [mul(spread(grad, before.shape, mask), share)];
      });
    }
    return restore(out, x) as Tensor<D>;
  };
}

function maskAxes(mask: number, rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => (mask >> axis) & 1);
}

/** The largest element over `axes` (default all); NaN if there is one. Ties share the gradient. */
export const max = extremum('max');
/** The smallest element over `axes` (default all); NaN if there is one. Ties share the gradient. */
export const min = extremum('min');

/**
 * The product over `axes` (default all); an empty product is 1. bool and uint8 count as int32. The gradient
 * is right at zeros too: it multiplies the others instead of dividing by each.
 */
export function prod<D extends DType>(x: Tensor<D>, axes?: Axes, options: ReduceOptions = {}): Tensor<SumOf<D>> {
  const input = arithmetic('prod', x);
  const mask = axesMask('prod', axes, input.rank);
  const out = run('prod', [input], reducedShape(input.shape, mask, options.keepDims ?? false), input.dtype, [mask]);
  if (isRecording(input)) {
    record('prod', out, [input], [input], (grad, { saved }) => {
      const [before] = saved as Tensor[];
      return [mul(spread(grad, before.shape, mask), productOfOthers(before, maskAxes(mask, before.rank)))];
    });
  }
  return restore(out, x) as Tensor<SumOf<D>>;
}

/** For each element the product of all others along the axes. */
function productOfOthers(x: Tensor, axes: readonly number[]): Tensor {
  // The axes last and merged, so that running products from both ends give it.
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const moved = permute(x, order);
  const lead = moved.shape.slice(0, kept.length);
  const flat = reshape(moved, [
    ...lead,
    lead.reduce((size, extent) => size / Math.max(extent, 1), Math.max(x.size, 0)),
  ]);
  const others = mul(exclusiveProduct(flat, false), exclusiveProduct(flat, true));
  return permute(
    reshape(others, moved.shape),
    order.map((_, axis) => order.indexOf(axis)),
  );
}

function argExtremum(op: 'argmax' | 'argmin') {
  return (x: AnyTensor, axis?: number, options: ReduceOptions = {}): Tensor<'int32'> => {
    const input = arithmetic(op, x);
    const checked = axis === undefined ? -1 : checkAxis(op, axis, input.rank);
    const mask = checked < 0 ? (1 << input.rank) - 1 : 1 << checked;
    checkNotEmpty(op, input, mask);
    if (input.size > 2 ** 31 - 1) throw new ShapeError(`${op}: more than 2^31 - 1 elements`);
    return run(op, [input], reducedShape(input.shape, mask, options.keepDims ?? false), 'int32', [checked]);
  };
}

function truth(op: 'any' | 'all') {
  return (x: AnyTensor, axes?: Axes, options: ReduceOptions = {}): Tensor<'bool'> => {
    checkTensor(op, x);
    const input = cast(x, 'bool');
    const mask = axesMask(op, axes, input.rank);
    const shape = reducedShape(input.shape, mask, options.keepDims ?? false);
    return run(op === 'any' ? 'max' : 'min', [input], shape, 'bool', [mask]);
  };
}

/** Whether any element over `axes` (default all) is true, or not 0; false over nothing. */
export const any = truth('any');
/** Whether all elements over `axes` (default all) are true, or not 0; true over nothing. */
export const all = truth('all');

/** Where the largest element is along `axis`, or in the flattened tensor: the first of several. NaN counts as the largest. */
export const argmax = argExtremum('argmax');
/** Where the smallest element is along `axis`, or in the flattened tensor: the first of several. NaN counts as the smallest. */
export const argmin = argExtremum('argmin');

/** Sums what broadcasting repeated: the gradient of a broadcast from `shape` to `x.shape`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const missing = x.rank - shape.length;
  const axes = x.shape.flatMap((extent, axis) =>
    axis < missing || (shape[axis - missing] === 1 && extent !== 1) ? [axis] : [],
  );
  const reduced = axes.length > 0 ? sum(x, axes) : x;
  return reshape(reduced, shape);
}

/** @internal Throws unless `x` is float32 or float64, for operations that have no other form. */
export function requireFloat(op: string, name: string, x: AnyTensor): Tensor {
  if (!isTensor(x)) throw new TypeError(`${op}: ${name} must be a tensor`);
  x._check(op);
  if (x.dtype !== 'float32' && x.dtype !== 'float64') {
    throw new DTypeError(`${op}: ${name} must be float32 or float64, got ${x.dtype}`);
  }
  return x as Tensor;
}

/** @internal The same for an op that also takes halves. */
export function requireFloating(op: string, name: string, x: AnyTensor): Tensor {
  if (isTensor(x) && isHalf(x.dtype)) {
    x._check(op);
    return x as unknown as Tensor;
  }
  return requireFloat(op, name, x);
}

/** @internal Throws unless two float tensors have one dtype: mixed precision should be the user's choice. */
export function requireSame(op: string, a: AnyTensor, b: AnyTensor): void {
  if (a.dtype !== b.dtype) throw new DTypeError(`${op}: dtypes differ: ${a.dtype} and ${b.dtype}`);
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link sum} */
    sum(axes?: Axes, options?: ReduceOptions): Tensor<SumOf<D>>;
    /** {@link prod} */
    prod(axes?: Axes, options?: ReduceOptions): Tensor<SumOf<D>>;
    /** {@link any} */
    any(axes?: Axes, options?: ReduceOptions): Tensor<'bool'>;
    /** {@link all} */
    all(axes?: Axes, options?: ReduceOptions): Tensor<'bool'>;
    /** {@link mean} */
    mean(axes?: Axes, options?: ReduceOptions): Tensor<FloatOf<D>>;
    /** {@link max} */
    max(axes?: Axes, options?: ReduceOptions): Tensor<D>;
    /** {@link min} */
    min(axes?: Axes, options?: ReduceOptions): Tensor<D>;
    /** {@link argmax} */
    argmax(axis?: number, options?: ReduceOptions): Tensor<'int32'>;
    /** {@link argmin} */
    argmin(axis?: number, options?: ReduceOptions): Tensor<'int32'>;
  }
}
defineMethods({ sum, prod, any, all, mean, max, min, argmax, argmin });

// NaN survives a maximum.
setNaNTest((x) => isFloat(x.dtype) && x.size > 0 && Number.isNaN(noGrad(() => max(x.detach()).item())));

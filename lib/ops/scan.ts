/** Running sums, products and recurrences along one axis. */
import { isRecording, record } from '../autograd/node';
import type { DType } from '../tensor/dtype';
import { isHalf } from '../tensor/dtype';
import { ShapeError } from '../errors';
import { checkAxis, formatShape, sameShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import { ones } from '../tensor/creation';
import type { Tensor } from '../tensor/tensor';
import { type AnyTensor } from '../tensor/tensor';
import { cast, concat } from './copies';
import { checkTensor, workingDType } from './define';
import { mul } from './binary';
import { requireFloat, requireSame, type SumOf } from './reduce';
import { run } from './run';
import { slice, type SliceSpec } from './views';

/** Options of the running sums and products. */
export interface ScanOptions {
  /** Start at the end of the axis. Default false. */
  reverse?: boolean;
}

/** Some positions of one axis, all of the others. */
function along(x: Tensor, axis: number, range: SliceSpec): Tensor {
  return slice(x, ...x.shape.map((_, i) => (i === axis ? range : null)));
}

/** `x` moved by one position against the direction, `first` coming in at the start. */
function delayed(x: Tensor, axis: number, reverse: boolean, first: Tensor): Tensor {
  return reverse ? concat([along(x, axis, [1]), first], axis) : concat([first, along(x, axis, [0, -1])], axis);
}

function filled(x: Tensor, axis: number, value: number): Tensor {
  const shape = x.shape.map((extent, i) => (i === axis ? Math.min(extent, 1) : extent));
  return mul(ones(shape, { like: x }), value);
}

function scan(op: 'cumsum' | 'cumprod', x: AnyTensor, axis: number, reverse: boolean): [AnyTensor, AnyTensor, number] {
  checkTensor(op, x);
  const input = cast(x, workingDType(op, x.dtype));
  const at = input.rank === 0 && (axis === 0 || axis === -1) ? 0 : checkAxis(op, axis, input.rank);
  return [input, run(op, [input], input.shape, input.dtype, [at, Number(reverse)]), at];
}

function restore<D extends DType>(out: AnyTensor, x: Tensor<D>): Tensor<SumOf<D>> {
  return (isHalf(x.dtype) ? cast(out, x.dtype) : out) as Tensor<SumOf<D>>;
}

/**
 * The sums of all elements up to each position along `axis`. bool and uint8 count as int32; float32 is
 * added up in float64.
 */
export function cumsum<D extends DType>(x: Tensor<D>, axis: number, options: ScanOptions = {}): Tensor<SumOf<D>> {
  const reverse = options.reverse ?? false;
  const [input, out, at] = scan('cumsum', x, axis, reverse);
  if (isRecording(input)) record('cumsum', out, [input], [], (grad) => [cumsum(grad, at, { reverse: !reverse })]);
  return restore(out, x);
}

/** The products of all elements up to each position along `axis`. Its gradient is right at zeros too. */
export function cumprod<D extends DType>(x: Tensor<D>, axis: number, options: ScanOptions = {}): Tensor<SumOf<D>> {
  const reverse = options.reverse ?? false;
  const [input, out, at] = scan('cumprod', x, axis, reverse);
  if (isRecording(input)) {
    record('cumprod', out, [input], [input], (grad, { saved }) => {
      // dx[i] = y[i-1] · r[i] with r[i] = g[i] + x[i+1] · r[i+1]: no division, so zeros do no harm.
      const [factor] = saved as Tensor[];
      if (factor.rank === 0 || factor.size === 0) return [grad];
      const next = delayed(factor, at, !reverse, filled(factor, at, 0));
      const rest = linearScan(next, grad, at, { reverse: !reverse });
      return [mul(rest, exclusiveProduct(factor, reverse, at))];
    });
  }
  return restore(out, x);
}

/** @internal The products of all elements before each position along `axis`, by default the last. */
export function exclusiveProduct(x: Tensor, reverse: boolean, axis = x.rank - 1): Tensor {
  if (x.shape[axis] === 0) return x;
  return cumprod(delayed(x, axis, reverse, filled(x, axis, 1)), axis, { reverse });
}

/**
 * The linear recurrence r[i] = b[i] + a[i]·r[i-1] along `axis`, with r[-1] = 0: an exponential moving
 * average, a discounted sum or a diagonal state-space model.
 * @param a the factors, float32 or float64
 * @param b the terms, of the same shape and dtype
 * @throws ShapeError if the shapes differ.
 */
export function linearScan<D extends DType>(
  a: Tensor<D>,
  b: Tensor<D>,
  axis: number,
  options: ScanOptions = {},
): Tensor<D> {
  const x = requireFloat('linearScan', 'a', a);
  const y = requireFloat('linearScan', 'b', b);
  requireSame('linearScan', x, y);
  if (!sameShape(x.shape, y.shape)) {
    throw new ShapeError(`linearScan: a ${formatShape(x.shape)} and b ${formatShape(y.shape)} differ`);
  }
  const at = checkAxis('linearScan', axis, x.rank);
  const reverse = options.reverse ?? false;
  const out = run('linearScan', [x, y], x.shape, x.dtype, [at, Number(reverse)]);
  if (isRecording(x, y)) {
    record('linearScan', out, [x, y], [x, out], (grad, { saved, needs }) => {
      const [factor, result] = saved as Tensor[];
      if (factor.size === 0) return [grad, grad];
      const next = delayed(factor, at, !reverse, filled(factor, at, 0));
      const rest = linearScan(next, grad, at, { reverse: !reverse });
      return [needs[0] ? mul(rest, delayed(result, at, reverse, filled(result, at, 0))) : null, rest];
    });
  }
  return out as unknown as Tensor<D>;
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link cumsum} */
    cumsum(axis: number, options?: ScanOptions): Tensor<SumOf<D>>;
    /** {@link cumprod} */
    cumprod(axis: number, options?: ScanOptions): Tensor<SumOf<D>>;
  }
}
defineMethods({ cumsum, cumprod });

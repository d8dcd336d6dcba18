/** Plain float64 references over nested shapes, for the operator table. */
import { tensor, type AnyTensor, type DType } from '../../lib';

/** A dense array in row-major order. */
export interface Dense {
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly dtype: DType;
}

export function dense(shape: readonly number[], data: readonly number[], dtype: DType = 'float32'): Dense {
  return { shape, data, dtype };
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Smooth, distinct values in (low, high), as float32 holds them. */
export function spread(shape: readonly number[], low = -2, high = 2, dtype: DType = 'float32'): Dense {
  const size = sizeOf(shape);
  const data = Array.from({ length: size }, (_, i) => {
    const unit = ((i * 7919 + 3571) % 10007) / 10007;
    const value = low + (high - low) * unit;
    if (dtype === 'float32' || dtype === 'float64') return Math.fround(value);
    return dtype === 'bool' ? Number(value > 0) : Math.round(value);
  });
  return dense(shape, data, dtype);
}

function unravel(index: number, shape: readonly number[]): number[] {
  const at = new Array<number>(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    at[axis] = index % shape[axis];
    index = Math.floor(index / shape[axis]);
  }
  return at;
}

/** The element of `x` that broadcasting puts at position `at` of a larger shape. */
function pick(x: Dense, at: readonly number[]): number {
  let index = 0;
  const missing = at.length - x.shape.length;
  x.shape.forEach((extent, axis) => (index = index * extent + (extent === 1 ? 0 : at[axis + missing])));
  return x.data[index];
}

export function broadcastShape(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce((extent, shape) => {
      const own = shape[axis - (rank - shape.length)] ?? 1;
      return own === 1 ? extent : own;
    }, 1),
  );
}

export function elementwise(fn: (...values: number[]) => number, dtype?: DType) {
  return (...inputs: Dense[]): Dense => {
    const shape = broadcastShape(...inputs.map((input) => input.shape));
    const data = Array.from({ length: sizeOf(shape) }, (_, i) => {
      const at = unravel(i, shape);
      return fn(...inputs.map((input) => pick(input, at)));
    });
    return dense(shape, data, dtype ?? inputs[inputs.length - 1].dtype);
  };
}

/** Reduces `axes` of `x`: `fn` gets each group's values in order. */
export function reduce(fn: (values: number[]) => number, axes: readonly number[], keepDims = false, dtype?: DType) {
  return (x: Dense): Dense => {
    const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const groups = new Map<string, number[]>();
    const shape = kept.map((axis) => x.shape[axis]);
    for (let i = 0; i < sizeOf(shape); i++) groups.set(unravel(i, shape).join(), []);
    x.data.forEach((value, i) => {
      const at = unravel(i, x.shape);
      groups.get(kept.map((axis) => at[axis]).join())?.push(value);
    });
    const out = keepDims ? x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent)) : shape;
    return dense(out, [...groups.values()].map(fn), dtype ?? x.dtype);
  };
}

/** a[...,m,k] · b[...,k,n] with equal batch axes. */
export function matmul(a: Dense, b: Dense): Dense {
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [m, k] = a.shape.slice(-2);
  const n = b.shape[b.shape.length - 1];
  const shape = [...batch, m, n];
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const at = unravel(i, shape);
    const prefix = at.slice(0, -2);
    let total = 0;
    for (let j = 0; j < k; j++)
      total += pick(a, [...prefix, at[at.length - 2], j]) * pick(b, [...prefix, j, at[at.length - 1]]);
    return total;
  });
  return dense(shape, data);
}

/** Applies `fn` to every row along the last axis. */
export function rows(fn: (row: number[], index: number) => number[]) {
  return (x: Dense): Dense => {
    const width = x.shape[x.shape.length - 1];
    const data: number[] = [];
    for (let i = 0; width > 0 && i < x.data.length / width; i++)
      data.push(...fn(x.data.slice(i * width, (i + 1) * width), i));
    return dense(x.shape, data);
  };
}

export function softmaxRow(row: number[]): number[] {
  const top = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / total);
}

function toTensor(x: Dense, requiresGrad = false): AnyTensor {
  return tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype, requiresGrad });
}

/** The same contents in different memory layouts. */
export const layouts: Readonly<Record<string, (x: Dense) => AnyTensor>> = {
  contiguous: toTensor,
  transposed(x) {
    if (x.shape.length < 2) return toTensor(x);
    const axes = x.shape.map((_, axis) => axis).reverse();
    const reversed = [...x.shape].reverse();
    const data = Array.from({ length: x.data.length }, (_, i) => pick(x, unravel(i, reversed).reverse()));
    return toTensor(dense(reversed, data, x.dtype)).permute(axes);
  },
  sliced(x) {
    if (x.shape.length === 0) return toTensor(dense([2], [99, x.data[0]], x.dtype)).slice(1);
    const padded = x.shape.map((extent) => extent + 2);
    const data = Array.from({ length: sizeOf(padded) }, (_, i) => {
      const at = unravel(i, padded).map((value) => value - 1);
      return at.every((value, axis) => value >= 0 && value < x.shape[axis]) ? pick(x, at) : 1;
    });
    return toTensor(dense(padded, data, x.dtype)).slice(...x.shape.map((extent) => [1, 1 + extent] as const));
  },
  stepped(x) {
    if (x.shape.length === 0) return toTensor(x);
    const last = x.shape.length - 1;
    const doubled = x.shape.map((extent, axis) => (axis === last ? 2 * extent : extent));
    const data = Array.from({ length: sizeOf(doubled) }, (_, i) => {
      const at = unravel(i, doubled);
      return pick(
        x,
        at.map((value, axis) => (axis === last ? Math.floor(value / 2) : value)),
      );
    });
    return toTensor(dense(doubled, data, x.dtype)).slice(
      ...doubled.map((_, axis) => (axis === last ? ([null, null, 2] as const) : null)),
    );
  },
  broadcast(x) {
    // Where the positions of the first axis are all alike, one of them with a stride of 0.
    if (x.shape.length === 0 || x.shape[0] < 2) return toTensor(x);
    const [count, ...shape] = x.shape;
    const size = sizeOf(shape);
    const alike = x.data.every((value, i) => Object.is(value, x.data[i % Math.max(size, 1)]));
    return alike ? toTensor(dense(shape, x.data.slice(0, size), x.dtype)).expand([count, ...shape]) : toTensor(x);
  },
  reversed(x) {
    if (x.shape.length === 0) return toTensor(x);
    const data = Array.from({ length: x.data.length }, (_, i) =>
      pick(
        x,
        unravel(i, x.shape).map((value, axis) => x.shape[axis] - 1 - value),
      ),
    );
    return toTensor(dense(x.shape, data, x.dtype)).slice(...x.shape.map(() => [null, null, -1] as const));
  },
};

/** `x` repeated along a new first axis: what the `broadcast` layout can express by a stride of 0. */
export function repeated(x: Dense, count = 3): Dense {
  return dense([count, ...x.shape], Array.from({ length: count }, () => x.data).flat(), x.dtype);
}

/** What is wrong with a result, or null: shape, dtype, then values within the tolerances. */
export function mismatch(actual: AnyTensor, expected: Dense, rtol = 1.3e-6, atol = 1e-5): string | null {
  if (actual.shape.join() !== expected.shape.join())
    return `shape [${actual.shape.join()}], expected [${expected.shape.join()}]`;
  if (actual.dtype !== expected.dtype) return `dtype ${actual.dtype}, expected ${expected.dtype}`;
  const data = Array.from(actual.dataSync() as Float32Array, Number);
  for (let i = 0; i < data.length; i++) {
    const want = expected.data[i];
    const same = Object.is(data[i], want) || data[i] === want || (Number.isNaN(data[i]) && Number.isNaN(want));
    if (!same && !(Math.abs(data[i] - want) <= atol + rtol * Math.abs(want))) {
      return `element ${String(i)} is ${String(data[i])}, expected ${String(want)}`;
    }
  }
  return null;
}

/** Shape rules shared by the operations. Every error names the operation and the rule broken. */
import { ShapeError } from '../errors';
import { maxRank } from '../native';

export type Shape = readonly number[];

export function formatShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

/** The number of elements: the product of the extents, 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Strides of a row-major tensor, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    if (shape[axis] > 1) step *= shape[axis];
  }
  return strides;
}

const maxElements = 2 ** 48;

/**
 * A user's shape, checked and copied: an array of non-negative integers, at most eight of them, with a
 * product below 2^48.
 */
export function checkShape(op: string, shape: unknown): number[] {
  if (!Array.isArray(shape)) {
    throw new ShapeError(`${op}: a shape must be an array of integers, got ${describe(shape)}`);
  }
  if (shape.length > maxRank) {
    throw new ShapeError(`${op}: rank ${String(shape.length)} is above the limit of ${String(maxRank)}`);
  }
  let product = 1;
  const checked = shape.map((extent: unknown) => {
    if (typeof extent !== 'number' || !Number.isInteger(extent) || extent < 0) {
      throw new ShapeError(
        `${op}: dimensions must be non-negative integers, got ${describe(extent)} in ` +
          `[${shape.map(String).join(',')}]`,
      );
    }
    if (extent > 1) product *= extent;
    return extent;
  });
  if (product > maxElements) {
    throw new ShapeError(`${op}: shape ${formatShape(checked)} has more than 2^48 elements`);
  }
  return checked;
}

/** An integer argument within [low, high]. */
export function checkInteger(op: string, name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(
      `${op}: ${name} must be an integer in [${String(low)}, ${String(high)}], got ${describe(value)}`,
    );
  }
  return value;
}

/** A finite-or-infinite number that is not NaN, where `low <= value <= high`. */
export function checkNumber(op: string, name: string, value: unknown, low = -Infinity, high = Infinity): number {
  if (typeof value !== 'number' || !(value >= low && value <= high)) {
    const range = low === -Infinity && high === Infinity ? '' : ` in [${String(low)}, ${String(high)}]`;
    throw new RangeError(`${op}: ${name} must be a number${range}, got ${describe(value)}`);
  }
  return value;
}

/** An axis in [-rank, rank), made non-negative. */
export function checkAxis(op: string, axis: unknown, rank: number): number {
  if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(
      `${op}: axis ${describe(axis)} is out of range for rank ${String(rank)}` +
        (rank === 0 ? ', a scalar has no axes' : `: [${String(-rank)}, ${String(rank - 1)}]`),
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/** Axes as a bit mask; undefined means all of them. Repeated axes are an error. */
export function axesMask(op: string, axes: number | readonly number[] | undefined, rank: number): number {
  if (axes === undefined) return (1 << rank) - 1;
  let mask = 0;
  for (const axis of Array.isArray(axes) ? (axes as readonly number[]) : [axes]) {
    const bit = 1 << checkAxis(op, axis, rank);
    if (mask & bit) throw new RangeError(`${op}: axis ${String(axis)} appears twice`);
    mask |= bit;
  }
  return mask;
}

/** The shape left when the masked axes are reduced. */
export function reducedShape(shape: Shape, mask: number, keepDims: boolean): number[] {
  const result: number[] = [];
  for (let axis = 0; axis < shape.length; axis++) {
    if (!((mask >> axis) & 1)) result.push(shape[axis]);
    else if (keepDims) result.push(1);
  }
  return result;
}

/** The common shape of two operands: aligned at the last axis, an extent of 1 is repeated. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const rank = Math.max(a.length, b.length);
  const result = new Array<number>(rank);
  for (let axis = 1; axis <= rank; axis++) {
    const x = axis <= a.length ? a[a.length - axis] : 1;
    const y = axis <= b.length ? b[b.length - axis] : 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(
        `${op}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: ` +
          `${String(x)} against ${String(y)} at axis -${String(axis)}`,
      );
    }
    result[rank - axis] = x === 1 ? y : x;
  }
  return result;
}

/** A value for an error message: short, and never a crash of its own. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (value === null || typeof value !== 'object') return String(value);
  const name = (value.constructor as { name?: string } | undefined)?.name ?? 'object';
  return Array.isArray(value) ? `an array of ${String(value.length)}` : `a ${name}`;
}

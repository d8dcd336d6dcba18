/** What convolution, pooling and resampling share: extents per axis, inputs with and without a batch axis. */
import { ShapeError } from '../errors';
import { checkInteger, describe, formatShape, type Shape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { requireFloat } from './reduce';
import { squeeze, unsqueeze } from './views';

/** One number for every spatial axis, or one per axis: of [depth, height, width] the last ones. */
export type PerAxis = number | readonly number[];

const most = 2 ** 31 - 1;
const axisNames = ['depth', 'height', 'width'];

/** An option that may be given once for all axes, as one number per axis. */
export function perAxis(op: string, name: string, value: unknown, axes: number, low: number): number[] {
  if (!Array.isArray(value)) return new Array<number>(axes).fill(checkInteger(op, name, value, low, most));
  if (value.length !== axes) {
    throw new RangeError(`${op}: ${name} must be a number or ${String(axes)} of them, got ${describe(value)}`);
  }
  return value.map((extent: unknown, i) => checkInteger(op, `${name}[${String(i)}]`, extent, low, most));
}

/** The numbers of the spatial axes for native code, which always has three; `missing` stands for the others. */
export function threeAxes(values: readonly number[], missing: number): number[] {
  return [...new Array<number>(3 - values.length).fill(missing), ...values];
}

/** The extents along the spatial axes. */
export function spatialOf(x: AnyTensor, axes: number): Shape {
  return x.shape.slice(x.rank - axes);
}

/** `name`'s shape as the messages write it: [batch, channels, height, width]. */
function pattern(axes: number): string {
  return `[batch, channels, ${axisNames.slice(3 - axes).join(', ')}]`;
}

/**
 * Runs `fn` on a float input [batch, channels, spatial axes …]; an input without the batch axis gets one, and its
 * result loses it again.
 */
export function withBatch(op: string, x: AnyTensor, axes: number, fn: (batched: Tensor) => Tensor): Tensor {
  const input = requireFloat(op, 'x', x);
  if (input.rank === axes + 2) return fn(input);
  if (input.rank === axes + 1) return squeeze(fn(unsqueeze(input, 0)), 0);
  throw new ShapeError(
    `${op}: x must have shape ${pattern(axes)}, or be without the batch axis, got ${formatShape(input.shape)}`,
  );
}

/** Views: other shapes and strides over the same memory. Nothing is copied, gradients flow through. */
import { isRecording, record, setRevive } from '../autograd/node';
import { DisposedError, ShapeError } from '../errors';
import { native, scratch, Scratch } from '../native';
import type { DType } from '../tensor/dtype';
import {
  checkAxis,
  checkInteger,
  checkShape,
  contiguousStrides,
  formatShape,
  sameShape,
  sizeOf,
  type Shape,
} from '../tensor/shape';
import { activeRecorder } from '../tensor/recorder';
import { currentScope } from '../tensor/scope';
import { defineMethods } from '../tensor/methods';
import { Tensor, tensorHooks, type AnyTensor } from '../tensor/tensor';
import { contiguous } from './copies';
import { checkTensor } from './define';
import { sumTo } from './reduce';
import { finish, onlyTraced, owner, run } from './run';

/** Whether these strides are those of a row-major tensor; an axis of extent 1 may have any. */
function isRowMajor(shape: Shape, strides: Shape): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return sizeOf(shape) === 0;
    expected *= shape[axis];
  }
  return true;
}

/** A view without history. `offset` counts elements from the first element of `base`. */
function makeView<D extends DType>(
  op: string,
  base: Tensor<D>,
  shape: Shape,
  strides: Shape | undefined,
  offset = 0,
): Tensor<D> {
  const given = strides ?? contiguousStrides(shape);
  const rowMajor = strides === undefined || isRowMajor(shape, strides);
  const tensor = new Tensor(shape, base.dtype, rowMajor ? undefined : strides);
  tensor._base = base._base ?? base;
  tensor._device = base._device;
  const recorder = activeRecorder();
  if (recorder !== null) {
    recorder.view(base, tensor, given, offset);
    currentScope()?.add(tensor);
    return tensor;
  }
  if (base._handle < 0) onlyTraced(op);
  scratch[Scratch.inputs] = base._handle;
  scratch[Scratch.outputs + 1] = shape.length;
  for (let axis = 0; axis < shape.length; axis++) {
    scratch[Scratch.outputs + 2 + axis] = shape[axis];
    scratch[Scratch.strides + axis] = given[axis];
  }
  scratch[Scratch.offset] = offset;
  return finish(op, tensor, native.view(owner(tensor)));
}

/** @internal Any view of a tensor's memory; see {@link makeView}. */
export function stridedView(base: AnyTensor, shape: Shape, strides: Shape, offset: number): AnyTensor {
  return makeView('view', base, shape, strides, offset);
}

tensorHooks.detach = (x) => {
  x._check('detach');
  return makeView('detach', x, x.shape, x._strides);
};
setRevive((x) => {
  if (x._handle === 0) throw new DisposedError('backward: a saved tensor is gone');
  return makeView('backward', x, x.shape, x._strides);
});

/** A new tensor object with the same elements and, unlike `detach`, the same history. */
export function alias<D extends DType>(x: Tensor<D>): Tensor<D> {
  return reshape(x, x.shape);
}

function withInferred(op: string, x: AnyTensor, shape: readonly number[]): Shape {
  const unknown = shape.indexOf(-1);
  if (unknown < 0) return checkShape(op, shape);
  const known = shape.map((extent, axis) => (axis === unknown ? 1 : extent));
  const rest = sizeOf(checkShape(op, known));
  if (rest === 0 || x.size % rest !== 0) {
    throw new ShapeError(`${op}: cannot infer -1 in ${formatShape(shape)} for ${String(x.size)} elements`);
  }
  known[unknown] = x.size / rest;
  return known;
}

/**
 * The same elements in row-major order under another shape; one extent may be -1 and is inferred.
 * A view where the memory allows it, else a copy.
 * @throws ShapeError if the number of elements differs.
 */
export function reshape<D extends DType>(x: Tensor<D>, shape: readonly number[]): Tensor<D> {
  checkTensor('reshape', x);
  const target = withInferred('reshape', x, shape);
  if (sizeOf(target) !== x.size) {
    throw new ShapeError(
      `reshape: ${formatShape(x.shape)} has ${String(x.size)} elements, ` +
        `${formatShape(target)} has ${String(sizeOf(target))}`,
    );
  }
  const dense = x.isContiguous || sameShape(x.shape, target) ? x : contiguous(x);
  const out = makeView('reshape', dense, target, dense.isContiguous ? undefined : x._strides);
  if (isRecording(dense)) {
    const { shape: before } = dense;
    record('reshape', out, [dense], [], (grad) => [reshape(grad, before)]);
  }
  if (dense !== x) dense.dispose(); // `out` shares its memory
  return out;
}

/** Merges the axes `start` to `end` (default: all) into one. A scalar becomes a vector of one. */
export function flatten<D extends DType>(x: Tensor<D>, start = 0, end = -1): Tensor<D> {
  checkTensor('flatten', x);
  if (x.rank === 0) return reshape(x, [1]);
  const first = checkAxis('flatten', start, x.rank);
  const last = checkAxis('flatten', end, x.rank);
  if (first > last) {
    throw new RangeError(`flatten: start axis ${String(start)} comes after end axis ${String(end)}`);
  }
  const merged = sizeOf(x.shape.slice(first, last + 1));
  return reshape(x, [...x.shape.slice(0, first), merged, ...x.shape.slice(last + 1)]);
}

/**
 * The axes in another order: axis i of the result is axis `axes[i]` of `x`.
 * @throws RangeError unless `axes` names every axis once.
 */
export function permute<D extends DType>(x: Tensor<D>, axes: readonly number[]): Tensor<D> {
  checkTensor('permute', x);
  if (!Array.isArray(axes) || axes.length !== x.rank) {
    throw new RangeError(`permute: needs ${String(x.rank)} axes for shape ${formatShape(x.shape)}`);
  }
  const order = axes.map((axis) => checkAxis('permute', axis, x.rank));
  if (new Set(order).size !== order.length) {
    throw new RangeError(`permute: [${axes.join(',')}] names an axis twice`);
  }
  const { strides } = x;
  const out = makeView(
    'permute',
    x,
    order.map((axis) => x.shape[axis]),
    order.map((axis) => strides[axis]),
  );
  if (isRecording(x)) {
    const inverse = order.map((_, axis) => order.indexOf(axis));
    record('permute', out, [x], [], (grad) => [permute(grad, inverse)]);
  }
  return out;
}

/** Swaps two axes, by default the last two. */
export function transpose<D extends DType>(x: Tensor<D>, a = -2, b = -1): Tensor<D> {
  checkTensor('transpose', x);
  const order = x.shape.map((_, axis) => axis);
  const first = checkAxis('transpose', a, x.rank);
  const second = checkAxis('transpose', b, x.rank);
  order[first] = second;
  order[second] = first;
  return permute(x, order);
}

/** Removes an axis of extent 1, or all such axes. */
export function squeeze<D extends DType>(x: Tensor<D>, axis?: number): Tensor<D> {
  checkTensor('squeeze', x);
  if (axis === undefined) {
    return restride(x, 'squeeze', (i) => x.shape[i] !== 1);
  }
  const checked = checkAxis('squeeze', axis, x.rank);
  if (x.shape[checked] !== 1) {
    throw new ShapeError(
      `squeeze: axis ${String(axis)} of ${formatShape(x.shape)} has extent ${String(x.shape[checked])}, not 1`,
    );
  }
  return restride(x, 'squeeze', (i) => i !== checked);
}

function restride<D extends DType>(x: Tensor<D>, op: string, keepAxis: (axis: number) => boolean): Tensor<D> {
  const { strides, shape } = x;
  const axes = shape.map((_, axis) => axis).filter(keepAxis);
  const out = makeView(
    op,
    x,
    axes.map((axis) => shape[axis]),
    axes.map((axis) => strides[axis]),
  );
  if (isRecording(x)) record(op, out, [x], [], (grad) => [reshape(grad, shape)]);
  return out;
}

/** Inserts an axis of extent 1 at `axis` of the result: -1 appends it. */
export function unsqueeze<D extends DType>(x: Tensor<D>, axis: number): Tensor<D> {
  checkTensor('unsqueeze', x);
  const at = checkAxis('unsqueeze', axis, x.rank + 1);
  const insert = (list: Shape, value: number): number[] => [...list.slice(0, at), value, ...list.slice(at)];
  const shape = checkShape('unsqueeze', insert(x.shape, 1));
  const out = makeView('unsqueeze', x, shape, insert(x.strides, 1));
  if (isRecording(x)) {
    const { shape: before } = x;
    record('unsqueeze', out, [x], [], (grad) => [reshape(grad, before)]);
  }
  return out;
}

/**
 * Repeats axes of extent 1 without copying; new axes may stand in front; -1 keeps an extent.
 * @throws ShapeError if an axis of another extent would have to change.
 */
export function expand<D extends DType>(x: Tensor<D>, shape: readonly number[]): Tensor<D> {
  checkTensor('expand', x);
  const missing = shape.length - x.rank;
  const target = checkShape(
    'expand',
    shape.map((extent, axis) => (extent === -1 && axis >= missing ? x.shape[axis - missing] : extent)),
  );
  const { strides } = x;
  const fits = missing >= 0 && x.shape.every((extent, i) => extent === 1 || extent === target[i + missing]);
  if (!fits) {
    throw new ShapeError(`expand: ${formatShape(x.shape)} does not expand to ${formatShape(target)}`);
  }
  const steps = target.map((extent, axis) => {
    const from = axis - missing;
    return from < 0 || x.shape[from] !== extent ? 0 : strides[from];
  });
  const out = makeView('expand', x, target, steps);
  if (isRecording(x)) {
    const { shape: before } = x;
    record('expand', out, [x], [], (grad) => [sumTo(grad, before)]);
  }
  return out;
}

/** One axis of a {@link slice}: an index (the axis goes away), or `[start, end, step]`, or null for all. */
export type SliceSpec = number | readonly [start?: number | null, end?: number | null, step?: number] | null;

/** @internal Some positions of one axis. */
export interface AxisSlice {
  start: number;
  step: number;
  length: number;
  dropped?: boolean;
}

function resolveSlice(spec: SliceSpec, extent: number, axis: number): AxisSlice {
  if (spec === null) return { start: 0, step: 1, length: extent, dropped: false };
  if (typeof spec === 'number') {
    const index = checkInteger('slice', `index of axis ${String(axis)}`, spec, -extent, extent - 1);
    return { start: index < 0 ? index + extent : index, step: 1, length: 1, dropped: true };
  }
  const [from, to, step = 1] = spec;
  checkInteger('slice', 'step', step, -(2 ** 31), 2 ** 31 - 1);
  if (step === 0) throw new RangeError('slice: step must not be 0');
  const bound = (value: number | null | undefined, whenMissing: number): number => {
    if (value === undefined || value === null) return whenMissing;
    checkInteger('slice', `bound of axis ${String(axis)}`, value, -(2 ** 52), 2 ** 52);
    const absolute = value < 0 ? value + extent : value;
    return step > 0 ? Math.min(Math.max(absolute, 0), extent) : Math.min(Math.max(absolute, -1), extent - 1);
  };
  const start = bound(from, step > 0 ? 0 : extent - 1);
  const end = bound(to, step > 0 ? extent : -1);
  return { start, step, length: Math.max(0, Math.ceil((end - start) / step)), dropped: false };
}

/**
 * Part of a tensor, as a view. Each argument is one axis: an index takes one position and drops the
 * axis, `[start, end, step]` a range (end excluded; negative values count from the end; a negative step
 * goes backwards; null or a missing value means "from the end that the step comes from"), null all.
 * @example x.slice(0, [1, -1], [null, null, 2])
 */
export function slice<D extends DType>(x: Tensor<D>, ...specs: readonly SliceSpec[]): Tensor<D> {
  checkTensor('slice', x);
  if (specs.length > x.rank) {
    throw new ShapeError(
      `slice: ${String(specs.length)} axes given for shape ${formatShape(x.shape)} of rank ${String(x.rank)}`,
    );
  }
  const { strides, shape: before } = x;
  const axes = before.map((extent, axis) => resolveSlice(specs[axis] ?? null, extent, axis));
  const kept = axes.map((_, axis) => axis).filter((axis) => !axes[axis].dropped);
  const isEmpty = axes.some((axis) => axis.length === 0);
  const offset = isEmpty ? 0 : axes.reduce((sum, { start }, axis) => sum + start * strides[axis], 0);
  const out = makeView(
    'slice',
    x,
    kept.map((axis) => axes[axis].length),
    kept.map((axis) => strides[axis] * axes[axis].step),
    offset,
  );
  if (isRecording(x)) {
    record('slice', out, [x], [], (grad) => [sliceBackward(grad, before, axes)]);
  }
  return out;
}

/** @internal The elements at their places in a tensor of zeros: the gradient of {@link slice}. */
export function sliceBackward(grad: Tensor, shape: Shape, axes: readonly AxisSlice[]): Tensor {
  const full = reshape(
    grad,
    axes.map((axis) => axis.length),
  );
  const ints = [shape.length, ...axes.flatMap(({ start, step }) => [start, step])];
  const out = run('sliceBackward', [full], shape, full.dtype, ints);
  if (isRecording(full)) {
    record('sliceBackward', out, [full], [], (second) => [
      slice(
        second,
        ...axes.map(({ start, step, length }): SliceSpec => {
          const end = start + step * length;
          return [start, end < 0 ? null : end, step];
        }),
      ),
    ]);
  }
  return out;
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link reshape} */
    reshape(shape: readonly number[]): Tensor<D>;
    /** {@link flatten} */
    flatten(start?: number, end?: number): Tensor<D>;
    /** {@link permute} */
    permute(axes: readonly number[]): Tensor<D>;
    /** {@link transpose} */
    transpose(a?: number, b?: number): Tensor<D>;
    /** The transposed matrix: the last two axes swapped. */
    readonly T: Tensor<D>;
    /** {@link squeeze} */
    squeeze(axis?: number): Tensor<D>;
    /** {@link unsqueeze} */
    unsqueeze(axis: number): Tensor<D>;
    /** {@link expand} */
    expand(shape: readonly number[]): Tensor<D>;
    /** {@link slice} */
    slice(...specs: readonly SliceSpec[]): Tensor<D>;
  }
}
defineMethods({ reshape, flatten, permute, transpose, squeeze, unsqueeze, expand, slice });
Object.defineProperty(Tensor.prototype, 'T', {
  get(this: Tensor) {
    return transpose(this);
  },
});

/** Indexing by everything at once: integers, ranges, masks and tensors of positions. */
import { valuesAreThere } from '../tensor/recorder';
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { arange } from '../tensor/creation';
import { broadcastShapes, contiguousStrides, formatShape, sizeOf, type Shape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { add, floorDivide, mul, remainder } from './binary';
import { less, where } from './compare';
import { indexRows } from './copies';
import { checkTensor } from './define';
import { flatNonzero } from './gather';
import { expand, permute, reshape, slice, type SliceSpec } from './views';

/**
 * One axis of {@link index}: what {@link slice} takes, `'...'` for as many whole axes as are left, a bool tensor (which
 * stands for as many axes as it has), or an int32 tensor of positions, negative ones counting from the end.
 */
export type IndexSpec = SliceSpec | '...' | Tensor<'bool'> | Tensor<'int32'>;

/** An axis that is kept whole, or positions along it. */
type Step = null | Tensor<'int32'>;

function rankOf(spec: IndexSpec): number {
  return isTensor(spec) && (spec.dtype as DType) === 'bool' ? spec.rank : 1;
}

function withoutEllipsis(specs: readonly IndexSpec[], rank: number): IndexSpec[] {
  const used = specs.filter((spec) => spec !== '...').reduce<number>((sum, spec) => sum + rankOf(spec), 0);
  const dots = specs.filter((spec) => spec === '...').length;
  if (dots > 1) throw new ShapeError("index: '...' may stand only once");
  if (used > rank) throw new ShapeError(`index: ${String(used)} axes given for a tensor of rank ${String(rank)}`);
  const rest = new Array<null>(rank - used).fill(null);
  return dots === 0 ? [...specs, ...rest] : specs.flatMap((spec) => (spec === '...' ? rest : [spec]));
}

/** A mask as one tensor of positions for each of its axes. */
function positionsOf(mask: Tensor<'bool'>, shape: Shape, axis: number): Tensor<'int32'>[] {
  const covered = shape.slice(axis, axis + mask.rank);
  if (formatShape(covered) !== formatShape(mask.shape)) {
    throw new ShapeError(`index: a mask of shape ${formatShape(mask.shape)} does not fit axes ${formatShape(covered)}`);
  }
  const flat = flatNonzero(mask);
  const strides = contiguousStrides(mask.shape);
  return mask.shape.map((extent, i) => remainder(floorDivide(flat, strides[i]), extent) as unknown as Tensor<'int32'>);
}

function nonNegative(index: AnyTensor, extent: number): Tensor<'int32'> {
  if (index.dtype !== 'int32') throw new DTypeError(`index: positions must be int32, got ${index.dtype}`);
  return where(less(index, 0), add(index, extent), index) as unknown as Tensor<'int32'>;
}

/**
 * Part of a tensor, as NumPy's and PyTorch's `x[...]`. Ranges and integers give a view; masks and position tensors copy.
 * Several position tensors broadcast with each other; their common shape takes the place of the first of them if they
 * stand side by side, else it comes first.
 * @throws RangeError for a position out of range; ShapeError, DTypeError.
 * @example x.index('...', 0); x.index(mask); x.index([1, -1], tensor(new Int32Array([0, 2])))
 */
export function index<D extends DType>(x: Tensor<D>, ...specs: readonly IndexSpec[]): Tensor<D> {
  checkTensor('index', x);
  const all = withoutEllipsis(specs, x.rank);
  const basic: SliceSpec[] = [];
  const steps: Step[] = [];
  for (const spec of all) {
    const axis = basic.length;
    if (!isTensor(spec)) {
      basic.push(spec as SliceSpec);
      if (typeof spec !== 'number') steps.push(null);
      continue;
    }
    spec._check('index');
    const isMask = (spec.dtype as DType) === 'bool';
    const positions = isMask ? positionsOf(spec as Tensor<'bool'>, x.shape, axis) : [nonNegative(spec, x.shape[axis])];
    for (const position of positions) {
      basic.push(null);
      steps.push(position);
    }
  }
  const part = slice(x, ...basic);
  return steps.every((step) => step === null) ? part : byPositions(part, steps);
}

function byPositions<D extends DType>(x: Tensor<D>, steps: readonly Step[]): Tensor<D> {
  const chosen = steps.flatMap((step, axis) => (step === null ? [] : [axis]));
  const whole = steps.flatMap((step, axis) => (step === null ? [axis] : []));
  const positions = chosen.map((axis) => steps[axis] as Tensor<'int32'>);
  const common = positions.reduce<Shape>((shape, p) => broadcastShapes('index', shape, p.shape), []);
  const extents = chosen.map((axis) => x.shape[axis]);
  checkInside(positions, extents);
  // The chosen axes in front and merged, so that one number names a position of all of them.
  const rest = whole.map((axis) => x.shape[axis]);
  const rows = reshape(permute(x, [...chosen, ...whole]), [sizeOf(extents), ...rest]);
  const strides = contiguousStrides(extents);
  const flat = positions
    .map((p, i) => mul(p, strides[i]))
    .reduce<AnyTensor>((a, b) => add(a, b), arange(1, { dtype: 'int32', like: x }));
  const wide = reshape(expand(flat.rank > common.length ? reshape(flat, common) : flat, common), [sizeOf(common)]);
  const out = reshape(indexRows(rows, wide as Tensor<'int32'>), [...common, ...rest]);
  const isTogether = chosen[chosen.length - 1] - chosen[0] === chosen.length - 1;
  if (!isTogether || chosen[0] === 0) return out;
  const before = whole.filter((axis) => axis < chosen[0]).length;
  const order = [
    ...rest.slice(0, before).map((_, i) => common.length + i),
    ...common.map((_, i) => i),
    ...rest.slice(before).map((_, i) => common.length + before + i),
  ];
  return permute(out, order);
}

/** A merged position could be inside although one of its parts is not. */
function checkInside(positions: readonly Tensor<'int32'>[], extents: readonly number[]): void {
  if (!valuesAreThere()) return;
  positions.forEach((position, i) => {
    if (position.size === 0) return;
    const low = position.min().item();
    const high = position.max().item();
    if (low < 0 || high >= extents[i]) {
      const bad = low < 0 ? low - extents[i] : high;
      throw new RangeError(`index: position ${String(bad)} is out of range for an axis of ${String(extents[i])}`);
    }
  });
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link index} */
    index(...specs: readonly IndexSpec[]): Tensor<D>;
  }
}
defineMethods({ index });

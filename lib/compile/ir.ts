/** What a traced step is made of: values, and the operations between them in the order in which they run. */
import type { OpName } from '../ops/table';
import type { DType } from '../tensor/dtype';
import { contiguousStrides, sizeOf, type Shape } from '../tensor/shape';
import type { AnyTensor } from '../tensor/tensor';
import type { Origin } from './where';

/**
 * A tensor of the step. `input`: an argument; `captured`: a tensor from outside, a parameter say; `result`: made by an
 * operation. A view has the value whose memory it shows as its `root`; others are their own.
 */
export interface Value {
  readonly kind: 'input' | 'captured' | 'result';
  readonly dtype: DType;
  readonly shape: Shape;
  /** In elements. */
  readonly strides: Shape;
  readonly isContiguous: boolean;
  readonly root: Value;
  /** Elements from the root's first to this one's. */
  readonly offset: number;
  /** Of a captured value. */
  readonly tensor: AnyTensor | null;
  /** Whose memory a captured value shows: several captured tensors may be views of one. */
  readonly memory: object;
}

/** One operation. */
export interface Operation {
  readonly name: OpName;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly ints: readonly number[];
  readonly floats: readonly number[];
  /** The inputs that it writes to. */
  readonly writes: readonly Value[];
  /** Where its attributes are among those that change from run to run; null where they do not change. */
  readonly live: LiveSlot | null;
  /** The user's line that led to it; null for what a pass has added. */
  readonly origin: Origin | null;
  /** The section that it is part of, where its results are for this section alone; see `apart` of the recorder. */
  readonly apart?: number;
}

/** Operation `index` of what live section `section` records. */
export interface LiveSlot {
  readonly section: number;
  readonly index: number;
}

/** The operations of a step, and what it returns. */
export interface Graph {
  readonly inputs: readonly Value[];
  readonly operations: readonly Operation[];
  readonly outputs: readonly Value[];
  /** How many operations were left out because others had given their results. */
  readonly merged?: number;
}

/** A value of its own memory. */
export function newValue(
  kind: Value['kind'],
  dtype: DType,
  shape: Shape,
  strides: Shape = contiguousStrides(shape),
  isContiguous = true,
  tensor: AnyTensor | null = null,
): Value {
  const value = { kind, dtype, shape, strides, isContiguous, offset: 0, tensor } as {
    -readonly [K in keyof Value]: Value[K];
  };
  value.root = value;
  value.memory = tensor === null ? value : (tensor._base ?? tensor);
  return value;
}

/** A view of another value, `offset` elements from its first. */
export function viewOf(base: Value, shape: Shape, strides: Shape, isContiguous: boolean, offset: number): Value {
  const { kind, dtype, root, tensor, memory } = base;
  return { kind, dtype, shape, strides, isContiguous, root, offset: base.offset + offset, tensor, memory };
}

const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  float64: 8,
  int64: 8,
  uint8: 1,
  float16: 2,
  bfloat16: 2,
};

/** The memory of a contiguous value. */
export function bytesOf({ dtype, shape }: { dtype: DType; shape: Shape }): number {
  return sizeOf(shape) * bytesPerElement[dtype];
}

/** The bytes of one element. */
export function elementBytes(dtype: DType): number {
  return bytesPerElement[dtype];
}

/** Operations without outputs write to these inputs; all others of the kind to all but the second, the gradient. */
const writtenByName: Partial<Record<OpName, readonly number[]>> = {
  assign: [0],
  assignRows: [0],
  averageStep: [0],
};

/** The inputs that an operation without outputs writes to. */
export function writtenInputs(name: OpName, inputs: readonly Value[]): Value[] {
  return inputs.filter((_, i) => writtenByName[name]?.includes(i) ?? i !== 1);
}

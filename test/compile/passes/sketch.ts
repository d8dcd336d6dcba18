/** Small programs by hand, and their operations as text. */
import { tensor, type AnyTensor, type DType } from '../../../lib';
import {
  newValue,
  viewOf,
  writtenInputs,
  type Graph,
  type LiveSlot,
  type Operation,
  type Value,
} from '../../../lib/compile/ir';
import { opTable, type OpName } from '../../../lib/ops/table';
import { contiguousStrides, type Shape } from '../../../lib/tensor/shape';

interface Details {
  readonly shape?: Shape;
  readonly dtype?: DType;
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
  readonly live?: LiveSlot;
  readonly apart?: number;
}

/** A program in the making. Its values have names; those that a pass adds are called new0, new1, … */
export class Sketch {
  private readonly names = new Map<Value, string>();
  private readonly inputs: Value[] = [];
  readonly operations: Operation[] = [];

  input(name: string, shape: Shape = [4], dtype: DType = 'float32'): Value {
    this.inputs.push(newValue('input', dtype, shape));
    return this.named(name, this.inputs[this.inputs.length - 1]);
  }

  /** A float32 tensor from outside, all 1, or one that is given. */
  captured(name: string, like: Shape | AnyTensor = [4]): Value {
    const given = 'dtype' in like;
    const size = given ? 0 : like.reduce((product, extent) => product * extent, 1);
    const x = given ? like : tensor(new Float32Array(size).fill(1), { shape: [...like] });
    return this.named(name, newValue('captured', x.dtype, x.shape, x.strides, x.isContiguous, x));
  }

  /** An operation with one result: of its first input's shape and dtype, where nothing else is said. */
  op(name: string, op: OpName, inputs: readonly Value[], details: Details = {}): Value {
    return this.many([name], op, inputs, details)[0];
  }

  /** One with several results, all alike. */
  many(names: readonly string[], op: OpName, inputs: readonly Value[], details: Details = {}): Value[] {
    const { shape = inputs[0]?.shape ?? [], dtype = inputs[0]?.dtype ?? 'float32' } = details;
    const outputs = names.map((name) => this.named(name, newValue('result', dtype, shape)));
    this.push(op, inputs, outputs, details);
    return outputs;
  }

  /** An operation that overwrites inputs. */
  update(op: OpName, inputs: readonly Value[], details: Details = {}): void {
    this.push(op, inputs, [], details);
  }

  /** `base` from element `offset` on, in another shape. */
  view(base: Value, shape: Shape, offset = 0, strides: Shape = contiguousStrides(shape)): Value {
    return viewOf(base, shape, strides, strides.join() === contiguousStrides(shape).join(), offset);
  }

  private push(name: OpName, inputs: readonly Value[], outputs: readonly Value[], details: Details): void {
    const { ints = [], floats = [], live = null, apart } = details;
    const writes = opTable[name].outputs === 0 ? writtenInputs(name, inputs) : [];
    this.operations.push({ name, inputs, outputs, ints, floats, writes, live, origin: null, apart });
  }

  private named(name: string, value: Value): Value {
    this.names.set(value, name);
    return value;
  }

  graph(...outputs: readonly Value[]): Graph {
    return { inputs: this.inputs, operations: this.operations, outputs };
  }

  /** A value's name; of a view, its root's, shape and offset. */
  nameOf(value: Value): string {
    const { root, shape, offset } = value;
    if (!this.names.has(root)) {
      const made = [...this.names.values()].filter((name) => name.startsWith('new')).length;
      this.names.set(root, `new${String(made)}`);
    }
    const name = this.names.get(root) as string;
    return value === root ? name : `${name}[${shape.join()} at ${String(offset)}]`;
  }

  /** The operations as `result = name(input, attribute)`. */
  lines({ operations }: Graph): string[] {
    return operations.map(({ name, inputs, outputs, ints, floats }) => {
      const call = `${name}(${[...inputs.map((value) => this.nameOf(value)), ...ints, ...floats].join(', ')})`;
      return outputs.length === 0 ? call : `${outputs.map((value) => this.nameOf(value)).join(', ')} = ${call}`;
    });
  }

  outputs({ outputs }: Graph): string[] {
    return outputs.map((value) => this.nameOf(value));
  }
}

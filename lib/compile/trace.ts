/** Writes the operations of a step down instead of running them. */
import { TraceError } from '../errors';
import type { OpName } from '../ops/table';
import { cpu, deviceName } from '../tensor/device';
import type { Recorder } from '../tensor/recorder';
import { formatShape, type Shape } from '../tensor/shape';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { newValue, viewOf, writtenInputs, type Operation, type Value } from './ir';
import { Origin } from './where';

/** Traced tensors have negative handles, each once in the life of the process. -1 is nobody's: see {@link Replay}. */
let nextHandle = -2;

/** What is run again before each run, for its attributes; see `live`. */
export interface LiveSection {
  readonly fn: () => unknown;
  /** How many operations it records. */
  count: number;
}

/** The recorder of a trace. */
export class Trace implements Recorder {
  readonly operations: Operation[] = [];
  readonly sections: LiveSection[] = [];
  readonly guards: (() => boolean)[] = [];
  private readonly values = new Map<number, Value>();
  private readonly captured = new Map<AnyTensor, Value>();
  private readonly constants = new Set<AnyTensor>();
  private readonly undos: (() => void)[] = [];
  private section: number | null = null;
  private where: number | undefined;
  private sectionsApart = 0;
  private apartIn: number | undefined;

  constructor(private readonly step: string) {}

  /** A traced tensor that stands for an argument. */
  input(like: AnyTensor): Tensor {
    const tensor = new Tensor(like.shape, like.dtype);
    tensor._device = like._device;
    this.place(tensor);
    this.give(tensor, newValue('input', like.dtype, like.shape));
    tensor._requiresGrad = like._requiresGrad && like._node === null;
    return tensor as Tensor;
  }

  /** The value that a tensor stands for. */
  valueOf(tensor: AnyTensor): Value {
    if (tensor._handle < 0) {
      const value = this.values.get(tensor._handle);
      if (value !== undefined) return value;
      throw this.error('a tensor of another compiled step was used; it has no values outside of that step');
    }
    return this.capture(tensor);
  }

  private capture(tensor: AnyTensor): Value {
    const known = this.captured.get(tensor);
    if (known !== undefined) return known;
    if (tensor._node !== null) {
      throw this.error(
        `a tensor of shape ${formatShape(tensor.shape)} that was computed outside of the step and requires a gradient ` +
          'was used in it; compute it in the step, or detach() it',
      );
    }
    const { dtype, shape, strides, isContiguous, _requiresGrad: requiresGrad, _device: device } = tensor;
    this.place(tensor);
    const value = newValue('captured', dtype, shape, strides, isContiguous, tensor);
    this.captured.set(tensor, value);
    this.guard(() => tensor._requiresGrad === requiresGrad && tensor._device === device);
    return value;
  }

  private give(tensor: AnyTensor, value: Value): void {
    tensor._handle = nextHandle--;
    this.values.set(tensor._handle, value);
  }

  op(
    name: OpName,
    inputs: readonly AnyTensor[],
    outputs: readonly AnyTensor[],
    ints: readonly number[],
    floats: readonly number[],
  ): void {
    const made = outputs.map(({ dtype, shape }) => newValue('result', dtype, shape));
    outputs.forEach((tensor, i) => {
      this.give(tensor, made[i]);
      this.place(tensor);
    });
    this.write(name, inputs, made, ints, floats);
  }

  /** The number of the device that all operations are on; that of the first. */
  get device(): number {
    return this.where ?? cpu;
  }

  private place(tensor: AnyTensor): void {
    this.where ??= tensor._device;
    if (tensor._device === this.where) return;
    throw this.error(
      `a step stays on one device, but this one works on ${deviceName(this.where)} and ${tensor.device}`,
    );
  }

  inPlace(name: OpName, inputs: readonly AnyTensor[], ints: readonly number[], floats: readonly number[]): void {
    this.place(inputs[0]);
    this.write(name, inputs, [], ints, floats);
  }

  private write(
    name: OpName,
    tensors: readonly AnyTensor[],
    outputs: readonly Value[],
    ints: readonly number[],
    floats: readonly number[],
  ): void {
    const inputs = tensors.map((tensor) => this.valueOf(tensor));
    const writes = outputs.length === 0 ? writtenInputs(name, inputs) : [];
    for (const value of writes) {
      if (value.kind === 'input') throw this.error(`${name}: an argument of the step would be changed in place`);
      if (value.tensor !== null && this.constants.has(value.tensor)) {
        throw this.error(`${name}: a constant of the step would be changed in place`);
      }
    }
    const live = this.section === null ? null : { section: this.section, index: this.sections[this.section].count++ };
    // The arrays may be the caller's own.
    this.operations.push({
      name,
      inputs,
      outputs,
      ints: [...ints],
      floats: [...floats],
      writes,
      live,
      origin: new Origin(),
      apart: this.apartIn,
    });
  }

  view(base: AnyTensor, view: AnyTensor, strides: Shape, offset: number): void {
    this.give(view, viewOf(this.valueOf(base), view.shape, strides, view.isContiguous, offset));
  }

  constant(tensor: AnyTensor): void {
    tensor._retain();
    this.constants.add(tensor);
  }

  live<T>(fn: () => T): T {
    if (this.section !== null) return fn();
    this.section = this.sections.length;
    this.sections.push({ fn, count: 0 });
    try {
      return fn();
    } finally {
      this.section = null;
    }
  }

  apart<T>(fn: () => T): T {
    const before = this.apartIn;
    this.apartIn = this.sectionsApart++;
    try {
      return fn();
    } finally {
      this.apartIn = before;
    }
  }

  onAbandon(undo: () => void): void {
    this.undos.push(undo);
  }

  guard(holds: () => boolean): void {
    this.guards.push(holds);
  }

  checkReadable(op: string, x: AnyTensor): void {
    if (this.constants.has(x)) return;
    throw this.error(
      `${op}: the values of a tensor of shape ${formatShape(x.shape)} were read, but operations have not run yet; ` +
        'return the tensor and read it after the step',
    );
  }

  refuse(problem: string): never {
    throw this.error(problem);
  }

  addToGrad(leaf: AnyTensor): void {
    if (leaf.grad === null || leaf.grad._handle < 0) return;
    throw this.error(
      `backward: a tensor of shape ${formatShape(leaf.shape)} has a gradient from outside of the step; ` +
        'call zeroGrad() in the step, before backward()',
    );
  }

  private error(problem: string): TraceError {
    const { line } = new Origin();
    return new TraceError(`${this.step}: ${problem}${line === '' ? '' : ` (at ${line})`}`);
  }

  /** Takes back what was done beside recording. */
  abandon(): void {
    for (const undo of this.undos.reverse()) undo();
    this.release();
    this.dropGrads();
  }

  /** Gives the constants back. */
  release(): void {
    for (const tensor of this.constants) tensor._release();
    this.constants.clear();
  }

  /** Gradients that the step leaves behind have no values: they go. */
  dropGrads(): void {
    for (const tensor of this.captured.keys()) {
      if (tensor.grad !== null && tensor.grad._handle < 0) tensor.grad = null;
      if (tensor.sparseGrad !== null && tensor.sparseGrad.values._handle < 0) tensor.sparseGrad = null;
    }
  }
}

/** The attributes of one operation. */
export interface Attributes {
  readonly name: OpName;
  readonly ints: readonly number[];
  readonly floats: readonly number[];
}

/** Collects the attributes of the operations of a live section, which does not record anything. */
export class Replay implements Recorder {
  readonly attributes: Attributes[] = [];

  op(...[name, , outputs, ints, floats]: Parameters<Recorder['op']>): void {
    for (const tensor of outputs) tensor._handle = -1;
    this.attributes.push({ name, ints, floats });
  }

  inPlace(...[name, , ints, floats]: Parameters<Recorder['inPlace']>): void {
    this.attributes.push({ name, ints, floats });
  }

  view(_: AnyTensor, view: AnyTensor): void {
    view._handle = -1;
  }

  constant(): void {
    throw new TraceError('a live section made a constant');
  }

  live<T>(fn: () => T): T {
    return fn();
  }

  apart<T>(fn: () => T): T {
    return fn();
  }

  private readonly undos: (() => void)[] = [];

  onAbandon(undo: () => void): void {
    this.undos.push(undo);
  }

  /** Takes back what the sections have counted. */
  abandon(): void {
    for (const undo of this.undos.reverse()) undo();
  }

  guard(): void {
    // The trace has the guards.
  }

  checkReadable(op: string): void {
    throw new TraceError(`${op}: values were read in a live section`);
  }

  refuse(problem: string): never {
    throw new TraceError(problem);
  }

  addToGrad(): void {
    // Nothing is added to: there are no gradients here.
  }
}

/** How an operation reaches native code: numbers into the shared array, one call, one new tensor. */
import { checkResult, isAnomalyDetected } from '../autograd/anomaly';
import { DeviceError, DisposedError, TraceError } from '../errors';
import { native, nativeError, scratch, Scratch } from '../native';
import { activeRecorder, type Recorder } from '../tensor/recorder';
import { defaultDeviceCode } from '../tensor/device';
import { dtypeCode, type DType } from '../tensor/dtype';
import { currentScope } from '../tensor/scope';
import { formatShape, type Shape } from '../tensor/shape';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { Op, type OpName } from './table';

const none: readonly number[] = [];

/** Returns the device that all inputs are on. */
function writeCall(
  op: OpName,
  inputs: readonly AnyTensor[],
  ints: readonly number[],
  floats: readonly number[],
  whereNew: number | undefined,
): number {
  const device = deviceOf(op, inputs, whereNew);
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (input._disposed) disposed(op, inputs, i);
    if (input._handle < 0) onlyTraced(op);
    scratch[Scratch.inputs + i] = input._handle;
  }
  for (let i = 0; i < ints.length; i++) scratch[Scratch.ints + i] = ints[i];
  for (let i = 0; i < floats.length; i++) scratch[Scratch.floats + i] = floats[i];
  scratch[Scratch.op] = Op[op];
  scratch[Scratch.device] = device;
  return device;
}

/** The one device of the inputs; without inputs the one asked for, else the default one. */
function deviceOf(op: OpName, inputs: readonly AnyTensor[], whereNew: number | undefined): number {
  if (inputs.length === 0) return whereNew ?? defaultDeviceCode();
  const { _device: device } = inputs[inputs.length - 1];
  for (let i = 0; i < inputs.length - 1; i++) {
    if (inputs[i]._device !== device && !(i === 0 && op === 'fused')) severalDevices(op, inputs);
  }
  return device;
}

function severalDevices(op: string, inputs: readonly AnyTensor[]): never {
  const names = [...new Set(inputs.map(({ device }) => device))];
  throw new DeviceError(`${op}: operands are on ${names.join(' and ')}; move one with .to(device)`);
}

function disposed(op: string, inputs: readonly AnyTensor[], i: number): never {
  const which = inputs.length > 1 ? `input ${String(i)}` : 'the tensor';
  throw new DisposedError(`${op}: ${which} of shape ${formatShape(inputs[i].shape)} was disposed`);
}

/** @internal For a tensor that stands for a value of a compiled step and has none itself. */
export function onlyTraced(op: string): never {
  throw new TraceError(`${op}: this tensor was made while a step was compiled; it has no values outside of the step`);
}

/** Registers a tensor whose handle is from a recorder. */
function recorded<T extends AnyTensor>(tensor: T): T {
  currentScope()?.add(tensor);
  return tensor;
}

function checkInputs(op: OpName, inputs: readonly AnyTensor[]): void {
  for (let i = 0; i < inputs.length; i++) if (inputs[i]._disposed) disposed(op, inputs, i);
}

/** Describes a new tensor, its dtype and shape, at an output's place in the shared array. */
export function writeOutput(shape: Shape, dtype: DType, number = 0): void {
  const place = Scratch.outputs + number * Scratch.outputSize;
  scratch[place] = dtypeCode[dtype];
  scratch[place + 1] = shape.length;
  for (let axis = 0; axis < shape.length; axis++) scratch[place + 2 + axis] = shape[axis];
}

/** Registers a new tensor with the current scope, or finishes what the native call began. */
export function finish<T extends AnyTensor>(op: string, tensor: T, handle: number): T {
  if (handle === 0) throw nativeError(op);
  tensor._handle = handle;
  currentScope()?.add(tensor);
  if (isAnomalyDetected()) checkResult(op, tensor);
  return tensor;
}

/** The object a native call should hold weakly: none inside a scope, which holds its tensors itself. */
export function owner(tensor: AnyTensor): AnyTensor | undefined {
  return currentScope() === null ? tensor : undefined;
}

/**
 * Runs an operation with one output. Shapes and dtypes have been checked by the caller, with messages
 * for people; native code checks them again, and allocates the output on the device of the inputs.
 * @param whereNew of an operation without inputs the device's number; default: that of setDefaultDevice
 */
export function run<D extends DType>(
  op: OpName,
  inputs: readonly AnyTensor[],
  shape: Shape,
  dtype: D,
  ints: readonly number[] = none,
  floats: readonly number[] = none,
  whereNew?: number,
): Tensor<D> {
  const recorder = activeRecorder();
  const tensor = new Tensor(shape, dtype);
  if (recorder !== null) {
    tensor._device = deviceOf(op, inputs, whereNew);
    return recordOne(recorder, op, inputs, tensor, ints, floats);
  }
  tensor._device = writeCall(op, inputs, ints, floats, whereNew);
  writeOutput(shape, dtype);
  return finish(op, tensor, native.run(owner(tensor)));
}

function recordOne<T extends AnyTensor>(
  recorder: Recorder,
  op: OpName,
  inputs: readonly AnyTensor[],
  output: T,
  ints: readonly number[],
  floats: readonly number[],
): T {
  checkInputs(op, inputs);
  recorder.op(op, inputs, [output], ints, floats);
  return recorded(output);
}

/** {@link run} for an operation with several outputs, each given by its shape and dtype. */
export function runMany(
  op: OpName,
  inputs: readonly AnyTensor[],
  outputs: readonly (readonly [Shape, DType])[],
  ints: readonly number[] = none,
  floats: readonly number[] = none,
  whereNew?: number,
): AnyTensor[] {
  const recorder = activeRecorder();
  if (recorder !== null) {
    checkInputs(op, inputs);
    const made = outputs.map(([shape, dtype]): AnyTensor => new Tensor(shape, dtype));
    const device = deviceOf(op, inputs, whereNew);
    for (const tensor of made) tensor._device = device;
    recorder.op(op, inputs, made, ints, floats);
    return made.map(recorded);
  }
  const device = writeCall(op, inputs, ints, floats, whereNew);
  const tensors = outputs.map(([shape, dtype], i): AnyTensor => {
    writeOutput(shape, dtype, i);
    const tensor: AnyTensor = new Tensor(shape, dtype);
    tensor._device = device;
    return tensor;
  });
  if (native.run(...tensors.map(owner)) === 0) throw nativeError(op);
  // Read before anything else uses the shared array.
  const handles = tensors.map((_, i) => scratch[Scratch.inputs + i]);
  return tensors.map((tensor, i) => finish(op, tensor, handles[i]));
}

/** Runs an operation that updates its first input, and for some ops its state, in place. */
export function runInPlace(
  op: OpName,
  inputs: readonly AnyTensor[],
  ints: readonly number[] = none,
  floats: readonly number[] = none,
): void {
  const recorder = activeRecorder();
  if (recorder !== null) {
    checkInputs(op, inputs);
    deviceOf(op, inputs, undefined);
    recorder.inPlace(op, inputs, ints, floats);
    changed(inputs[0]);
    return;
  }
  writeCall(op, inputs, ints, floats, undefined);
  if (native.run() === 0) throw nativeError(op);
  changed(inputs[0]);
}

/** Notes that a tensor's elements were changed, for all views of its memory. */
export function changed(target: AnyTensor): void {
  (target._base ?? target)._version++;
}

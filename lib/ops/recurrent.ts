/** Recurrent layers over whole sequences: one direction of one layer. */
import { valuesAreThere } from '../tensor/recorder';
import { cast } from './copies';
import { recordMany } from '../autograd/many';
import { isGradEnabled, isRecording, noGrad } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { full, tensor } from '../tensor/creation';
import type { DType } from '../tensor/dtype';
import { formatShape, sameShape, type Shape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { requireFloat, requireSame } from './reduce';
import {
  backStepByStep,
  stepByStep,
  type CellKind,
  type RecurrentInputs,
  type RecurrentOutputs,
} from './recurrentSteps';
import { runMany } from './run';

export type { CellKind, RecurrentInputs, RecurrentOutputs } from './recurrentSteps';

const gateCount: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, tanh: 1, relu: 1 };

/** The number of gates that a cell's weights are stacked of. */
export function gatesOf(kind: CellKind): number {
  return gateCount[kind];
}

/** The results of a native run: y, the final states, and what the way back needs. */
interface NativeOutputs extends RecurrentOutputs {
  gates: Tensor;
  /** c after every step, of an LSTM. */
  cells: Tensor | null;
}

/** With `keeps`, gates and cells are filled for the way back; without they are empty. */
function nativeForward(kind: CellKind, x: RecurrentInputs, keeps: boolean): NativeOutputs {
  const [steps] = x.projections.shape;
  const [n, hidden] = x.h0.shape;
  const kept = keeps ? steps : 0;
  const f32 = (...shape: number[]) => [shape, 'float32'] as const;
  const state = f32(n, hidden);
  const shared = [f32(steps, n, hidden), state];
  const inputs: AnyTensor[] = [x.projections, x.weight, x.lengths, x.h0];
  const reverse = Number(x.reverse);
  if (kind === 'lstm') {
    const outputs = [...shared, f32(kept, n, 4 * hidden), state, f32(kept, n, hidden)];
    const [y, h, gates, c, cells] = runMany('lstm', [...inputs, x.c0 as Tensor], outputs, [reverse]) as Tensor[];
    return { y, h, c, gates, cells };
  }
  const [y, h, gates] = (
    kind === 'gru'
      ? runMany('gru', [...inputs, x.hiddenBias as Tensor], [...shared, f32(kept, n, 4 * hidden)], [reverse])
      : runMany('rnn', inputs, [...shared, f32(kept, n, hidden)], [reverse, Number(kind === 'relu')])
  ) as Tensor[];
  return { y, h, c: null, gates, cells: null };
}

/** From the gradients of y, h and c to those of the projections, h0, the weight, then c0 or the hidden bias. */
function nativeBackward(
  kind: CellKind,
  x: RecurrentInputs,
  [y, gates, cells]: readonly Tensor[],
  grads: readonly Tensor[],
): Tensor[] {
  const like = (of: AnyTensor) => [of.shape, 'float32'] as const;
  const inputs: AnyTensor[] = [grads[0], grads[1], gates, y, x.weight, x.lengths, x.h0];
  const outputs = [like(x.projections), like(x.h0), like(x.weight)];
  const reverse = Number(x.reverse);
  if (kind === 'lstm') {
    inputs.push(cells, x.c0 as Tensor, grads[2]);
    return runMany('lstmBackward', inputs, [...outputs, like(x.h0)], [reverse]) as Tensor[];
  }
  if (kind === 'gru') {
    return runMany('gruBackward', inputs, [...outputs, like(x.hiddenBias as Tensor)], [reverse]) as Tensor[];
  }
  return runMany('rnnBackward', inputs, outputs, [reverse, Number(kind === 'relu')]) as Tensor[];
}

/**
 * One direction of a recurrent layer. In float32 a fused native kernel runs all steps, forward and back; float64 and
 * higher derivatives go step by step through ordinary operations.
 * @internal The layers of lib/nn/recurrent.ts check shapes.
 */
export function recurrentLayer(kind: CellKind, given: RecurrentInputs): RecurrentOutputs {
  const { projections, h0, weight, c0, lengths, reverse } = given;
  const missing = kind === 'gru' && given.hiddenBias === null;
  const hiddenBias = missing ? full([h0.shape[1]], 0, { like: h0 }) : given.hiddenBias;
  const last = c0 ?? hiddenBias;
  const variables = [projections, h0, weight, ...(last === null ? [] : [last])];
  for (const variable of variables) requireSame('recurrent', projections, variable);
  const x = { ...given, hiddenBias };
  const isNative = (projections.dtype as DType) === 'float32';
  const records = variables.some((variable) => isRecording(variable));
  const steps = (): NativeOutputs => ({ ...stepByStep(kind, x), gates: h0, cells: null });
  const outputs = isNative ? nativeForward(kind, x, records) : noGrad(steps);
  const { y, h, c, gates, cells } = outputs;
  if (!records) {
    if (isNative) for (const empty of [gates, cells]) empty?.dispose();
    return { y, h, c };
  }
  const kept = isNative ? [y, gates, ...(cells === null ? [] : [cells])] : [];
  const saved = [...variables, lengths, ...kept];
  recordMany(kind, c === null ? [y, h] : [y, h, c], variables, saved, (grads, node) => {
    const own = node.saved.slice(0, variables.length) as Tensor[];
    const [limits, ...results] = node.saved.slice(variables.length);
    const again: RecurrentInputs = {
      projections: own[0],
      h0: own[1],
      weight: own[2],
      c0: c0 === null ? null : own[3],
      hiddenBias: hiddenBias === null ? null : own[3],
      lengths: limits as Tensor<'int32'>,
      reverse,
    };
    if (!isNative || isGradEnabled()) return backStepByStep(kind, again, grads);
    return nativeBackward(kind, again, results as Tensor[], grads);
  });
  return { y, h, c };
}

/**
 * @internal Valid steps per row as an int32 vector on the device of `like`, all of them by default.
 * @throws ShapeError, DTypeError, RangeError naming what does not fit.
 */
export function checkLengths(
  op: string,
  lengths: AnyTensor | ArrayLike<number> | undefined,
  n: number,
  steps: number,
  like: AnyTensor,
): Tensor<'int32'> {
  if (lengths === undefined) return full([n], steps, { dtype: 'int32', like });
  if (isTensor(lengths) && !valuesAreThere()) return checkedLater(op, lengths, n);
  const values = Int32Array.from(isTensor(lengths) ? tensorLengths(op, lengths) : arrayLengths(op, lengths));
  checkCount(op, values.length, n);
  values.forEach((length, row) => {
    if (length < 0 || length > steps) {
      throw new RangeError(`${op}: length ${String(length)} of row ${String(row)} is outside [0, ${String(steps)}]`);
    }
  });
  return tensor(values, { dtype: 'int32', like });
}

/** In a compiled step the kernel checks the values, at each run. */
function checkedLater(op: string, lengths: AnyTensor, n: number): Tensor<'int32'> {
  checkLengthsTensor(op, lengths);
  checkCount(op, lengths.size, n);
  return cast(lengths, 'int32');
}

function checkCount(op: string, count: number, n: number): void {
  if (count === n) return;
  throw new ShapeError(`${op}: lengths must have one entry for each of the ${String(n)} rows, got ${String(count)}`);
}

function checkLengthsTensor(op: string, lengths: AnyTensor): void {
  lengths._check(op);
  const { dtype } = lengths;
  if (dtype !== 'int32' && dtype !== 'int64') {
    throw new DTypeError(`${op}: lengths must be integers, int32 or int64, got ${dtype}`);
  }
  if (lengths.rank !== 1) throw new ShapeError(`${op}: lengths must be a vector, got ${formatShape(lengths.shape)}`);
}

function tensorLengths(op: string, lengths: AnyTensor): ArrayLike<number> {
  checkLengthsTensor(op, lengths);
  return Array.from(lengths.dataSync() as ArrayLike<number | bigint>, Number);
}

function arrayLengths(op: string, lengths: ArrayLike<number>): ArrayLike<number> {
  if (typeof lengths !== 'object' || (lengths as object | null) === null) {
    throw new TypeError(`${op}: lengths must be an array or a tensor of integers`);
  }
  const values = Array.from(lengths);
  values.forEach((length, row) => {
    // What does not fit 32 bits would wrap.
    if (!Number.isInteger(length) || Math.abs(length) > 2 ** 31 - 1) {
      throw new RangeError(`${op}: length ${String(length)} of row ${String(row)} is not a number of steps`);
    }
  });
  return values;
}

/** @internal */
export function checkState(op: string, name: string, state: AnyTensor, shape: Shape): Tensor {
  const x = requireFloat(op, name, state);
  if (!sameShape(x.shape, shape)) {
    throw new ShapeError(`${op}: ${name} ${formatShape(x.shape)} must have shape ${formatShape(shape)}`);
  }
  return x;
}

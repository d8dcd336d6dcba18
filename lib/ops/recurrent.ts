/** Recurrent layers over whole sequences: one direction of one layer. */
import { gradients } from '../autograd/backward';
import { recordMany } from '../autograd/many';
import { isGradEnabled, isRecording } from '../autograd/node';
import { ShapeError } from '../errors';
import { full, tensor } from '../tensor/creation';
import type { DType } from '../tensor/dtype';
import { formatShape, type Shape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { add, mul, sub } from './binary';
import { greater, where } from './compare';
import { cast } from './copies';
import { matmul } from './matmul';
import { chunk, stack } from './rearrange';
import { requireFloat, requireSame } from './reduce';
import { runMany } from './run';
import { relu, sigmoid, tanh } from './unary';
import { reshape, slice, transpose } from './views';

/** The cells: an LSTM, a GRU, and plain ones with tanh or relu. */
export type CellKind = 'lstm' | 'gru' | 'tanh' | 'relu';

/** What one direction of a layer needs. */
export interface RecurrentInputs {
  /** The inputs' projections with all biases but the GRU's hidden one: [steps, n, gates·hidden]. */
  projections: Tensor;
  /** [gates·hidden, hidden] */
  weight: Tensor;
  /** The bias of the GRU's new gate that stands inside the product with the reset gate: [hidden]. */
  hiddenBias: Tensor | null;
  /** [n, hidden] */
  h0: Tensor;
  /** [n, hidden], of an LSTM. */
  c0: Tensor | null;
  /** int32 [n]: the valid steps of each row. */
  lengths: Tensor<'int32'>;
  /** From the last valid step to the first. */
  reverse: boolean;
}

/** What one direction of a layer gives. */
export interface RecurrentOutputs {
  /** [steps, n, hidden]; 0 beyond a row's length. */
  y: Tensor;
  /** The state after the last step taken: [n, hidden]. */
  h: Tensor;
  c: Tensor | null;
}

const gateCount: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, tanh: 1, relu: 1 };

/** One step by differentiable operations: [n, gates·hidden] and the state to the next state. */
export function cellStep(
  kind: CellKind,
  input: Tensor,
  h: Tensor,
  c: Tensor | null,
  weight: Tensor,
  hiddenBias: Tensor | null,
): { h: Tensor; c: Tensor | null } {
  const product = matmul(h, transpose(weight));
  if (kind === 'lstm') {
    const [i, f, g, o] = chunk(add(input, product), 4, -1);
    const next = add(mul(sigmoid(f), c as Tensor), mul(sigmoid(i), tanh(g)));
    return { h: mul(sigmoid(o), tanh(next)), c: next };
  }
  if (kind === 'gru') {
    const [r, z, n] = chunk(input, 3, -1);
    const [hr, hz, hn] = chunk(product, 3, -1);
    const hidden = hiddenBias === null ? hn : add(hn, hiddenBias);
    const fresh = tanh(add(n, mul(sigmoid(add(r, hr)), hidden)));
    return { h: add(fresh, mul(sigmoid(add(z, hz)), sub(h, fresh))), c: null };
  }
  const sum = add(input, product);
  return { h: kind === 'relu' ? relu(sum) : tanh(sum), c: null };
}

/** Step by step by differentiable operations: for float64 and for higher derivatives. */
function composite(kind: CellKind, x: RecurrentInputs): RecurrentOutputs {
  const [steps] = x.projections.shape;
  const outputs = new Array<Tensor>(steps);
  let { h0: h, c0: c } = x;
  for (let s = 0; s < steps; s++) {
    const t = x.reverse ? steps - 1 - s : s;
    const next = cellStep(kind, slice(x.projections, t), h, c, x.weight, x.hiddenBias);
    const active = reshape(greater(x.lengths, t), [x.lengths.size, 1]);
    h = where(active, next.h, h);
    if (c !== null && next.c !== null) c = where(active, next.c, c);
    outputs[t] = where(active, next.h, 0);
  }
  return { y: stack(outputs), h, c };
}

/** The tensors of `x` that may have gradients, in the order of the native backward's results. */
function variablesOf(x: RecurrentInputs): Tensor[] {
  return [x.projections, x.h0, x.weight, x.c0 ?? x.hiddenBias].filter((v): v is Tensor => v !== null);
}

function withVariables(x: RecurrentInputs, [projections, h0, weight, last]: readonly Tensor[]): RecurrentInputs {
  return {
    ...x,
    projections,
    h0,
    weight,
    c0: x.c0 === null ? null : last,
    hiddenBias: x.hiddenBias === null ? null : last,
  };
}

/** The gradients of a step-by-step run, themselves differentiable. */
function compositeGradients(
  kind: CellKind,
  x: RecurrentInputs,
  variables: readonly Tensor[],
  grads: readonly Tensor[],
): Tensor[] {
  const leaves = variables.map((v) => {
    if (v.requiresGrad) return v;
    const leaf = v.detach();
    leaf.requiresGrad = true;
    return leaf;
  });
  const { y, h, c } = composite(kind, withVariables(x, leaves));
  const outputs = c === null ? [y, h] : [y, h, c];
  const total = outputs.map((out, i) => mul(out, grads[i]).sum()).reduce((a, b) => add(a, b));
  return gradients(total, leaves, { createGraph: true });
}

/** With `keeps`, also what the way back needs. */
function nativeForward(kind: CellKind, x: RecurrentInputs, keeps: boolean): Tensor[] {
  const y = [x.projections.shape[0], ...x.h0.shape];
  const [steps, n, hidden] = y;
  const kept = keeps ? steps : 0;
  const saved = [kept, n, (kind === 'lstm' || kind === 'gru' ? 4 : 1) * hidden];
  const f32 = (shape: Shape) => [shape, 'float32'] as const;
  const inputs: AnyTensor[] = [x.projections, x.weight, x.lengths, x.h0];
  const reverse = Number(x.reverse);
  switch (kind) {
    case 'lstm': {
      const outputs = [f32(y), f32(x.h0.shape), f32(saved), f32(x.h0.shape), f32([kept, n, hidden])];
      return runMany('lstm', [...inputs, x.c0 as Tensor], outputs, [reverse]) as Tensor[];
    }
    case 'gru':
      return runMany(
        'gru',
        [...inputs, x.hiddenBias as Tensor],
        [f32(y), f32(x.h0.shape), f32(saved)],
        [reverse],
      ) as Tensor[];
    default:
      return runMany(
        'rnn',
        inputs,
        [f32(y), f32(x.h0.shape), f32(saved)],
        [reverse, Number(kind === 'relu')],
      ) as Tensor[];
  }
}

/** The saved tensors come in nativeForward's order after the variables: y, saved and, for an LSTM, all c. */
function nativeBackward(
  kind: CellKind,
  grads: readonly Tensor[],
  saved: readonly AnyTensor[],
  reverse: boolean,
): Tensor[] {
  const [projections, h0, weight, lengths, y, gates, last, cells] = saved;
  const inputs = [grads[0], grads[1], gates, y, weight, lengths, h0];
  const like = (x: AnyTensor) => [x.shape, 'float32'] as const;
  const outputs = [like(projections), like(h0), like(weight)];
  switch (kind) {
    case 'lstm':
      return runMany(
        'lstmBackward',
        [...inputs, cells, last, grads[2]],
        [...outputs, like(last)],
        [Number(reverse)],
      ) as Tensor[];
    case 'gru':
      return runMany('gruBackward', inputs, [...outputs, like(last)], [Number(reverse)]) as Tensor[];
    default:
      return runMany('rnnBackward', inputs, outputs, [Number(reverse), Number(kind === 'relu')]) as Tensor[];
  }
}

/**
 * One direction of a recurrent layer. In float32 a fused native kernel runs all steps; float64 and higher derivatives go
 * step by step through ordinary operations.
 * @internal The layers of lib/nn/recurrent.ts check shapes.
 */
export function recurrentLayer(kind: CellKind, x: RecurrentInputs): RecurrentOutputs {
  const given = variablesOf(x);
  given.forEach((v) => {
    requireSame('recurrent', given[0], v);
  });
  if ((x.projections.dtype as DType) === 'float64' || x.projections.shape[0] === 0) return composite(kind, x);
  const complete = kind === 'gru' && x.hiddenBias === null ? { ...x, hiddenBias: full([x.h0.shape[1]], 0) } : x;
  const variables = variablesOf(complete);
  const records = variables.some((v) => isRecording(v));
  const outputs = nativeForward(kind, complete, records);
  const [y, h, gates, c, cells] = outputs as (Tensor | undefined)[];
  const results = [y, h, ...(kind === 'lstm' ? [c] : [])] as Tensor[];
  if (records) {
    const [projections, h0, weight, last] = variables;
    const saved = [projections, h0, weight, x.lengths, y, gates, last, cells].map((v) => v ?? h0) as AnyTensor[];
    recordMany(kind, results, variables, saved, (grads, node) => {
      const kept = node.saved;
      if (!isGradEnabled()) return nativeBackward(kind, grads, kept, x.reverse);
      const again = [kept[0], kept[1], kept[2], kept[6]].slice(0, variables.length) as Tensor[];
      return compositeGradients(kind, { ...complete, lengths: kept[3] as Tensor<'int32'> }, again, grads);
    });
  } else {
    gates?.dispose();
    cells?.dispose();
  }
  return { y: results[0], h: results[1], c: results[2] ?? null };
}

/** The number of gates that a cell's weights are stacked of. */
export function gatesOf(kind: CellKind): number {
  return gateCount[kind];
}

/** @internal Valid steps per row as an int32 vector, all of them by default. */
export function checkLengths(
  op: string,
  lengths: AnyTensor | readonly number[] | undefined,
  n: number,
  steps: number,
): Tensor<'int32'> {
  if (lengths === undefined) return full([n], steps, { dtype: 'int32' });
  const given = isTensor(lengths) ? Array.from(cast(lengths, 'int32').dataSync()) : [...lengths];
  if (given.length !== n) {
    throw new ShapeError(
      `${op}: lengths must have one entry for each of the ${String(n)} rows, got ${String(given.length)}`,
    );
  }
  given.forEach((length, row) => {
    if (!Number.isInteger(length) || length < 0 || length > steps) {
      throw new RangeError(`${op}: length ${String(length)} of row ${String(row)} is outside [0, ${String(steps)}]`);
    }
  });
  return tensor(Int32Array.from(given));
}

/** @internal */
export function checkState(op: string, name: string, state: AnyTensor, shape: Shape): Tensor {
  const x = requireFloat(op, name, state);
  if (formatShape(x.shape) !== formatShape(shape)) {
    throw new ShapeError(`${op}: ${name} ${formatShape(x.shape)} must have shape ${formatShape(shape)}`);
  }
  return x;
}

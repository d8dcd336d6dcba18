/** Recurrent layers step by step by ordinary operations: for float64 and for higher derivatives. */
import { recordMany } from '../autograd/many';
import { isRecording, noGrad } from '../autograd/node';
import type { Tensor } from '../tensor/tensor';
import { add, mul, sub } from './binary';
import { greater, where } from './compare';
import { cast, concat } from './copies';
import { matmul } from './matmul';
import { chunk, stack } from './rearrange';
import { sum } from './reduce';
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

/** The matrices of x along axis 0. Their gradients come together in one piece, which one slice each would not do. */
function unstack(x: Tensor): Tensor[] {
  const parts = noGrad(() => Array.from({ length: x.shape[0] }, (_, i) => slice(x, i)));
  if (isRecording(x)) recordMany('unstack', parts, [x], [], (grads) => [stack(grads)]);
  return parts;
}

/** One step of a cell: its state before and after, and what its gates let through. */
interface Step {
  before: { h: Tensor; c: Tensor | null };
  h: Tensor;
  c: Tensor | null;
  /** i, f, g, o of an LSTM; r, z, n and the product within n of a GRU. */
  gates: readonly Tensor[];
}

/** [n, gates·hidden] and the state to the next state. */
function takeStep(kind: CellKind, input: Tensor, before: Step['before'], x: RecurrentInputs): Step {
  const product = matmul(before.h, transpose(x.weight));
  if (kind === 'lstm') {
    const [i, f, g, o] = chunk(add(input, product), 4, -1).map((gate, k) => (k === 2 ? tanh(gate) : sigmoid(gate)));
    const c = add(mul(f, before.c as Tensor), mul(i, g));
    return { before, h: mul(o, tanh(c)), c, gates: [i, f, g, o] };
  }
  if (kind === 'gru') {
    const [xr, xz, xn] = chunk(input, 3, -1);
    const [hr, hz, hn] = chunk(product, 3, -1);
    const [r, z] = [sigmoid(add(xr, hr)), sigmoid(add(xz, hz))];
    const hidden = x.hiddenBias === null ? hn : add(hn, x.hiddenBias);
    const fresh = tanh(add(xn, mul(r, hidden)));
    return { before, h: add(fresh, mul(z, sub(before.h, fresh))), c: null, gates: [r, z, fresh, hidden] };
  }
  const total = add(input, product);
  return { before, h: kind === 'relu' ? relu(total) : tanh(total), c: null, gates: [] };
}

/** The times of the steps in the order in which they are taken. */
function timesOf({ projections: { shape }, reverse }: RecurrentInputs): number[] {
  return Array.from({ length: shape[0] }, (_, k) => (reverse ? shape[0] - 1 - k : k));
}

/** bool [n, 1]: the rows that take part at time t. */
function activeAt(t: number, lengths: Tensor<'int32'>): Tensor<'bool'> {
  return reshape(greater(lengths, t), [lengths.size, 1]);
}

function takeSteps(kind: CellKind, x: RecurrentInputs): RecurrentOutputs & { steps: Step[] } {
  let { h0: h, c0: c } = x;
  const projections = unstack(x.projections);
  const y = new Array<Tensor>(projections.length);
  const steps = timesOf(x).map((t) => {
    const step = takeStep(kind, projections[t], { h, c }, x);
    const active = activeAt(t, x.lengths);
    h = where(active, step.h, h);
    if (c !== null && step.c !== null) c = where(active, step.c, c);
    y[t] = where(active, step.h, 0);
    return step;
  });
  return { y: stack(y), h, c, steps };
}

/** One direction of a layer. */
export function stepByStep(kind: CellKind, x: RecurrentInputs): RecurrentOutputs {
  const { y, h, c } = takeSteps(kind, x);
  return { y, h, c };
}

/** The slopes of σ and tanh by their values. */
const slope = (s: Tensor): Tensor => mul(s, sub(1, s));
const tanhSlope = (t: Tensor): Tensor => sub(1, mul(t, t));

/** The gradients of one step's products (with the inputs and with the state) and of the state before it. */
interface StepGradients {
  input: Tensor;
  product: Tensor;
  /** What reaches the state other than through the products. */
  h: Tensor | null;
  c: Tensor | null;
}

function stepBack(kind: CellKind, { before, h, c, gates }: Step, dh: Tensor, dc: Tensor | null): StepGradients {
  if (kind === 'lstm') {
    const [i, f, g, o] = gates;
    const t = tanh(c as Tensor);
    const inner = add(dc as Tensor, mul(mul(dh, o), tanhSlope(t)));
    const parts = [
      mul(mul(inner, g), slope(i)),
      mul(mul(inner, before.c as Tensor), slope(f)),
      mul(mul(inner, i), tanhSlope(g)),
      mul(mul(dh, t), slope(o)),
    ];
    const grads = concat(parts, -1);
    return { input: grads, product: grads, h: null, c: mul(inner, f) };
  }
  if (kind === 'gru') {
    const [r, z, fresh, hidden] = gates;
    const dFresh = mul(mul(dh, sub(1, z)), tanhSlope(fresh));
    const dZ = mul(mul(dh, sub(before.h, fresh)), slope(z));
    const dR = mul(mul(dFresh, hidden), slope(r));
    return {
      input: concat([dR, dZ, dFresh], -1),
      product: concat([dR, dZ, mul(dFresh, r)], -1),
      h: mul(dh, z),
      c: null,
    };
  }
  const grads = kind === 'relu' ? mul(dh, cast(greater(h, 0), h.dtype)) : mul(dh, tanhSlope(h));
  return { input: grads, product: grads, h: null, c: null };
}

/** [steps, n, k] as [steps·n, k] */
function flat(parts: readonly Tensor[]): Tensor {
  const all = stack(parts);
  return reshape(all, [all.shape[0] * all.shape[1], all.shape[2]]);
}

/**
 * Backpropagation through time: from the gradients of y, h and (of an LSTM) c to those of the projections, h0, the
 * weight, then c0 or the hidden bias.
 */
export function backStepByStep(kind: CellKind, x: RecurrentInputs, grads: readonly Tensor[]): Tensor[] {
  const { steps } = takeSteps(kind, x);
  const times = timesOf(x);
  const inputs = new Array<Tensor>(steps.length);
  const products = new Array<Tensor>(steps.length);
  const dy = unstack(grads[0]);
  let [, dh, dc] = grads as [Tensor, Tensor, Tensor | undefined];
  for (let k = steps.length - 1; k >= 0; k--) {
    const active = activeAt(times[k], x.lengths);
    const back = stepBack(kind, steps[k], add(dh, dy[times[k]]), dc ?? null);
    inputs[times[k]] = where(active, back.input, 0);
    products[k] = where(active, back.product, 0);
    const around = where(active, back.h ?? 0, dh);
    dh = add(around, matmul(products[k], x.weight));
    if (dc !== undefined && back.c !== null) dc = where(active, back.c, dc);
  }
  const all = flat(products);
  const dWeight = matmul(transpose(all), flat(steps.map(({ before }) => before.h)));
  const result = [stack(inputs), dh, dWeight];
  if (dc !== undefined) result.push(dc);
  if (x.hiddenBias !== null) result.push(sum(slice(all, null, [2 * x.hiddenBias.size]), 0));
  return result;
}

/** Softmax and its logarithm. */
import { isRecording, record } from '../autograd/node';
import type { DType } from '../tensor/dtype';
import { checkAxis } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import type { AnyTensor } from '../tensor/tensor';
import { exp, mul, sub } from './elementwise';
import { requireFloat, sum } from './reduce';
import { run } from './run';
import { transpose } from './views';

/** Native code works on the last axis; another one is swapped there and back. */
function alongLast(op: string, x: AnyTensor, axis: number, apply: (x: Tensor) => Tensor): Tensor {
  const input = requireFloat(op, 'x', x);
  const checked = checkAxis(op, axis, input.rank);
  if (checked === input.rank - 1) return apply(input);
  return transpose(apply(transpose(input, checked, -1)), checked, -1);
}

/** e^x normalized to the sum 1 along `axis` (default the last). Shifted by the maximum, so it never overflows. */
export function softmax(x: AnyTensor, axis = -1): Tensor {
  return alongLast('softmax', x, axis, (input) => {
    const y = run('softmax', [input], input.shape, input.dtype);
    if (isRecording(input)) {
      record('softmax', y, [input], [y], (grad, { saved }) => [softmaxBackward(grad, saved[0] as Tensor)]);
    }
    return y;
  });
}

/** @internal y·(g - Σ g·y) */
export function softmaxBackward(grad: Tensor, y: Tensor): Tensor {
  const out = run('softmaxBackward', [grad, y], y.shape, y.dtype);
  if (isRecording(grad, y)) {
    record('softmaxBackward', out, [grad, y], [grad, y], (second, { saved, needs }) => {
      const [g, s] = saved as Tensor[];
      const last = { keepDims: true };
      const total = (a: Tensor): Tensor => sum(a, -1, last);
      return [
        needs[0] ? mul(s, sub(second, total(mul(second, s)))) : null,
        needs[1] ? sub(mul(second, sub(g, total(mul(g, s)))), mul(g, total(mul(second, s)))) : null,
      ];
    });
  }
  return out;
}

/** The logarithm of {@link softmax}, computed as x - log Σ e^x. */
export function logSoftmax(x: AnyTensor, axis = -1): Tensor {
  return alongLast('logSoftmax', x, axis, (input) => {
    const y = run('logSoftmax', [input], input.shape, input.dtype);
    if (isRecording(input)) {
      record('logSoftmax', y, [input], [y], (grad, { saved }) => [logSoftmaxBackward(grad, saved[0] as Tensor)]);
    }
    return y;
  });
}

/** g - e^y·Σ g */
function logSoftmaxBackward(grad: Tensor, y: Tensor): Tensor {
  const out = run('logSoftmaxBackward', [grad, y], y.shape, y.dtype);
  if (isRecording(grad, y)) {
    record('logSoftmaxBackward', out, [grad, y], [grad, y], (second, { saved, needs }) => {
      const [g, logits] = saved as Tensor[];
      const p = exp(logits);
      const keep = { keepDims: true };
      return [
        needs[0] ? sub(second, sum(mul(second, p), -1, keep)) : null,
        needs[1] ? mul(mul(second, p), sum(g, -1, keep)).neg() : null,
      ];
    });
  }
  return out;
}

declare module '../tensor/tensor' {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- a merged interface repeats the parameters
  interface Tensor<D extends DType = 'float32'> {
    /** {@link softmax} */
    softmax(axis?: number): Tensor;
    /** {@link logSoftmax} */
    logSoftmax(axis?: number): Tensor;
  }
}
defineMethods({ softmax, logSoftmax });

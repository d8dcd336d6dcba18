/** Softmax and the losses built on it. */
import { isRecording, record } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { checkAxis, formatShape, sameShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { isTensor, type AnyTensor } from '../tensor/tensor';
import { cast } from './copies';
import { equal, exp, mul, sub } from './elementwise';
import { mean, requireFloat, sum } from './reduce';
import { run } from './run';
import { transpose, unsqueeze } from './views';
import { arange } from '../tensor/creation';

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

/** y·(g - Σ g·y) */
function softmaxBackward(grad: Tensor, y: Tensor): Tensor {
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

/** What a loss makes of its values: their mean, their sum, or one value per sample. */
export type Reduction = 'mean' | 'sum' | 'none';

/** @internal */
export function reduceLoss(op: string, loss: Tensor, reduction: Reduction): Tensor {
  switch (reduction) {
    case 'none':
      return loss;
    case 'sum':
      return sum(loss);
    case 'mean':
      return mean(loss);
    default:
      throw new TypeError(`${op}: unknown reduction ${String(reduction)}; known are mean, sum, none`);
  }
}

/**
 * Cross-entropy between logits and the right classes: -log softmax(logits)[label], fused and stable.
 * @param logits float32 [n, classes], unnormalized
 * @param labels int32 [n] with values in [0, classes)
 * @param options `reduction`: default 'mean'
 * @throws RangeError naming the first label that is out of range; ShapeError, DTypeError.
 */
export function crossEntropy(
  logits: AnyTensor,
  labels: Tensor<'int32'>,
  options: { reduction?: Reduction } = {},
): Tensor {
  const input = requireFloat('crossEntropy', 'logits', logits);
  if (!isTensor(labels)) throw new TypeError('crossEntropy: labels must be an int32 tensor');
  labels._check('crossEntropy');
  if ((labels.dtype as DType) !== 'int32') {
    throw new DTypeError(`crossEntropy: labels must be int32 class numbers, got ${labels.dtype}`);
  }
  if (input.rank !== 2 || labels.rank !== 1 || input.shape[0] !== labels.size) {
    throw new ShapeError(
      `crossEntropy: expected logits [n, classes] and labels [n], got ` +
        `${formatShape(input.shape)} and ${formatShape(labels.shape)}`,
    );
  }
  if (input.shape[1] === 0 && input.shape[0] > 0) {
    throw new ShapeError(`crossEntropy: logits ${formatShape(input.shape)} have no classes`);
  }
  const loss = run('crossEntropy', [input, labels], [labels.size], input.dtype);
  if (isRecording(input)) {
    record('crossEntropy', loss, [input], [input, labels], (grad, { saved }) => {
      const [x, y] = saved;
      return [crossEntropyBackward(x as Tensor, y as Tensor<'int32'>, grad)];
    });
  }
  return reduceLoss('crossEntropy', loss, options.reduction ?? 'mean');
}

/** (softmax(logits) - onehot(labels))·grad, one pass over each row. */
function crossEntropyBackward(logits: Tensor, labels: Tensor<'int32'>, grad: Tensor): Tensor {
  const out = run('crossEntropyBackward', [logits, labels, grad], logits.shape, logits.dtype);
  if (isRecording(logits, grad)) {
    record('crossEntropyBackward', out, [logits, grad], [logits, labels, grad], (second, { saved, needs }) => {
      const [x, y, g] = saved as [Tensor, Tensor<'int32'>, Tensor];
      const p = softmax(x);
      return [
        needs[0] ? softmaxBackward(mul(second, unsqueeze(g, 1)), p) : null,
        needs[1] ? sum(mul(second, sub(p, oneHot(y, x.shape[1], p))), -1) : null,
      ];
    });
  }
  return out;
}

function oneHot(labels: Tensor<'int32'>, classes: number, like: Tensor): Tensor {
  return cast(equal(unsqueeze(labels, 1), arange(classes)), like.dtype);
}

/**
 * The mean of (prediction - target)².
 * @param options `reduction`: default 'mean'
 * @throws ShapeError unless both have one shape: a silent broadcast here is nearly always a mistake.
 */
export function mseLoss(prediction: AnyTensor, target: AnyTensor, options: { reduction?: Reduction } = {}): Tensor {
  const p = requireFloat('mseLoss', 'prediction', prediction);
  const t = requireFloat('mseLoss', 'target', target);
  if (!sameShape(p.shape, t.shape)) {
    throw new ShapeError(`mseLoss: prediction ${formatShape(p.shape)} and target ${formatShape(t.shape)} differ`);
  }
  return reduceLoss('mseLoss', sub(p, t).square(), options.reduction ?? 'mean');
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

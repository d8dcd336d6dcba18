/** Connectionist temporal classification. */
import { isGradEnabled, isRecording, record } from '../../autograd/node';
import { ShapeError } from '../../errors';
import { tensor } from '../../tensor/creation';
import { checkInteger, describe, formatShape } from '../../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { div, maximum, mul } from '../elementwise';
import type { Index } from '../gather';
import { mean, requireFloat, sum } from '../reduce';
import { runMany } from '../run';
import { reshape, unsqueeze } from '../views';
import { checkReduction, requireIndices, type LossOptions } from './common';
import { ctcGradient, type CtcProblem } from './ctcGradient';

/** Options of {@link ctcLoss}. */
export interface CtcOptions extends LossOptions {
  /** The class of the blank, in [0, classes). Default 0. */
  blank?: number;
  /** Count a target that no path can spell as 0, with gradient 0, rather than as Infinity. Default false. */
  zeroInfinity?: boolean;
}

/** Lengths, one per sample. */
export type Lengths = Index | readonly number[];

function lengthVector(op: string, name: string, lengths: Lengths | number, like: Tensor): Tensor<'int32'> {
  const [, samples] = like.shape;
  let values: Tensor<'int32'>;
  if (isTensor(lengths)) values = requireIndices(op, name, lengths);
  else {
    const list = typeof lengths === 'number' ? [lengths] : lengths;
    if (!Array.isArray(list)) throw new TypeError(`${op}: ${name} must be integers, got ${describe(lengths)}`);
    list.forEach((length: unknown) => checkInteger(op, name, length, 0, 2 ** 31 - 1));
    values = tensor(Int32Array.from(list as readonly number[]), { dtype: 'int32', like });
  }
  if (values.size !== samples || values.rank > 1) {
    throw new ShapeError(
      `${op}: ${name} must have one entry per sample, [${String(samples)}], got ${formatShape(values.shape)}`,
    );
  }
  return reshape(values, [samples]);
}

/** Targets one after the other as a matrix, a row for each sample. */
function padTargets(op: string, targets: Tensor<'int32'>, lengths: Tensor<'int32'>): Tensor<'int32'> {
  const labels = targets.dataSync();
  const counts = lengths.dataSync();
  const total = counts.reduce((a, b) => a + b, 0);
  if (counts.some((count) => count < 0) || total !== labels.length) {
    throw new ShapeError(
      `${op}: targetLengths add up to ${String(total)}, targets has ${String(labels.length)} labels`,
    );
  }
  const longest = Math.max(0, ...counts);
  const padded = new Int32Array(counts.length * longest);
  let from = 0;
  counts.forEach((count, i) => {
    padded.set(labels.subarray(from, from + count), i * longest);
    from += count;
  });
  return tensor(padded, { shape: [counts.length, longest], dtype: 'int32', like: targets });
}

/** One loss per sample. The kernel makes the gradient in the same pass, if one is wanted. */
function ctcLosses(problem: CtcProblem): Tensor {
  const { logProbs, targets, inputLengths, targetLengths, blank, zeroInfinity } = problem;
  const [, samples] = logProbs.shape;
  const { dtype } = logProbs;
  const wanted = isRecording(logProbs);
  const [loss, slope] = runMany(
    'ctcLoss',
    [logProbs, targets, inputLengths, targetLengths],
    [
      [[samples], dtype],
      [wanted ? logProbs.shape : [0], dtype],
    ],
    [blank, Number(zeroInfinity)],
  ) as [Tensor, Tensor];
  if (!wanted) {
    slope.dispose();
    return loss;
  }
  const saved = [logProbs, targets, inputLengths, targetLengths, slope];
  record('ctcLoss', loss, [logProbs], saved, (grad, node) => {
    const [x, labels, inputs, lengths, fixed] = node.saved as unknown as [
      Tensor,
      Tensor<'int32'>,
      Tensor<'int32'>,
      Tensor<'int32'>,
      Tensor,
    ];
    // What the kernel computed is a constant; a graph of the gradient needs its formula.
    const gradient = isGradEnabled()
      ? ctcGradient({ logProbs: x, targets: labels, inputLengths: inputs, targetLengths: lengths, blank, zeroInfinity })
      : fixed;
    return [mul(gradient, reshape(grad, [1, samples, 1]))];
  });
  return loss;
}

/**
 * Connectionist temporal classification: the negative log-likelihood of a sequence of labels, summed over
 * all ways to stretch it over the input with repetitions and blanks (Graves et al., 2006).
 * @param logProbs floating [steps, n, classes] or [steps, classes]: logarithms of probabilities, see
 * {@link logSoftmax}
 * @param targets int32 or int64 labels [n, longest], padded with anything, or one target after the other in one
 * vector; [length] for logProbs without a batch axis. Never the blank
 * @param inputLengths n integers in [0, steps]: how much of logProbs counts
 * @param targetLengths n integers in [0, longest]
 * @param options `blank`: default 0; `zeroInfinity`: default false; `reduction`: default 'mean', which
 * divides each loss by its target's length (at least 1) first; 'none' gives [n]
 * @throws RangeError for a label, length or blank that is out of range; ShapeError, DTypeError.
 */
export function ctcLoss(
  logProbs: AnyTensor,
  targets: Index,
  inputLengths: Lengths | number,
  targetLengths: Lengths | number,
  options: CtcOptions = {},
): Tensor {
  const op = 'ctcLoss';
  const reduction = checkReduction(op, options.reduction);
  const input = requireFloat(op, 'logProbs', logProbs);
  if ((input.rank !== 2 && input.rank !== 3) || input.shape[input.rank - 1] === 0) {
    throw new ShapeError(
      `${op}: expected logProbs [steps, n, classes] or [steps, classes], got ${formatShape(input.shape)}`,
    );
  }
  const x = input.rank === 2 ? unsqueeze(input, 1) : input;
  const [, samples, classes] = x.shape;
  const blank = checkInteger(op, 'blank', options.blank ?? 0, 0, classes - 1);
  const labels = requireIndices(op, 'targets', targets);
  const inputs = lengthVector(op, 'inputLengths', inputLengths, x);
  const lengths = lengthVector(op, 'targetLengths', targetLengths, x);
  const isMatrix = input.rank === 3 && labels.rank === 2 && labels.shape[0] === samples;
  if (!isMatrix && labels.rank !== 1) {
    throw new ShapeError(
      `${op}: expected targets [n, longest] or one vector for logProbs ${formatShape(input.shape)}, ` +
        `got ${formatShape(labels.shape)}`,
    );
  }
  const joined = (): Tensor<'int32'> => (input.rank === 2 ? unsqueeze(labels, 0) : padTargets(op, labels, lengths));
  const losses = ctcLosses({
    logProbs: x,
    targets: isMatrix ? labels : joined(),
    inputLengths: inputs,
    targetLengths: lengths,
    blank,
    zeroInfinity: options.zeroInfinity ?? false,
  });
  if (reduction === 'sum') return sum(losses);
  if (reduction === 'mean') return mean(div(losses, cast(maximum(lengths, 1), losses.dtype)));
  return input.rank === 2 ? reshape(losses, []) : losses;
}

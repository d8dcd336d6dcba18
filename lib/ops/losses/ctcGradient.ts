/** The gradient of the CTC loss as differentiable operations: the forward-backward recursion in log space. */
import { tensor, zeros } from '../../tensor/creation';
import type { Tensor } from '../../tensor/tensor';
import { concat } from '../copies';
import { add, exp, less, log, maximum, mul, neg, sub } from '../elementwise';
import { gather, scatterAdd } from '../gather';
import { max } from '../reduce';
import { softmax } from '../softmax';
import { expand, slice, unsqueeze } from '../views';
import { choose } from './common';

/** Checked inputs of the CTC loss. */
export interface CtcProblem {
  /** [steps, n, classes] */
  readonly logProbs: Tensor;
  /** [n, longest] */
  readonly targets: Tensor<'int32'>;
  /** [n] */
  readonly inputLengths: Tensor<'int32'>;
  /** [n] */
  readonly targetLengths: Tensor<'int32'>;
  readonly blank: number;
  readonly zeroInfinity: boolean;
}

// Stands for log 0: differences of infinities would be NaN.
const impossible = -1e30;

/** The states of all samples, [n, states]: labels with a blank before, between and after them. */
interface States {
  readonly labels: Tensor<'int32'>;
  /** 0 where a path may start, end, or come from two states before; else {@link impossible}. */
  readonly starts: Tensor;
  readonly ends: Tensor;
  readonly skips: Tensor;
}

function makeStates({ logProbs, targets, targetLengths, blank }: CtcProblem): States {
  const [samples, longest] = targets.shape;
  const count = 2 * longest + 1;
  const labels = new Int32Array(samples * count).fill(blank);
  const masks = Array.from({ length: 3 }, () => new Float32Array(samples * count).fill(impossible));
  const [starts, ends, skips] = masks;
  const given = targets.dataSync();
  targetLengths.dataSync().forEach((length, n) => {
    const row = n * count;
    for (let i = 0; i < length; i++) labels[row + 2 * i + 1] = given[n * longest + i];
    const last = row + 2 * length;
    for (let s = row; s <= last; s++) {
      if (s < row + 2) starts[s] = 0;
      if (s >= last - 1) ends[s] = 0;
      if (s >= row + 3 && labels[s] !== blank && labels[s] !== labels[s - 2]) skips[s] = 0;
    }
  });
  const shape = [samples, count];
  const asTensor = (values: Float32Array): Tensor => tensor(values, { shape, like: logProbs });
  return {
    labels: tensor(labels, { shape, dtype: 'int32', like: logProbs }),
    starts: asTensor(starts),
    ends: asTensor(ends),
    skips: asTensor(skips),
  };
}

/** log(e^a + e^b + e^c) */
function logAdd(a: Tensor, b: Tensor, c: Tensor): Tensor {
  const top = maximum(maximum(a, b), c).detach();
  const power = (x: Tensor): Tensor => exp(sub(x, top));
  return add(log(add(add(power(a), power(b)), power(c))), top);
}

/** `x` with `before` and `after` impossible states added to each row. */
function pad(x: Tensor, before: number, after: number): Tensor {
  const columns = (count: number): Tensor =>
    tensor(new Float32Array(x.shape[0] * count).fill(impossible), { shape: [x.shape[0], count], like: x });
  return concat(before > 0 ? [columns(before), x] : [x, columns(after)], 1);
}

const columns = (x: Tensor, from: number, count: number): Tensor => slice(x, null, [from, from + count]);

/** How probable the paths into each state are, at each step. */
function forwardVariables(emissions: readonly Tensor[], { starts, skips }: States): Tensor[] {
  const [, count] = starts.shape;
  const result = [add(emissions[0], starts)];
  for (let t = 1; t < emissions.length; t++) {
    const padded = pad(result[t - 1], 2, 0);
    const [jump, move, stay] = [0, 1, 2].map((from) => columns(padded, from, count));
    result.push(add(logAdd(stay, move, add(jump, skips)), emissions[t]));
  }
  return result;
}

/** How probable the paths out of each state are, at each step; a sample's input ends where its length says. */
function backwardVariables(emissions: readonly Tensor[], states: States, isLast: readonly Tensor<'bool'>[]): Tensor[] {
  const { ends, skips } = states;
  const [, count] = ends.shape;
  const skipped = pad(skips, 0, 2);
  const result = new Array<Tensor>(emissions.length);
  result[emissions.length - 1] = ends;
  for (let t = emissions.length - 2; t >= 0; t--) {
    const padded = pad(add(result[t + 1], emissions[t + 1]), 0, 2);
    const [stay, move, jump] = [0, 1, 2].map((from) => columns(padded, from, count));
    const before = logAdd(stay, move, add(jump, columns(skipped, 2, count)));
    result[t] = choose(isLast[t], ends, before);
  }
  return result;
}

/**
 * The derivative of each sample's loss by its logarithms of probabilities, [steps, n, classes]: minus the
 * probability that a path which spells the target is at the class at the step.
 */
export function ctcGradient(problem: CtcProblem): Tensor {
  const { logProbs, inputLengths, zeroInfinity } = problem;
  const [steps, samples] = logProbs.shape;
  if (logProbs.size === 0) return mul(logProbs, 0);
  const states = makeStates(problem);
  const [, count] = states.labels.shape;
  const index = expand(unsqueeze(states.labels, 0), [steps, samples, count]);
  const emitted = maximum(gather(logProbs, 2, index), impossible);
  const emissions = Array.from({ length: steps }, (_, t) => slice(emitted, t));
  const lengths = Array.from(inputLengths.dataSync());
  // [n, 1]
  const flags = (test: (length: number) => boolean): Tensor<'bool'> =>
    tensor(
      lengths.map((length) => [test(length)]),
      { dtype: 'bool', like: logProbs },
    );
  const isLast = emissions.map((_, t) => flags((length) => t >= length - 1));

  const forward = forwardVariables(emissions, states);
  const backward = backwardVariables(emissions, states, isLast);
  const posteriors = emissions.map((_, t) => {
    const joint = add(forward[t], backward[t]);
    const isDead = less(max(joint.detach(), -1, { keepDims: true }), impossible / 2);
    const posterior = choose(isDead, zeroInfinity ? 0 : NaN, softmax(joint));
    const counts = flags((length) => t < length);
    return unsqueeze(choose(counts, posterior, 0), 0);
  });
  // Each state's share goes to its class.
  const zero = zeros(logProbs.shape, { like: logProbs });
  return neg(scatterAdd(zero, 2, index, concat(posteriors, 0)));
}

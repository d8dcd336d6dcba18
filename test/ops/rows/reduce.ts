/** Rows of the reductions. */
import { argmax, argmin, max, mean, min, sum, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { dense, repeated, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors, publicFunction, type Bad } from './build';

export const reduceSamples: Row['samples'] = [
  [spread([4])],
  [spread([3, 5])],
  [spread([2, 3, 4])],
  [spread([33, 10])],
  [spread([5, 130])],
  [repeated(spread([5]))],
];
// Small ones, whose largest and smallest elements stand alone.
export const reduceGradients: Row['samples'] = [[spread([7])], [spread([2, 3])], [spread([2, 3, 2])]];

function reduction(name: string, torch: string, gradient: Row['gradient'] = 'all'): Row {
  const call = publicFunction(name);
  return {
    call: (x: AnyTensor) => call(x),
    torch,
    samples: [...reduceSamples, [spread([])], [spread([1, 1])]],
    gradient,
    gradientSamples: reduceGradients,
    bad: [
      ...notTensors((x) => call(x)),
      ...badAxes((axis) => call(zeros([2, 3]), axis)),
      ['an axis given twice', () => call(zeros([2, 3]), [0, -2]), /appears twice/],
      ['an axis of a scalar', () => call(zeros([]), 0), /a scalar has no axes/],
    ],
  };
}

/** Over some axes: [axis] of the reduction. */
function along(call: (x: Tensor) => AnyTensor, torch: string, bad: Bad = []): Row {
  return {
    call,
    torch,
    samples: [[spread([3, 5])], [spread([2, 3, 4])], [spread([17, 33])], [repeated(spread([2, 3]))]],
    gradient: 'all',
    gradientSamples: [[spread([2, 3])], [spread([2, 3, 2])]],
    bad,
  };
}

const whole = [spread([3, 4], -9, 9, 'int32')];
const empty = (name: string, call: (x: Tensor) => unknown): Bad => [
  ['nothing to choose from', () => call(zeros([2, 0])), new RegExp(`${name}: axis 1 of shape \\[2,0\\] is empty`)],
];

export const rows: Rows = {
  sum: reduction('sum', 'x0.sum()'),
  'sum/axis': along((x) => sum(x, -1), 'x0.sum(-1)'),
  'sum/axes': along((x) => sum(x, [0, -1], { keepDims: true }), 'x0.sum([0, -1], keepdim=True)'),
  'sum/int32': {
    call: (x: AnyTensor) => sum(x, 0),
    torch: 'x0.sum(0, dtype=torch.int32)',
    samples: [whole, [spread([3, 4], -1, 1, 'bool')]],
    gradient: 'integers',
    bad: [],
  },
  mean: reduction('mean', 'x0.mean()'),
  'mean/axis': along((x) => mean(x, 0), 'x0.mean(0)'),
  max: {
    ...reduction('max', 'x0.amax(list(range(x0.dim())))'),
    bad: [...reduction('max', '').bad, ...empty('max', (x) => max(x, 1))],
  },
  'max/axis': along((x) => max(x, 0, { keepDims: true }), 'x0.amax(0, keepdim=True)'),
  min: {
    ...reduction('min', 'x0.amin(list(range(x0.dim())))'),
    bad: [...reduction('min', '').bad, ...empty('min', (x) => min(x, 1))],
  },
  'min/axis': along((x) => min(x, -1), 'x0.amin(-1)'),
  argmax: {
    call: (x: AnyTensor) => argmax(x, -1),
    torch: 'x0.argmax(-1)',
    samples: [...reduceSamples, whole, [dense([4], [1, NaN, 3, NaN])]],
    gradient: 'positions are integers',
    bad: [
      ...notTensors((x) => argmax(x, 0)),
      ...badAxes((axis) => argmax(zeros([2, 3]), axis)),
      ['nothing to choose from', () => argmax(zeros([2, 0]), 1), /is empty/],
    ],
  },
  'argmax/all': {
    call: (x: AnyTensor) => argmax(x),
    torch: 'x0.argmax()',
    samples: reduceSamples,
    gradient: 'positions',
    bad: [],
  },
  argmin: {
    call: (x: AnyTensor) => argmin(x, 0),
    torch: 'x0.argmin(0)',
    samples: [...reduceSamples, whole],
    gradient: 'positions are integers',
    bad: [
      ...notTensors((x) => argmin(x, 0)),
      ...badAxes((axis) => argmin(zeros([2, 3]), axis)),
      ['nothing to choose from', () => argmin(zeros([2, 0]), 1), /is empty/],
    ],
  },
};

/** Rows of the matrix products. */
import { linear, matmul, zeros, type Tensor } from '../../../lib';
import { spread } from '../reference';
import type { Rows } from '../row';
import { notTensors } from './build';

export const rows: Rows = {
  matmul: {
    call: matmul,
    torch: 'x0 @ x1',
    samples: [
      [spread([2, 3]), spread([3, 4])],
      [spread([1, 1]), spread([1, 1])],
      [spread([17, 33]), spread([33, 19])],
      [spread([3, 0]), spread([0, 2])],
      [spread([0, 3]), spread([3, 2])],
      [spread([2, 3, 4, 5]), spread([3, 5, 2])],
      [spread([31, 70], 0, 1), spread([70, 65], 0, 1)],
    ],
    gradient: 'all',
    gradientSamples: [
      [spread([2, 3]), spread([3, 4])],
      [spread([2, 2, 3]), spread([3, 2])],
      [spread([2, 1, 2, 3]), spread([3, 3, 2])],
    ],
    bad: [
      ...notTensors((x: Tensor) => matmul(x, zeros([2, 2])), 'a'),
      ...notTensors((x: Tensor) => matmul(zeros([2, 2]), x), 'b'),
      [
        'inner dimensions that differ',
        () => matmul(zeros([2, 3]), zeros([4, 5])),
        /matmul: inner dimensions differ: \[2,3\] × \[4,5\]/,
      ],
      ['a scalar', () => matmul(zeros([]), zeros([2])), /a scalar is no matrix/],
      ['batches that do not broadcast', () => matmul(zeros([2, 1, 1]), zeros([3, 1, 1])), /do not broadcast/],
      ['integers', () => matmul(zeros([2, 2], { dtype: 'int32' }), zeros([2, 2])), /must be float32/],
      [
        'dtypes that differ',
        () => matmul(zeros([2, 2], { dtype: 'float64' }), zeros([2, 2])),
        /matmul: dtypes differ: float64 and float32/,
      ],
    ],
  },
  'matmul/vectors': {
    call: matmul,
    torch: 'x0 @ x1',
    samples: [
      [spread([3]), spread([3])],
      [spread([3]), spread([3, 4])],
      [spread([2, 3]), spread([3])],
      [spread([2, 4, 3]), spread([3])],
    ],
    gradient: 'all',
    bad: [],
  },
  linear: {
    call: linear,
    torch: 'F.linear(x0, x1, x2)',
    samples: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([33, 17]), spread([19, 17]), spread([19])],
      [spread([2, 2, 5]), spread([1, 5]), spread([1])],
      [spread([0, 3]), spread([4, 3]), spread([4])],
      [spread([3]), spread([4, 3]), spread([4])],
    ],
    gradient: 'all',
    gradientSamples: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([2, 2, 3]), spread([2, 3]), spread([2])],
    ],
    bad: [
      ...notTensors((x: Tensor) => linear(x, zeros([2, 2]))),
      ...notTensors((w: Tensor) => linear(zeros([2, 2]), w), 'weight'),
      ['features that differ', () => linear(zeros([2, 3]), zeros([4, 5])), /x \[2,3\] does not fit weight \[4,5\]/],
      ['a bias of another size', () => linear(zeros([2, 3]), zeros([4, 3]), zeros([3])), /bias \[3\] does not fit/],
      ['a weight of rank 1', () => linear(zeros([3]), zeros([3])), /does not fit/],
      [
        'dtypes that differ',
        () => linear(zeros([2, 3]), zeros([4, 3], { dtype: 'float64' })),
        /linear: dtypes differ: float32 and float64/,
      ],
    ],
  },
};

/** Rows of indexing. */
import { indexSelect, zeros, type Tensor } from '../../../lib';
import { spread } from '../reference';
import type { Rows } from '../row';
import { int32, notTensors, positions } from './build';

export const rows: Rows = {
  indexSelect: {
    call: (x: Tensor, index: Tensor<'int32'>) => indexSelect(x, index),
    torch: 'x0.index_select(0, x1)',
    samples: [
      [spread([4, 3]), positions([6], 4)],
      [spread([10]), positions([3], 10)],
      [spread([5, 2, 33]), positions([7], 5)],
      [spread([5, 2]), positions([0], 5)],
      [spread([5, 2], -9, 9, 'int32'), positions([2], 5)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => indexSelect(x, int32(0))),
      ['an index out of range', () => indexSelect(zeros([2]), int32(2)), /index 2/],
      ['a negative index', () => indexSelect(zeros([2]), int32(-1)), /index -1/],
      ['a float index', () => indexSelect(zeros([2]), zeros([1]) as unknown as Tensor<'int32'>), /must be int32/],
      ['a matrix as index', () => indexSelect(zeros([2]), zeros([1, 1], { dtype: 'int32' })), /must be a vector/],
      ['a scalar', () => indexSelect(zeros([]), zeros([1], { dtype: 'int32' })), /no rows/],
    ],
  },
};

/** Rows of sorting and what builds on it. */
import { argsort, searchSorted, sort, topK, unique, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { dense, repeated, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors } from './build';

const samples: Row['samples'] = [
  [spread([7])],
  [spread([3, 5])],
  [spread([2, 3, 4])],
  [dense([6], [3, 1, 3, 2, 1, 3])],
  [repeated(spread([4]))],
  [spread([0])],
  [spread([5], -9, 9, 'int32')],
];
const both = ({ values, indices }: { values: AnyTensor; indices: AnyTensor }): AnyTensor[] => [values, indices];

export const rows: Rows = {
  sort: {
    call: (x: Tensor) => both(sort(x)),
    torch: 'torch.sort(x0, stable=True)',
    samples: [...samples, [dense([5], [NaN, 1, Infinity, -Infinity, 0])]],
    gradient: [0],
    gradientSamples: [[spread([5])], [spread([3, 4])]],
    bad: [...notTensors((x: Tensor) => sort(x)), ...badAxes((axis) => sort(zeros([2, 3]), { axis }))],
  },
  'sort/descending': {
    call: (x: Tensor) => both(sort(x, { axis: 0, descending: true })),
    torch: 'torch.sort(x0, dim=0, descending=True, stable=True)',
    samples,
    gradient: [0],
    gradientSamples: [[spread([3, 4])]],
    bad: [],
  },
  argsort: {
    call: (x: Tensor) => argsort(x, { axis: 0 }),
    torch: 'torch.sort(x0, dim=0, stable=True)[1]',
    samples,
    gradient: 'positions are integers',
    bad: [...notTensors((x: Tensor) => argsort(x)), ...badAxes((axis) => argsort(zeros([2, 3]), { axis }))],
  },
  topK: {
    call: (x: Tensor) => both(topK(x, 2)),
    torch: 'torch.topk(x0, 2)',
    samples: [[spread([7])], [spread([3, 5])], [spread([2, 40])]],
    gradient: [0],
    gradientSamples: [[spread([5])], [spread([3, 4])]],
    bad: [
      ...notTensors((x: Tensor) => topK(x, 1)),
      ...badAxes((axis) => topK(zeros([2, 3]), 1, { axis })),
      ['a k beyond the axis', () => topK(zeros([2, 3]), 4), /topK: k must be an integer in \[0, 3\]/],
      ['a negative k', () => topK(zeros([2, 3]), -1), /topK: k must be an integer/],
      ['a fractional k', () => topK(zeros([2, 3]), 1.5), /topK: k must be an integer/],
    ],
  },
  'topK/smallest': {
    call: (x: Tensor) => both(topK(x, 2, { axis: 0, largest: false })),
    torch: 'torch.topk(x0, 2, 0, largest=False)',
    samples: [[spread([7])], [spread([3, 5])], [spread([40, 2])]],
    gradient: [0],
    gradientSamples: [[spread([5])], [spread([3, 4])]],
    bad: [],
  },
  unique: {
    untraced: 'the shape depends on values',
    call: (x: Tensor) => {
      const { values, inverse, counts } = unique(x);
      return [values, inverse, counts];
    },
    torch: 'torch.unique(x0, return_inverse=True, return_counts=True)',
    samples: [
      [dense([7], [3, 1, 3, 2, 1, 3, -1])],
      [dense([2, 3], [5, 5, 2, 2, 5, 9], 'int32')],
      [dense([3], [1, 1, 1])],
      [spread([0])],
    ],
    gradient: 'chooses elements',
    bad: notTensors((x: Tensor) => unique(x)),
  },
  searchSorted: {
    call: (sorted: Tensor, values: Tensor) => searchSorted(sorted, values),
    torch: 'torch.searchsorted(x0, x1)',
    samples: [
      [dense([5], [1, 2, 2, 3, 5]), dense([2, 3], [0, 2, 4, 5, 6, 1])],
      [dense([2, 3], [1, 2, 3, 4, 5, 6]), dense([2, 2], [2, 9, 0, 5])],
      [dense([4], [1, 3, 5, 7], 'int32'), dense([3], [3, 4, 8], 'int32')],
    ],
    gradient: 'positions are integers',
    bad: [
      ...notTensors((x: Tensor) => searchSorted(x, zeros([2])), 'sorted'),
      ...notTensors((x: Tensor) => searchSorted(zeros([2]), x), 'values'),
      [
        'dtypes that differ',
        () => searchSorted(zeros([2]), zeros([2], { dtype: 'int32' }) as unknown as Tensor),
        /searchSorted: sorted is float32, values are int32/,
      ],
      ['a scalar', () => searchSorted(zeros([]), zeros([2])), /must be a vector/],
      [
        'leading axes that differ',
        () => searchSorted(zeros([2, 3]), zeros([3, 3])),
        /must be a vector or have the leading axes/,
      ],
    ],
  },
  'searchSorted/right': {
    call: (sorted: Tensor, values: Tensor) => searchSorted(sorted, values, { right: true }),
    torch: 'torch.searchsorted(x0, x1, right=True)',
    samples: [[dense([5], [1, 2, 2, 3, 5]), dense([2, 3], [0, 2, 4, 5, 6, 1])]],
    gradient: 'positions are integers',
    bad: [],
  },
};

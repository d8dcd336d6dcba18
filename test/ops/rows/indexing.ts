/** Rows of indexing. */
import {
  gather,
  index,
  indexAdd,
  indexSelect,
  maskedFill,
  maskedSelect,
  nonzero,
  oneHot,
  scatter,
  scatterAdd,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../../lib';
import { dense, spread } from '../reference';
import type { Rows } from '../row';
import { badAxes, int32, notTensors, positions, type Bad } from './build';

type Positions = Tensor<'int32'>;
const mask = (...shape: number[]) => spread(shape, -1, 1, 'bool');
const floats = zeros([1]) as unknown as Positions;

/** What an index of a matrix [2, 3] along axis 0 must not be. */
const badIndex = (call: (index: Positions) => unknown): Bad => [
  ...notTensors((i) => call(i), 'index'),
  ['a float index', () => call(floats.reshape([1, 1])), /must be int32/],
];

export const rows: Rows = {
  indexSelect: {
    call: (x: Tensor, i: Positions) => indexSelect(x, i),
    torch: 'x0.index_select(0, x1)',
    samples: [
      [spread([4, 3]), positions([6], 4)],
      [spread([10]), positions([3], 10)],
      [spread([5, 2, 33]), positions([7], 5)],
      [spread([5, 2]), positions([0], 5)],
      [spread([5, 2], -9, 9, 'int32'), positions([2], 5)],
    ],
    gradient: [0],
    gradientSamples: [
      [spread([4, 3]), positions([6], 4)],
      [spread([10]), positions([3], 10)],
    ],
    bad: [
      ...notTensors((x: Tensor) => indexSelect(x, int32(0))),
      ['an index out of range', () => indexSelect(zeros([2]), int32(2)), /index 2/],
      ['a negative index', () => indexSelect(zeros([2]), int32(-1)), /index -1/],
      ['a float index', () => indexSelect(zeros([2]), floats), /must be int32/],
      ['a matrix as index', () => indexSelect(zeros([2]), zeros([1, 1], { dtype: 'int32' })), /must be a vector/],
      ['a scalar', () => indexSelect(zeros([]), zeros([1], { dtype: 'int32' })), /no rows/],
      ...badAxes((axis) => indexSelect(zeros([2, 3]), int32(0), axis)),
    ],
  },
  'indexSelect/axis': {
    call: (x: Tensor, i: Positions) => indexSelect(x, i, 1),
    torch: 'x0.index_select(1, x1)',
    samples: [
      [spread([4, 3]), positions([5], 3)],
      [spread([2, 3, 4]), positions([2], 3)],
    ],
    gradient: [0],
    bad: [],
  },
  indexAdd: {
    call: (x: Tensor, i: Positions, source: Tensor) => indexAdd(x, i, source),
    torch: 'x0.index_add(0, x1, x2)',
    samples: [
      [spread([4, 3]), positions([5], 4), spread([5, 3], -1, 3)],
      [spread([4]), positions([6], 4), spread([6], -1, 3)],
    ],
    gradient: [0, 2],
    bad: [
      ...notTensors((x: Tensor) => indexAdd(x, int32(0), zeros([1]))),
      ...notTensors((x: Tensor) => indexAdd(zeros([2]), int32(0), x), 'source'),
      ['an index out of range', () => indexAdd(zeros([2]), int32(2), zeros([1])), /index 2/],
      [
        'a source that does not fit',
        () => indexAdd(zeros([2, 3]), int32(0), zeros([1, 2])),
        /indexAdd: source \[1,2\]/,
      ],
      [
        'dtypes that differ',
        () => indexAdd(zeros([2]), int32(0), zeros([1], { dtype: 'float64' }) as unknown as Tensor),
        /indexAdd: x is float32, source is float64/,
      ],
    ],
  },
  'indexAdd/axis': {
    call: (x: Tensor, i: Positions, source: Tensor) => indexAdd(x, i, source, -1),
    torch: 'x0.index_add(-1, x1, x2)',
    samples: [[spread([2, 3]), positions([4], 3), spread([2, 4], -1, 3)]],
    gradient: [0, 2],
    bad: [],
  },
  gather: {
    call: (x: Tensor, i: Positions) => gather(x, 1, i),
    torch: 'x0.gather(1, x1.long())',
    samples: [
      [spread([3, 4]), positions([3, 2], 4)],
      [spread([3, 4]), positions([2, 6], 4)],
      [spread([2, 3, 2]), positions([2, 4, 2], 3)],
    ],
    gradient: [0],
    bad: [
      ...notTensors((x: Tensor) => gather(x, 0, int32(0))),
      ...badIndex((i) => gather(zeros([2, 3]), 0, i)),
      ...badAxes((axis) => gather(zeros([2, 3]), axis, zeros([1, 1], { dtype: 'int32' }))),
      ['an index out of range', () => gather(zeros([2]), 0, int32(0, 2)), /gather: index 2 at position 1/],
      ['another rank', () => gather(zeros([2, 3]), 0, int32(0)), /gather: index \[1\] does not fit x \[2,3\]/],
    ],
  },
  'gather/first': {
    call: (x: Tensor, i: Positions) => gather(x, 0, i),
    torch: 'x0.gather(0, x1.long())',
    samples: [
      [spread([3, 4]), positions([5, 2], 3)],
      [spread([6]), positions([3], 6)],
    ],
    gradient: [0],
    bad: [],
  },
  scatter: {
    call: (x: Tensor, i: Positions, source: Tensor) => scatter(x, 1, i, source),
    torch: 'x0.scatter(1, x1.long(), x2)',
    samples: [
      [spread([3, 4]), dense([3, 2], [0, 2, 1, 3, 3, 0], 'int32'), spread([3, 2], 3, 5)],
      [spread([2, 3, 2]), dense([2, 1, 2], [0, 1, 2, 0], 'int32'), spread([2, 1, 2], 3, 5)],
    ],
    gradient: [0, 2],
    bad: [
      ...notTensors((x: Tensor) => scatter(x, 0, int32(0), 1)),
      ...badIndex((i) => scatter(zeros([2, 3]), 0, i, 1)),
      ['an index out of range', () => scatter(zeros([2]), 0, int32(-1), 1), /scatter: index -1/],
      ['a source of another shape', () => scatter(zeros([2]), 0, int32(0), zeros([2])), /scatter: source \[2\]/],
      ...badAxes((axis) => scatter(zeros([2, 3]), axis, zeros([1, 1], { dtype: 'int32' }), 1)),
    ],
  },
  'scatter/number': {
    call: (x: Tensor, i: Positions) => scatter(x, 0, i, 1.5),
    torch: 'x0.scatter(0, x1.long(), 1.5)',
    samples: [[spread([3, 4]), dense([1, 4], [0, 2, 1, 0], 'int32')]],
    gradient: [0],
    bad: [],
  },
  scatterAdd: {
    call: (x: Tensor, i: Positions, source: Tensor) => scatterAdd(x, 1, i, source),
    torch: 'x0.scatter_add(1, x1.long(), x2)',
    samples: [
      [spread([3, 4]), positions([3, 5], 4), spread([3, 5], 3, 5)],
      [spread([2, 3, 2]), positions([2, 4, 2], 3), spread([2, 4, 2], 3, 5)],
    ],
    gradient: [0, 2],
    bad: [
      ...notTensors((x: Tensor) => scatterAdd(x, 0, int32(0), zeros([1]))),
      ...badIndex((i) => scatterAdd(zeros([2, 3]), 0, i, zeros([1, 1]))),
      [
        'bools',
        () => scatterAdd(zeros([2], { dtype: 'bool' }), 0, int32(0), zeros([1], { dtype: 'bool' })),
        /cannot be added/,
      ],
      ['an index out of range', () => scatterAdd(zeros([2]), 0, int32(5), zeros([1])), /index 5/],
    ],
  },
  'scatterAdd/first': {
    call: (x: Tensor, i: Positions, source: Tensor) => scatterAdd(x, 0, i, source),
    torch: 'x0.scatter_add(0, x1.long(), x2)',
    samples: [[spread([3, 4]), positions([5, 4], 3), spread([5, 4], 3, 5)]],
    gradient: [0, 2],
    bad: [],
  },
  oneHot: {
    call: (i: Positions) => oneHot(i, 4),
    torch: 'F.one_hot(x0.long(), 4).double()',
    samples: [[positions([5], 4)], [positions([2, 3], 4)], [positions([0], 4)]],
    gradient: 'takes integers',
    bad: [
      ...badIndex((i) => oneHot(i, 3)),
      ['a class out of range', () => oneHot(int32(3), 3), /index 3/],
      ['a negative class', () => oneHot(int32(-1), 3), /index -1/],
      ['a fractional number of classes', () => oneHot(int32(0), 1.5), /oneHot: classes must be an integer/],
    ],
  },
  nonzero: {
    untraced: 'the shape depends on values',
    call: (x: AnyTensor) => nonzero(x),
    torch: 'torch.nonzero(x0)',
    samples: [[mask(7)], [mask(3, 4)], [dense([2, 2], [0, 1.5, 0, -2])], [mask(0)]],
    gradient: 'positions are integers',
    bad: notTensors((x: Tensor) => nonzero(x)),
  },
  maskedSelect: {
    untraced: 'the shape depends on values',
    call: (x: Tensor, m: Tensor<'bool'>) => maskedSelect(x, m),
    torch: 'torch.masked_select(x0, x1)',
    samples: [
      [spread([7]), mask(7)],
      [spread([3, 4]), mask(3, 4)],
    ],
    gradient: [0],
    bad: [
      ...notTensors((x: Tensor) => maskedSelect(x, zeros([2], { dtype: 'bool' }))),
      ...notTensors((x: Tensor<'bool'>) => maskedSelect(zeros([2]), x), 'mask'),
      ['a float mask', () => maskedSelect(zeros([2]), zeros([2]) as unknown as Tensor<'bool'>), /must be bool/],
      ['another shape', () => maskedSelect(zeros([2]), zeros([3], { dtype: 'bool' })), /x \[2\] and mask \[3\] differ/],
    ],
  },
  maskedFill: {
    call: (x: Tensor, m: Tensor<'bool'>) => maskedFill(x, m, -7),
    torch: 'x0.masked_fill(x1, -7)',
    samples: [
      [spread([7]), mask(7)],
      [spread([3, 4]), mask(4)],
    ],
    gradient: [0],
    bad: [
      ...notTensors((x: Tensor) => maskedFill(x, zeros([2], { dtype: 'bool' }), 0)),
      ...notTensors((x: Tensor<'bool'>) => maskedFill(zeros([2]), x, 0), 'mask'),
      ['a mask that does not broadcast', () => maskedFill(zeros([2]), zeros([3], { dtype: 'bool' }), 0), /broadcast/],
    ],
  },
  index: {
    call: (x: Tensor, i: Positions) => index(x, i, [1, null]),
    torch: 'x0[x1.long(), 1:]',
    samples: [
      [spread([4, 3]), dense([3], [0, -1, 2], 'int32')],
      [spread([4, 3, 2]), dense([2, 2], [0, -1, 2, 3], 'int32')],
    ],
    gradient: [0],
    bad: [
      ...notTensors((x: Tensor) => index(x, 0)),
      [
        'a position out of range',
        () => index(zeros([2]), int32(2)),
        /index: position 2 is out of range for an axis of 2/,
      ],
      ['a negative position out of range', () => index(zeros([2]), int32(-3)), /index: position -3 is out of range/],
      ['too many axes', () => index(zeros([2]), 0, 0), /index: 2 axes given for a tensor of rank 1/],
      ['two ellipses', () => index(zeros([2]), '...', '...'), /may stand only once/],
      ['float positions', () => index(zeros([2]), floats), /index: positions must be int32/],
      ['a mask that does not fit', () => index(zeros([2]), zeros([3], { dtype: 'bool' })), /a mask of shape \[3\]/],
    ],
  },
  'index/pairs': {
    call: (x: Tensor, i: Positions, j: Positions) => index(x, i, j),
    torch: 'x0[x1.long(), x2.long()]',
    samples: [
      [spread([4, 3]), positions([5], 4), positions([5], 3)],
      [spread([4, 3, 2]), dense([2, 1], [0, -1], 'int32'), positions([3], 3)],
    ],
    gradient: [0],
    bad: [],
  },
  'index/apart': {
    call: (x: Tensor, i: Positions, j: Positions) => index(x, i, null, j),
    torch: 'x0[x1.long(), :, x2.long()]',
    samples: [[spread([4, 3, 2]), positions([5], 4), positions([5], 2)]],
    gradient: [0],
    bad: [],
  },
  'index/inner': {
    call: (x: Tensor, i: Positions, j: Positions) => index(x, [null, null, 2], i, j, '...'),
    torch: 'x0[::2, x1.long(), x2.long(), ...]',
    samples: [[spread([3, 3, 2, 2]), positions([4], 3), positions([4], 2)]],
    gradient: [0],
    bad: [],
  },
  'index/mask': {
    untraced: 'the shape depends on values',
    call: (x: Tensor, m: Tensor<'bool'>) => index(x, m),
    torch: 'x0[x1]',
    samples: [
      [spread([4, 3]), mask(4)],
      [spread([4, 3]), mask(4, 3)],
      [spread([3, 2, 4]), mask(3, 2)],
    ],
    gradient: [0],
    bad: [],
  },
  'index/ellipsis': {
    call: (x: Tensor) => index(x, '...', -1, [null, null, 2]),
    torch: 'x0[..., -1, ::2]',
    samples: [[spread([2, 3, 4])], [spread([3, 5])]],
    gradient: [0],
    bad: [],
  },
};

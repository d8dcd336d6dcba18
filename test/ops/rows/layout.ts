/** Rows of the views and copies. */
import {
  cast,
  clone,
  concat,
  contiguous,
  expand,
  flatten,
  permute,
  reshape,
  slice,
  squeeze,
  transpose,
  unsqueeze,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../../lib';
import { dense, repeated, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors, type Bad } from './build';

const x23 = [[spread([2, 3])], [spread([2, 3, 4])], [repeated(spread([3]))]];

function view(call: (x: Tensor) => AnyTensor, torch: string, samples: Row['samples'], bad: Bad = []): Row {
  return { call, torch, samples, gradient: 'all', bad: [...notTensors((x) => call(x)), ...bad] };
}

export const rows: Rows = {
  reshape: view(
    (x) => reshape(x, [3, -1]),
    'x0.reshape(3, -1)',
    [[spread([2, 3])], [spread([4, 3, 2])], [spread([3])]],
    [
      ['another number of elements', () => reshape(zeros([2, 3]), [4]), /reshape: \[2,3\] has 6 elements/],
      ['two unknown extents', () => reshape(zeros([2, 3]), [-1, -1]), /reshape/],
      ['an extent that cannot be inferred', () => reshape(zeros([2, 3]), [4, -1]), /cannot infer -1/],
      ['a negative extent', () => reshape(zeros([2, 3]), [-2, 3]), /non-negative integers/],
    ],
  ),
  flatten: view(
    (x) => flatten(x, 1),
    'torch.flatten(x0, 1)',
    [[spread([2, 3])], [spread([2, 3, 4])]],
    [
      ...badAxes((axis) => flatten(zeros([2, 3]), axis)),
      ['axes in the wrong order', () => flatten(zeros([2, 3]), 1, 0), /flatten: start axis 1 comes after end axis 0/],
    ],
  ),
  permute: view(
    (x) => permute(x, [2, 0, 1]),
    'x0.permute(2, 0, 1)',
    [[spread([2, 3, 4])], [spread([1, 3, 2])]],
    [
      ['an axis twice', () => permute(zeros([2, 3]), [0, 0]), /names an axis twice/],
      ['too few axes', () => permute(zeros([2, 3]), [0]), /needs 2 axes/],
      ['an axis out of range', () => permute(zeros([2, 3]), [0, 2]), /axis 2 is out of range/],
    ],
  ),
  transpose: view(
    (x) => transpose(x, 0, -1),
    'x0.transpose(0, -1)',
    x23,
    badAxes((axis) => transpose(zeros([2, 3]), axis)),
  ),
  squeeze: view(
    (x) => squeeze(x, 1),
    'x0.squeeze(1)',
    [[spread([2, 1, 3])], [spread([4, 1])]],
    [
      ...badAxes((axis) => squeeze(zeros([1, 1]), axis)),
      ['an axis that is longer', () => squeeze(zeros([2, 3]), 1), /squeeze: axis 1 of \[2,3\] has extent 3/],
    ],
  ),
  'squeeze/all': view((x) => squeeze(x), 'x0.squeeze()', [[spread([1, 2, 1, 3])], [spread([1, 1])], [spread([2, 3])]]),
  unsqueeze: view(
    (x) => unsqueeze(x, -2),
    'x0.unsqueeze(-2)',
    [[spread([2, 3])], [spread([4])]],
    [
      ['an axis out of range', () => unsqueeze(zeros([2]), 2), /axis 2 is out of range/],
      ['a fractional axis', () => unsqueeze(zeros([2]), 0.5), /axis 0.5 is out of range/],
    ],
  ),
  expand: view(
    (x) => expand(x, [4, -1, 3]),
    'x0.expand(4, -1, 3)',
    [[spread([2, 1])], [spread([1, 2, 3])]],
    [
      ['an extent that is not 1', () => expand(zeros([2, 3]), [4, 3]), /expand: \[2,3\] does not expand to \[4,3\]/],
      ['fewer axes', () => expand(zeros([2, 3]), [3]), /does not expand/],
    ],
  ),
  slice: view(
    (x) => slice(x, [3, 0, -2], 1),
    'x0.flip(0)[x0.shape[0] - 4::2, 1][:2]',
    [[spread([5, 3])], [spread([4, 2])]],
    [
      ['too many axes', () => slice(zeros([2]), 0, 0), /2 axes given/],
      ['an index out of range', () => slice(zeros([2]), 2), /index of axis 0/],
      ['a step of 0', () => slice(zeros([2]), [0, 1, 0]), /step must not be 0/],
      ['a fractional bound', () => slice(zeros([2]), [0.5]), /bound of axis 0/],
    ],
  ),
  'slice/ranges': view((x) => slice(x, [1, -1], [null, null, 2]), 'x0[1:-1, ::2]', [
    [spread([5, 4])],
    [spread([2, 3, 2])],
  ]),
  clone: view((x) => clone(x), 'x0.clone()', [...x23, [spread([])], [spread([0, 2])], [spread([4], -9, 9, 'int32')]]),
  contiguous: view((x) => contiguous(x), 'x0.contiguous()', [...x23, [spread([])]]),
  cast: {
    call: (x: AnyTensor) => cast(x, 'int32'),
    // What PyTorch leaves undefined (NaN, too large) is defined here.
    torch: (x) =>
      dense(
        x.shape,
        x.data.map((v) => (Number.isNaN(v) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(v))))),
        'int32',
      ),
    samples: [
      [spread([5, 3], -9, 9)],
      [spread([33], 0, 1, 'bool')],
      [dense([5], [NaN, 1e20, -1e20, 2.9, -2.9])],
      [spread([0])],
    ],
    gradient: 'to an integer',
    bad: [
      ...notTensors((x: Tensor) => cast(x, 'int32')),
      ['an unknown dtype', () => cast(zeros([1]), 'complex64' as 'float32'), /unknown dtype complex64/],
      ['no dtype', () => cast(zeros([1]), undefined as unknown as 'float32'), /unknown dtype undefined/],
    ],
  },
  concat: {
    call: (a: Tensor, b: Tensor) => concat([a, b], -1),
    torch: 'torch.cat([x0, x1], -1)',
    samples: [
      [spread([2, 3]), spread([2, 5])],
      [spread([4]), spread([0])],
      [spread([3, 2, 4]), spread([3, 2, 1])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => concat([zeros([2]), x])),
      ['no tensors', () => concat([]), /at least one/],
      ['shapes that do not fit', () => concat([zeros([2, 3]), zeros([3, 3])], 1), /does not fit/],
      [
        'dtypes that differ',
        () => concat([zeros([2]), zeros([2], { dtype: 'int32' }) as unknown as Tensor]),
        /is int32/,
      ],
      ...badAxes((axis) => concat([zeros([2, 3])], axis)),
    ],
  },
  'concat/many': {
    call: (...all: Tensor[]) => concat(all),
    torch: 'torch.cat([x0, x1, x2, x3, x4])',
    samples: [[spread([2, 2]), spread([1, 2]), spread([3, 2]), spread([1, 2], 0, 1), spread([1, 2], 3, 4)]],
    gradient: 'all',
    bad: [],
  },
};

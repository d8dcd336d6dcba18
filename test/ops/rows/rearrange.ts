/** Rows of joining, cutting, padding and repeating. */
import {
  chunk,
  diag,
  diagonal,
  dot,
  einsum,
  flip,
  moveAxis,
  outer,
  pad,
  repeatInterleave,
  roll,
  split,
  stack,
  tile,
  trace,
  tril,
  triu,
  zeros,
  type AnyTensor,
  type PadMode,
  type Tensor,
} from '../../../lib';
import { repeated, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors, type Bad } from './build';

const matrices: Row['samples'] = [[spread([3, 4])], [spread([2, 4, 3])], [repeated(spread([3]))]];

function row(
  call: (x: Tensor) => AnyTensor | readonly AnyTensor[],
  torch: string,
  bad: Bad = [],
  samples = matrices,
): Row {
  return { call, torch, samples, gradient: 'all', bad: bad.length > 0 ? [...notTensors((x) => call(x)), ...bad] : [] };
}

const needsMatrix = (name: string, call: (x: Tensor) => unknown): Bad => [
  ['a vector', () => call(zeros([3])), new RegExp(`${name}: needs a matrix, got shape \\[3\\]`)],
  ['a scalar', () => call(zeros([])), new RegExp(`${name}: needs a matrix`)],
];
const pairOf = (name: string, torch: string, call: (a: Tensor, b: Tensor) => AnyTensor, bad: Bad): Row => ({
  call,
  torch,
  samples: [
    [spread([4]), spread([4], -1, 3)],
    [spread([1]), spread([1], -1, 3)],
  ],
  gradient: 'all',
  bad: [
    ...notTensors((x: Tensor) => call(x, zeros([2])), 'a'),
    ...notTensors((x: Tensor) => call(zeros([2]), x), 'b'),
    ['a matrix', () => call(zeros([2, 2]), zeros([2])), new RegExp(`${name}: needs two vectors`)],
    ...bad,
  ],
});
const einsumRow = (equation: string, samples: Row['samples'], bad: Bad = []): Row => ({
  call: (...all: Tensor[]) => einsum(equation, ...all),
  torch: `torch.einsum("${equation}", ${samples[0].map((_, i) => `x${String(i)}`).join(', ')})`,
  samples,
  gradient: 'all',
  bad,
});

export const rows: Rows = {
  stack: {
    call: (a: Tensor, b: Tensor) => stack([a, b], 1),
    torch: 'torch.stack([x0, x1], 1)',
    samples: [
      [spread([2, 3]), spread([2, 3], -1, 3)],
      [spread([4]), spread([4], 0, 1)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => stack([x])),
      ['no tensors', () => stack([]), /at least one/],
      ['shapes that differ', () => stack([zeros([2]), zeros([3])]), /stack: tensor 1 has shape \[3\], the first \[2\]/],
      ['an axis out of range', () => stack([zeros([2])], 2), /axis 2 is out of range/],
    ],
  },
  split: row(
    (x) => split(x, [1, 2, 0], 0),
    'torch.split(x0, [1, 2, 0], 0)',
    [
      ...badAxes((axis) => split(zeros([2, 3]), 1, axis)),
      ['sizes that do not add up', () => split(zeros([3]), [1, 1]), /split: sizes \[1,1\] add up to 2, axis 0 has 3/],
      ['a size of 0', () => split(zeros([3]), 0), /split: sizes must be an integer in \[1,/],
      ['a negative size', () => split(zeros([3]), [4, -1]), /split: sizes\[0\] must be an integer/],
      ['a string', () => split(zeros([3]), 'x' as unknown as number), /split: sizes must be a number or an array/],
    ],
    [[spread([3, 4])], [spread([3])]],
  ),
  'split/even': row((x) => split(x, 2, -1), 'torch.split(x0, 2, -1)'),
  chunk: row((x) => chunk(x, 2, -1), 'torch.chunk(x0, 2, -1)', [
    ...badAxes((axis) => chunk(zeros([2, 3]), 1, axis)),
    ['no parts', () => chunk(zeros([3]), 0), /chunk: count must be an integer in \[1,/],
  ]),
  pad: row((x) => pad(x, [1, 2]), 'F.pad(x0, [1, 2])', [
    ['more pairs than axes', () => pad(zeros([2]), [1, 1, 1, 1]), /pad: padding must be pairs/],
    ['half a pair', () => pad(zeros([2]), [1]), /pad: padding must be pairs/],
    ['a fraction', () => pad(zeros([2]), [0.5, 1]), /pad: padding\[0\] must be an integer/],
    ['an unknown mode', () => pad(zeros([2]), [1, 1], { mode: 'mirror' as PadMode }), /pad: unknown mode "mirror"/],
    ['a cut of more than there is', () => pad(zeros([2]), [-2, -1]), /pad: axis 0 of \[2\] is too short/],
    ['no array', () => pad(zeros([2]), 1 as unknown as number[]), /pad: padding must be pairs/],
  ]),
  'pad/value': row((x) => pad(x, [1, 0, 2, 1], { value: 3.5 }), 'F.pad(x0, [1, 0, 2, 1], value=3.5)'),
  'pad/cut': row((x) => pad(x, [-1, 2, 1, -1]), 'F.pad(x0, [-1, 2, 1, -1])'),
  'pad/reflect': row((x) => pad(x, [2, 1], { mode: 'reflect' }), 'F.pad(x0, [2, 1], mode="reflect")', [
    ['more than the inside', () => pad(zeros([2]), [2, 0], { mode: 'reflect' }), /pad: reflect by 2 and 0 needs more/],
    [
      'a negative number',
      () => pad(zeros([2]), [-1, 0], { mode: 'reflect' }),
      /pad: padding\[0\] must be an integer in \[0,/,
    ],
  ]),
  'pad/replicate': row((x) => pad(x, [2, 1], { mode: 'replicate' }), 'F.pad(x0, [2, 1], mode="replicate")', [
    ['an empty axis', () => pad(zeros([0]), [1, 0], { mode: 'replicate' }), /pad: replicate by 1 and 0 needs more/],
  ]),
  'pad/circular': row((x) => pad(x, [2, 1], { mode: 'circular' }), 'torch.cat([x0[..., -2:], x0, x0[..., :1]], -1)'),
  flip: row(
    (x) => flip(x, [0, -1]),
    'x0.flip([0, -1])',
    badAxes((axis) => flip(zeros([2, 3]), axis)),
  ),
  roll: row((x) => roll(x, 5, -1), 'x0.roll(5, -1)', [
    ...badAxes((axis) => roll(zeros([2, 3]), 1, axis)),
    ['a fraction', () => roll(zeros([2]), 0.5), /roll: shift must be an integer/],
  ]),
  'roll/back': row((x) => roll(x, -1), 'x0.roll(-1, 0)'),
  tile: row((x) => tile(x, [2, 1, 3]), 'x0.tile(2, 1, 3)', [
    ['a negative count', () => tile(zeros([2]), [-1]), /tile: times\[0\] must be an integer in \[0,/],
    ['no array', () => tile(zeros([2]), 2 as unknown as number[]), /tile: times must be an array/],
  ]),
  'tile/last': row((x) => tile(x, [3]), 'x0.tile(3)'),
  repeatInterleave: row((x) => repeatInterleave(x, 3, 1), 'x0.repeat_interleave(3, 1)', [
    ...badAxes((axis) => repeatInterleave(zeros([2, 3]), 1, axis)),
    ['a negative count', () => repeatInterleave(zeros([2]), -1), /repeatInterleave: count must be an integer/],
  ]),
  tril: row((x) => tril(x, 1), 'x0.tril(1)', needsMatrix('tril', tril)),
  triu: row((x) => triu(x, -1), 'x0.triu(-1)', needsMatrix('triu', triu)),
  diagonal: row((x) => diagonal(x, 1), 'x0.diagonal(1, -2, -1)', needsMatrix('diagonal', diagonal)),
  'diagonal/below': row((x) => diagonal(x, -1), 'x0.diagonal(-1, -2, -1)'),
  diag: row(
    (x) => diag(x, 1),
    'x0.diag(1)',
    [
      ['a rank of 3', () => diag(zeros([2, 2, 2])), /diag: needs a vector or a matrix/],
      ['a fractional offset', () => diag(zeros([2]), 0.5), /diag: offset must be an integer/],
    ],
    [[spread([3])], [spread([1])], [spread([3, 4])]],
  ),
  'diag/below': row((x) => diag(x, -2), 'x0.diag(-2)', [], [[spread([3])], [spread([4, 2])]]),
  trace: row((x) => trace(x), 'x0.trace()', needsMatrix('trace', trace), [[spread([3, 4])], [spread([2, 2])]]),
  moveAxis: row((x) => moveAxis(x, 0, -1), 'x0.movedim(0, -1)', [
    ...badAxes((axis) => moveAxis(zeros([2, 3]), axis, 0)),
    ['a place out of range', () => moveAxis(zeros([2, 3]), 0, 2), /axis 2 is out of range/],
  ]),
  outer: {
    ...pairOf('outer', 'torch.outer(x0, x1)', outer, []),
    samples: [[spread([4]), spread([3], -1, 3)]],
  },
  dot: pairOf('dot', 'torch.dot(x0, x1)', dot, [
    ['lengths that differ', () => dot(zeros([2]), zeros([3])), /dot: needs two vectors of one length/],
  ]),
  einsum: einsumRow(
    'ij,jk->ik',
    [
      [spread([2, 3]), spread([3, 4])],
      [spread([1, 2]), spread([2, 2], -1, 3)],
    ],
    [
      ...notTensors((x: Tensor) => einsum('ij->ji', x)),
      ['no string', () => einsum(1 as unknown as string, zeros([2])), /einsum: the equation must be a string/],
      ['a sign that is no letter', () => einsum('i1->i', zeros([2, 2])), /einsum: cannot read/],
      ['two arrows', () => einsum('i->i->i', zeros([2])), /einsum: cannot read/],
      ['too few tensors', () => einsum('i,i->', zeros([2])), /einsum: "i,i->" names 2 tensors, 1 were given/],
      ['another rank', () => einsum('ij->i', zeros([2])), /tensor 0 has shape \[2\], its labels are "ij"/],
      [
        'extents that differ',
        () => einsum('i,i->', zeros([2]), zeros([3])),
        /label i stands for 2 and, in tensor 1, 3/,
      ],
      ['an unknown label', () => einsum('i->j', zeros([2])), /label j of the result/],
      ['a label twice in the result', () => einsum('i->ii', zeros([2])), /label i of the result/],
    ],
  ),
  'einsum/batch': einsumRow('bij,bjk->bik', [[spread([2, 2, 3]), spread([2, 3, 2], -1, 3)]]),
  'einsum/implicit': einsumRow('ij,kj', [[spread([2, 3]), spread([4, 3], -1, 3)]]),
  'einsum/trace': einsumRow('ii->i', [[spread([3, 3])]]),
  'einsum/sum': einsumRow('ijk->j', [[spread([2, 3, 2])]]),
  'einsum/permute': einsumRow('ijk->kij', [[spread([2, 3, 2])]]),
  'einsum/outer': einsumRow('i,j->ji', [[spread([2]), spread([3], -1, 3)]]),
  'einsum/attention': einsumRow('bqhd,bkhd->bhqk', [[spread([1, 2, 2, 3]), spread([1, 3, 2, 3], -1, 3)]]),
  'einsum/three': einsumRow('ij,jk,kl->il', [[spread([2, 2]), spread([2, 3], -1, 3), spread([3, 2], 0, 1)]]),
  'einsum/inner': einsumRow('ijb,ijb->', [[spread([2, 2, 2]), spread([2, 2, 2], -1, 3)]]),
};

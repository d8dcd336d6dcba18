/** Rows of the functions behind layers: normalization, attention, embedding, bilinear. */
import { nn, zeros, type Tensor } from '../../../lib';
import { dense, spread } from '../reference';
import type { Row, Rows } from '../row';
import { int32, notTensors, positions } from './build';

const f = nn.functional;

const attention = (options: Parameters<typeof f.scaledDotProductAttention>[3], torch: string): Row => ({
  call: (q: Tensor, k: Tensor, v: Tensor) => f.scaledDotProductAttention(q, k, v, options),
  torch,
  samples: [
    [spread([3, 4]), spread([3, 4], -1, 2), spread([3, 2], -1, 1)],
    [spread([2, 2, 3]), spread([2, 2, 3], -1, 2), spread([2, 2, 4], -1, 1)],
  ],
  gradient: 'all',
  bad: [],
});

export const rows: Rows = {
  'nn.functional.layerNorm': {
    call: (x: Tensor, w: Tensor, b: Tensor) => f.layerNorm(x, [x.shape[x.rank - 1]], { weight: w, bias: b }),
    torch: 'F.layer_norm(x0, [x0.shape[-1]], x1, x2)',
    samples: [
      [spread([3, 5]), spread([5], 0.5, 2), spread([5])],
      [spread([2, 3, 4]), spread([4], 0.5, 2), spread([4])],
      [spread([2, 70]), spread([70], 0.5, 2), spread([70])],
    ],
    gradient: 'all',
    gradientSamples: [
      [spread([3, 4]), spread([4], 0.5, 2), spread([4])],
      [spread([2, 2, 3]), spread([3], 0.5, 2), spread([3])],
    ],
    bad: [
      ...notTensors((x: Tensor) => f.layerNorm(x, [2])),
      ['another last axis', () => f.layerNorm(zeros([2, 3]), [4]), /layerNorm: x \[2,3\] must end in .*\[4\]/],
      ['an empty shape', () => f.layerNorm(zeros([2, 3]), []), /layerNorm: x \[2,3\] must end in/],
      [
        'a weight of another shape',
        () => f.layerNorm(zeros([2, 3]), [3], { weight: zeros([2]) }),
        /layerNorm: weight \[2\] must have shape \[3\]/,
      ],
      ['a negative eps', () => f.layerNorm(zeros([2, 3]), [3], { eps: -1 }), /layerNorm: eps must be a number in/],
    ],
  },
  'nn.functional.layerNorm/axes': {
    call: (x: Tensor) => f.layerNorm(x, [3, 4], { eps: 0.1 }),
    torch: 'F.layer_norm(x0, [3, 4], eps=0.1)',
    samples: [[spread([2, 3, 4])], [spread([1, 3, 4], 5, 9)]],
    gradient: 'all',
    bad: [],
  },
  'nn.functional.rmsNorm': {
    call: (x: Tensor, w: Tensor) => f.rmsNorm(x, [x.shape[x.rank - 1]], { weight: w }),
    torch: 'x0 * torch.rsqrt(x0.square().mean(-1, keepdim=True) + 1e-5) * x1',
    samples: [
      [spread([3, 5]), spread([5], 0.5, 2)],
      [spread([2, 2, 3]), spread([3], 0.5, 2)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.rmsNorm(x, [2])),
      ['another last axis', () => f.rmsNorm(zeros([2, 3]), [4]), /rmsNorm: x \[2,3\] must end in/],
    ],
  },
  'nn.functional.groupNorm': {
    call: (x: Tensor, w: Tensor, b: Tensor) => f.groupNorm(x, 2, { weight: w, bias: b }),
    torch: 'F.group_norm(x0, 2, x1, x2)',
    samples: [
      [spread([2, 4, 3]), spread([4], 0.5, 2), spread([4])],
      [spread([1, 4, 2, 2]), spread([4], 0.5, 2), spread([4])],
      [spread([3, 6]), spread([6], 0.5, 2), spread([6])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.groupNorm(x, 1)),
      [
        'groups that do not divide',
        () => f.groupNorm(zeros([2, 3]), 2),
        /groupNorm: the 3 channels .* are no multiple of 2/,
      ],
      ['no groups', () => f.groupNorm(zeros([2, 3]), 0), /groupNorm: groups must be an integer/],
      ['a vector', () => f.groupNorm(zeros([3]), 1), /groupNorm: x \[3\] must be \[n, channels, ...\]/],
    ],
  },
  'nn.functional.instanceNorm': {
    call: (x: Tensor, w: Tensor) => f.instanceNorm(x, { weight: w }),
    torch: 'F.instance_norm(x0, weight=x1)',
    samples: [
      [spread([2, 3, 4]), spread([3], 0.5, 2)],
      [spread([1, 2, 3, 3]), spread([2], 0.5, 2)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.instanceNorm(x)),
      ['a vector', () => f.instanceNorm(zeros([3])), /instanceNorm: x \[3\]/],
    ],
  },
  'nn.functional.batchNorm': {
    call: (x: Tensor, w: Tensor, b: Tensor) => f.batchNorm(x, { weight: w, bias: b }),
    torch: 'F.batch_norm(x0, None, None, x1, x2, training=True)',
    samples: [
      [spread([4, 3]), spread([3], 0.5, 2), spread([3])],
      [spread([2, 3, 4]), spread([3], 0.5, 2), spread([3])],
      [spread([3, 2, 2, 2]), spread([2], 0.5, 2), spread([2])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.batchNorm(x)),
      ['a single element', () => f.batchNorm(zeros([1, 3])), /batchNorm: x \[1,3\] gives each channel 1 elements/],
      ['a vector', () => f.batchNorm(zeros([3])), /batchNorm: x \[3\]/],
      ['a bias of another shape', () => f.batchNorm(zeros([2, 3]), { bias: zeros([2]) }), /batchNorm: bias \[2\]/],
    ],
  },
  'nn.functional.batchNorm/running': {
    call: (x: Tensor, m: Tensor, v: Tensor, w: Tensor) =>
      f.batchNorm(x, { running: { mean: m, variance: v }, weight: w }),
    torch: 'F.batch_norm(x0, x1, x2, x3)',
    samples: [[spread([2, 3, 4]), spread([3]), spread([3], 0.5, 2), spread([3], 0.5, 2)]],
    gradient: [0, 3],
    bad: [],
  },
  'nn.functional.normalize': {
    call: (x: Tensor) => f.normalize(x),
    torch: 'F.normalize(x0)',
    samples: [[spread([3, 5])], [spread([2, 3, 4])]],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.normalize(x)),
      ['an axis out of range', () => f.normalize(zeros([2])), /axis 1 is out of range/],
    ],
  },
  'nn.functional.scaledDotProductAttention': {
    ...attention({}, 'torch.softmax(x0 @ x1.transpose(-1, -2) / math.sqrt(x0.shape[-1]), -1) @ x2'),
    bad: [
      ...notTensors((x: Tensor) => f.scaledDotProductAttention(x, zeros([2, 2]), zeros([2, 2])), 'query'),
      [
        'features that differ',
        () => f.scaledDotProductAttention(zeros([2, 3]), zeros([2, 4]), zeros([2, 2])),
        /same features/,
      ],
      [
        'lengths that differ',
        () => f.scaledDotProductAttention(zeros([2, 3]), zeros([2, 3]), zeros([3, 2])),
        /the same length/,
      ],
      [
        'a vector',
        () => f.scaledDotProductAttention(zeros([3]), zeros([2, 3]), zeros([2, 3])),
        /expected \[..., length, features\]/,
      ],
      [
        'a mask that does not broadcast',
        () => f.scaledDotProductAttention(zeros([2, 3]), zeros([2, 3]), zeros([2, 3]), { mask: zeros([3, 2, 2]) }),
        /does not broadcast to the scores/,
      ],
      [
        'an integer mask',
        () => f.scaledDotProductAttention(zeros([2, 3]), zeros([2, 3]), zeros([2, 3]), { mask: int32(1, 1) }),
        /the mask must be bool or float/,
      ],
      [
        'a dropout above 1',
        () => f.scaledDotProductAttention(zeros([2, 3]), zeros([2, 3]), zeros([2, 3]), { dropout: 2 }),
        /dropout must be a number in/,
      ],
    ],
  },
  'nn.functional.scaledDotProductAttention/causal': attention(
    { causal: true },
    'torch.softmax((x0 @ x1.transpose(-1, -2) / math.sqrt(x0.shape[-1])).masked_fill(torch.ones(x0.shape[-2], x1.shape[-2], dtype=torch.bool).triu(1), -math.inf), -1) @ x2',
  ),
  'nn.functional.scaledDotProductAttention/mask': {
    call: (q: Tensor, k: Tensor, v: Tensor, mask: Tensor) => f.scaledDotProductAttention(q, k, v, { mask, scale: 0.7 }),
    torch: 'torch.softmax(x0 @ x1.transpose(-1, -2) * 0.7 + x3, -1) @ x2',
    samples: [[spread([2, 3, 2]), spread([2, 4, 2], -1, 2), spread([2, 4, 3], -1, 1), spread([3, 4], -1, 1)]],
    gradient: 'all',
    bad: [],
  },
  'nn.functional.scaledDotProductAttention/hidden': {
    call: (q: Tensor, k: Tensor, v: Tensor, mask: Tensor<'bool'>) => f.scaledDotProductAttention(q, k, v, { mask }),
    torch:
      'torch.nan_to_num(torch.softmax((x0 @ x1.transpose(-1, -2) / math.sqrt(2)).masked_fill(~x3, -math.inf), -1), nan=0.0).mul(x3.any(-1, keepdim=True)) @ x2',
    samples: [
      [
        spread([3, 2]),
        spread([3, 2], -1, 2),
        spread([3, 3], -1, 1),
        dense([3, 3], [1, 0, 1, 1, 1, 1, 0, 1, 0], 'bool'),
      ],
    ],
    gradient: [0, 1, 2],
    bad: [],
  },
  'nn.functional.embedding': {
    call: (i: Tensor<'int32'>, w: Tensor) => f.embedding(i, w),
    torch: 'F.embedding(x0.long(), x1)',
    samples: [
      [positions([5], 4), spread([4, 3])],
      [positions([2, 3], 4), spread([4, 2])],
    ],
    gradient: [1],
    bad: [
      ...notTensors((i: Tensor<'int32'>) => f.embedding(i, zeros([2, 2])), 'index'),
      ...notTensors((w: Tensor) => f.embedding(int32(0), w), 'weight'),
      ['a row that is not there', () => f.embedding(int32(2), zeros([2, 2])), /index 2/],
      ['a float index', () => f.embedding(zeros([2]) as unknown as Tensor<'int32'>, zeros([2, 2])), /must be int32/],
      ['a weight of rank 1', () => f.embedding(int32(0), zeros([2])), /weight must be \[rows, features\]/],
      [
        'a padding row that is not there',
        () => f.embedding(int32(0), zeros([2, 2]), { paddingIndex: 2 }),
        /paddingIndex must be/,
      ],
    ],
  },
  'nn.functional.embedding/padding': {
    call: (i: Tensor<'int32'>, w: Tensor) => f.embedding(i, w, { paddingIndex: 2 }),
    torch: 'F.embedding(x0.long(), x1, padding_idx=2)',
    samples: [[positions([2, 3], 4), spread([4, 2])]],
    // The padding row's gradient is left out on purpose, which finite differences cannot know.
    gradient: [1],
    gradientSamples: [[dense([3], [0, 1, 3], 'int32'), spread([4, 2])]],
    bad: [],
  },
  'nn.functional.bilinear': {
    call: (a: Tensor, b: Tensor, w: Tensor, c: Tensor) => f.bilinear(a, b, w, c),
    torch: 'F.bilinear(x0, x1, x2, x3)',
    samples: [
      [spread([2, 3]), spread([2, 2], -1, 1), spread([4, 3, 2]), spread([4])],
      [spread([2, 2, 3]), spread([2, 2, 1], -1, 1), spread([2, 3, 1]), spread([2])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.bilinear(x, zeros([2, 2]), zeros([1, 2, 2])), 'a'),
      ['features that differ', () => f.bilinear(zeros([2, 3]), zeros([2, 2]), zeros([1, 2, 2])), /bilinear: a \[2,3\]/],
      [
        'a bias of another size',
        () => f.bilinear(zeros([2, 2]), zeros([2, 2]), zeros([1, 2, 2]), zeros([2])),
        /bias \[2\] must be \[1\]/,
      ],
    ],
  },
};

/** Rows of convolution and transposed convolution. */
import { nn, zeros, type Tensor } from '../../../lib';
import { repeated, spread, type Dense } from '../reference';
import type { Row, Rows } from '../row';
import { notTensors, type Bad } from './build';

const { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d } = nn.functional;

type Shapes = readonly [x: readonly number[], weight: readonly number[], bias?: number];

/** Inputs, weights and biases that are unlike each other. */
function inputs([x, weight, bias]: Shapes): Dense[] {
  const list = [spread(x), spread(weight, -1, 1.5)];
  if (bias !== undefined) list.push(spread([bias], 0.5, 1));
  return list;
}

const row = (call: Row['call'], torch: string, samples: readonly Shapes[], bad: Bad = []): Row => ({
  call,
  torch,
  samples: samples.map(inputs),
  gradient: 'all',
  bad,
});

const conv2dRow = (options: nn.functional.ConvOptions, torch: string, samples: readonly Shapes[]): Row =>
  row((x: Tensor, w: Tensor) => conv2d(x, w, null, options), `F.conv2d(x0, x1, ${torch})`, samples);

type Conv = (x: Tensor, w: Tensor, b?: Tensor | null, options?: nn.functional.ConvOptions) => Tensor;

/** What every convolution over `axes` axes must refuse; weights are [outChannels, inChannels, 2, …]. */
function badCalls(name: string, axes: number, conv: Conv): Bad {
  const cube = (...extents: number[]): Tensor =>
    zeros([...extents.slice(0, 2), ...new Array<number>(axes).fill(extents[2])]);
  const x = (): Tensor => cube(1, 2, 4);
  const w = (): Tensor => cube(3, 2, 2);
  const at = (text: string): RegExp => new RegExp(`${name}: ${text}`);
  return [
    ...notTensors((bad: Tensor) => conv(bad, w())),
    ...notTensors((bad: Tensor) => conv(x(), bad), 'weight'),
    ['a bias that is no tensor', () => conv(x(), w(), 1 as unknown as Tensor), at('bias must be a tensor')],
    ['an input of too low a rank', () => conv(zeros([2]), w()), at('x must have shape \\[batch, channels')],
    [
      'an input of too high a rank',
      () => conv(zeros(new Array<number>(axes + 3).fill(2)), w()),
      at('x must have shape'),
    ],
    ['a weight of another rank', () => conv(x(), zeros([3, 2])), at('weight must have shape')],
    ['an empty kernel', () => conv(x(), cube(3, 2, 0)), at('weight must have shape')],
    ['channels that differ', () => conv(x(), cube(3, 4, 2)), at('x .* has 2 channels, weight .* needs 4')],
    ['groups that do not divide', () => conv(x(), w(), null, { groups: 2 }), at('groups 2 must divide the 3')],
    ['a bias of another size', () => conv(x(), w(), zeros([2])), at('bias must have shape \\[3\\], got \\[2\\]')],
    ['a kernel that does not fit', () => conv(x(), cube(3, 2, 5)), at('a kernel that covers \\[5.*does not fit')],
    [
      'a dilated kernel that does not fit',
      () => conv(x(), w(), null, { dilation: 4 }),
      at('a kernel that covers \\[5'),
    ],
    ['integers', () => conv(zeros([1, 2, 4, 4], { dtype: 'int32' }) as never, w()), at('x must be float32')],
    [
      'dtypes that differ',
      () => conv(x(), zeros(w().shape, { dtype: 'float64' }) as never),
      at('dtypes differ: float32 and float64'),
    ],
    ['a stride of 0', () => conv(x(), w(), null, { stride: 0 }), at('stride must be an integer in \\[1')],
    ['a fractional stride', () => conv(x(), w(), null, { stride: 1.5 }), at('stride must be an integer')],
    ['a negative padding', () => conv(x(), w(), null, { padding: -1 }), at('padding must be an integer in \\[0')],
    ['NaN for a dilation', () => conv(x(), w(), null, { dilation: NaN }), at('dilation must be an integer')],
    ['groups of 0', () => conv(x(), w(), null, { groups: 0 }), at('groups must be an integer in \\[1')],
    [
      'too many numbers',
      () => conv(x(), w(), null, { stride: [1, 1, 1, 1] }),
      at(`stride must be a number or ${String(axes)} of them`),
    ],
    ['an unknown padding', () => conv(x(), w(), null, { padding: 'full' as never }), at('padding must be an integer')],
    [
      "padding 'same' with a stride",
      () => conv(x(), w(), null, { padding: 'same', stride: 2 }),
      at("padding 'same' needs stride 1"),
    ],
  ];
}

function badTransposed(name: string, axes: number, conv: typeof convTranspose1d): Bad {
  const cube = (...extents: number[]): Tensor =>
    zeros([...extents.slice(0, 2), ...new Array<number>(axes).fill(extents[2])]);
  const x = (): Tensor => cube(1, 2, 4);
  const w = (): Tensor => cube(2, 3, 2);
  const at = (text: string): RegExp => new RegExp(`${name}: ${text}`);
  return [
    ...notTensors((bad: Tensor) => conv(bad, w())),
    ...notTensors((bad: Tensor) => conv(x(), bad), 'weight'),
    ['channels that differ', () => conv(x(), cube(3, 3, 2)), at('x .* needs 3 channels')],
    ['groups that do not divide', () => conv(x(), w(), null, { groups: 3 }), at('.*groups 3 must divide them')],
    ['a bias of another size', () => conv(x(), w(), zeros([2])), at('bias must have shape \\[3\\]')],
    ['a weight of another rank', () => conv(x(), zeros([2, 3])), at('weight must have shape')],
    ['an input of another rank', () => conv(zeros([2]), w()), at('x must have shape')],
    [
      'an outputPadding as large as the stride',
      () => conv(x(), w(), null, { outputPadding: 2, stride: 2 }),
      at('outputPadding 2 must be below the stride 2 or the dilation 1'),
    ],
    ['a padding that leaves nothing', () => conv(x(), w(), null, { padding: 3 }), at('the output .* would be empty')],
    ['a negative stride', () => conv(x(), w(), null, { stride: -1 }), at('stride must be an integer')],
    [
      'a text for a padding',
      () => conv(x(), w(), null, { padding: 'same' as never }),
      at('padding must be an integer'),
    ],
    ['an input without positions', () => conv(cube(1, 2, 0), w()), at('the output .* would be empty')],
    [
      'dtypes that differ',
      () => conv(x(), zeros(w().shape, { dtype: 'float64' })),
      at('dtypes differ: float32 and float64'),
    ],
  ];
}

export const rows: Rows = {
  'nn.functional.conv1d': row(
    conv1d,
    'F.conv1d(x0, x1, x2)',
    [
      [[2, 3, 7], [4, 3, 3], 4],
      [[1, 1, 5], [1, 1, 5], 1],
      [[0, 2, 6], [3, 2, 2], 3],
      [[2, 5], [3, 2, 2], 3], // without a batch
      [[3, 4, 40], [2, 4, 1], 2],
    ],
    badCalls('conv1d', 1, conv1d),
  ),
  'nn.functional.conv1d/options': row(
    (x: Tensor, w: Tensor) => conv1d(x, w, null, { stride: 3, padding: 4, dilation: 2, groups: 2 }),
    'F.conv1d(x0, x1, None, 3, 4, 2, 2)',
    [
      [
        [1, 2, 9],
        [2, 1, 3],
      ],
      [
        [2, 4, 8],
        [6, 2, 4],
      ],
      [
        [1, 4, 1],
        [2, 2, 2],
      ],
      [
        [2, 2, 50],
        [2, 1, 5],
      ],
    ],
  ),
  'nn.functional.conv2d': row(
    conv2d,
    'F.conv2d(x0, x1, x2)',
    [
      [[1, 2, 4, 4], [2, 2, 3, 3], 2],
      [[2, 1, 5, 3], [3, 1, 2, 2], 3],
      [[1, 3, 3, 5], [1, 3, 3, 5], 1],
      [[0, 2, 4, 4], [2, 2, 2, 3], 2],
      [[2, 4, 4], [3, 2, 3, 1], 3],
      [[1, 2, 5, 11], [9, 2, 3, 2], 9],
    ],
    badCalls('conv2d', 2, conv2d),
  ),
  'nn.functional.conv2d/noBias': row((x: Tensor, w: Tensor) => conv2d(x, w), 'F.conv2d(x0, x1)', [
    [
      [1, 2, 4, 4],
      [2, 2, 3, 3],
    ],
    [
      [2, 1, 1, 1],
      [1, 1, 1, 1],
    ],
    [
      [3, 2, 3, 5],
      [7, 2, 2, 2],
    ],
    [
      [1, 9, 5, 5],
      [2, 9, 5, 5],
    ],
  ]),
  'nn.functional.conv2d/stride': conv2dRow({ stride: [2, 3] }, 'stride=(2, 3)', [
    [
      [1, 2, 5, 6],
      [2, 2, 3, 3],
    ],
    [
      [2, 1, 4, 7],
      [3, 1, 1, 2],
    ],
    [
      [1, 2, 2, 2],
      [1, 2, 2, 2],
    ],
    [
      [1, 2, 6, 40],
      [3, 2, 4, 4],
    ],
  ]),
  'nn.functional.conv2d/padding': conv2dRow({ padding: [2, 1] }, 'padding=(2, 1)', [
    [
      [1, 2, 4, 4],
      [2, 2, 3, 3],
    ],
    [
      [2, 1, 1, 1],
      [3, 1, 3, 3],
    ],
    [
      [1, 1, 2, 5],
      [2, 1, 1, 1],
    ],
    [
      [1, 3, 4, 9],
      [4, 3, 5, 3],
    ],
  ]),
  'nn.functional.conv2d/strideAndPadding': conv2dRow({ stride: 2, padding: 1 }, 'stride=2, padding=1', [
    [
      [1, 2, 5, 4],
      [2, 2, 3, 3],
    ],
    [
      [2, 1, 4, 4],
      [3, 1, 3, 3],
    ],
    [
      [1, 2, 3, 3],
      [2, 2, 1, 1],
    ],
    [
      [1, 2, 7, 38],
      [3, 2, 3, 3],
    ],
  ]),
  'nn.functional.conv2d/same': conv2dRow({ padding: 'same', dilation: [1, 2] }, 'padding="same", dilation=(1, 2)', [
    [
      [1, 2, 4, 4],
      [2, 2, 3, 2],
    ],
    [
      [1, 1, 5, 5],
      [2, 1, 2, 4],
    ],
    [
      [2, 1, 2, 3],
      [1, 1, 1, 1],
    ],
    [
      [1, 2, 5, 20],
      [3, 2, 4, 3],
    ],
  ]),
  'nn.functional.conv2d/valid': conv2dRow({ padding: 'valid' }, 'padding="valid"', [
    [
      [1, 2, 4, 4],
      [2, 2, 3, 2],
    ],
    [
      [2, 1, 2, 2],
      [1, 1, 2, 2],
    ],
    [
      [1, 1, 3, 5],
      [2, 1, 1, 4],
    ],
    [
      [1, 2, 5, 20],
      [3, 2, 4, 3],
    ],
  ]),
  'nn.functional.conv2d/dilation': conv2dRow({ dilation: [2, 3], padding: 1 }, 'dilation=(2, 3), padding=1', [
    [
      [1, 2, 4, 5],
      [2, 2, 2, 2],
    ],
    [
      [2, 1, 5, 5],
      [1, 1, 3, 2],
    ],
    [
      [1, 1, 1, 2],
      [2, 1, 1, 2],
    ],
    [
      [1, 2, 5, 21],
      [3, 2, 3, 3],
    ],
  ]),
  'nn.functional.conv2d/groups': conv2dRow({ groups: 2, padding: 1 }, 'groups=2, padding=1', [
    [
      [1, 4, 3, 3],
      [2, 2, 2, 2],
    ],
    [
      [2, 2, 3, 3],
      [4, 1, 3, 3],
    ],
    [
      [1, 6, 2, 2],
      [2, 3, 1, 1],
    ],
    [
      [1, 6, 4, 5],
      [6, 3, 3, 3],
    ],
  ]),
  'nn.functional.conv2d/depthwise': conv2dRow({ groups: 3, stride: 2, padding: 1 }, 'groups=3, stride=2, padding=1', [
    [
      [1, 3, 4, 5],
      [3, 1, 3, 3],
    ],
    [
      [2, 3, 3, 3],
      [6, 1, 2, 2],
    ],
    [
      [1, 3, 1, 1],
      [3, 1, 3, 3],
    ],
    [
      [1, 3, 5, 37],
      [3, 1, 3, 4],
    ],
    [
      [0, 3, 4, 4],
      [3, 1, 3, 3],
    ],
  ]),
  'nn.functional.conv3d': row(
    conv3d,
    'F.conv3d(x0, x1, x2)',
    [
      [[1, 2, 2, 3, 3], [2, 2, 2, 2, 2], 2],
      [[2, 1, 1, 1, 1], [3, 1, 1, 1, 1], 3],
      [[0, 1, 2, 2, 2], [1, 1, 2, 2, 2], 1],
      [[1, 3, 2, 4], [2, 1, 2, 1, 3], 2],
      [[1, 2, 3, 4, 7], [3, 2, 2, 3, 3], 3],
    ],
    badCalls('conv3d', 3, conv3d),
  ),
  'nn.functional.conv3d/options': row(
    (x: Tensor, w: Tensor) =>
      conv3d(x, w, null, { stride: [1, 2, 1], padding: [1, 0, 1], dilation: [1, 1, 2], groups: 2 }),
    'F.conv3d(x0, x1, None, (1, 2, 1), (1, 0, 1), (1, 1, 2), 2)',
    [
      [
        [1, 2, 2, 3, 3],
        [2, 1, 2, 2, 2],
      ],
      [
        [2, 2, 1, 2, 3],
        [4, 1, 3, 1, 1],
      ],
      [
        [1, 4, 2, 1, 2],
        [2, 2, 1, 1, 2],
      ],
      [
        [1, 2, 3, 5, 7],
        [4, 1, 3, 3, 2],
      ],
    ],
  ),
  'nn.functional.convTranspose1d': row(
    convTranspose1d,
    'F.conv_transpose1d(x0, x1, x2)',
    [
      [[2, 3, 4], [3, 2, 3], 2],
      [[1, 1, 1], [1, 1, 1], 1],
      [[0, 2, 3], [2, 1, 2], 1],
      [[2, 3], [2, 3, 2], 3],
    ],
    badTransposed('convTranspose1d', 1, convTranspose1d),
  ),
  'nn.functional.convTranspose1d/options': row(
    (x: Tensor, w: Tensor) =>
      convTranspose1d(x, w, null, { stride: 3, padding: 2, outputPadding: 2, dilation: 2, groups: 2 }),
    'F.conv_transpose1d(x0, x1, None, 3, 2, 2, 2, 2)',
    [
      [
        [1, 2, 5],
        [2, 1, 3],
      ],
      [
        [2, 4, 3],
        [4, 3, 2],
      ],
      [
        [1, 2, 1],
        [2, 2, 4],
      ],
      [
        [2, 2, 21],
        [2, 1, 5],
      ],
    ],
  ),
  'nn.functional.convTranspose1d/outputPaddingBeyondStride': row(
    (x: Tensor, w: Tensor) => convTranspose1d(x, w, null, { stride: 2, outputPadding: 3, dilation: 4 }),
    'F.conv_transpose1d(x0, x1, None, 2, 0, 3, 1, 4)',
    [
      [
        [1, 2, 5],
        [2, 1, 3],
      ],
      [
        [2, 1, 3],
        [1, 2, 2],
      ],
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
      [
        [1, 3, 9],
        [3, 2, 2],
      ],
    ],
  ),
  'nn.functional.convTranspose2d': row(
    convTranspose2d,
    'F.conv_transpose2d(x0, x1, x2)',
    [
      [[1, 2, 3, 3], [2, 2, 2, 3], 2],
      [[2, 1, 2, 4], [1, 3, 2, 1], 3],
      [[0, 2, 2, 2], [2, 1, 2, 2], 1],
      [[2, 3, 3], [2, 2, 2, 2], 2],
      [[1, 3, 3, 9], [3, 5, 3, 3], 5],
    ],
    badTransposed('convTranspose2d', 2, convTranspose2d),
  ),
  'nn.functional.convTranspose2d/stride': row(
    (x: Tensor, w: Tensor) => convTranspose2d(x, w, null, { stride: [2, 3], padding: 1, outputPadding: [1, 0] }),
    'F.conv_transpose2d(x0, x1, None, (2, 3), 1, (1, 0))',
    [
      [
        [1, 2, 3, 3],
        [2, 2, 3, 3],
      ],
      [
        [2, 1, 2, 2],
        [1, 3, 2, 4],
      ],
      [
        [1, 2, 2, 3],
        [2, 1, 4, 3],
      ],
      [
        [1, 3, 3, 5],
        [3, 4, 4, 4],
      ],
    ],
  ),
  'nn.functional.convTranspose2d/groups': row(
    (x: Tensor, w: Tensor) => convTranspose2d(x, w, null, { stride: 2, groups: 2, dilation: [1, 2] }),
    'F.conv_transpose2d(x0, x1, None, 2, 0, 0, 2, (1, 2))',
    [
      [
        [1, 2, 3, 3],
        [2, 2, 2, 2],
      ],
      [
        [1, 4, 2, 2],
        [4, 1, 3, 1],
      ],
      [
        [2, 2, 1, 1],
        [2, 1, 2, 3],
      ],
      [
        [1, 4, 3, 4],
        [4, 2, 3, 3],
      ],
    ],
  ),
  // An expanded input and a weight used twice: strides of 0.
  'nn.functional.conv2d/broadcast': {
    call: (x: Tensor, w: Tensor) => conv2d(x.expand([2, 2, 3, 4]), w.expand([3, 2, 2, 2])),
    torch: 'F.conv2d(x0.expand(2, 2, 3, 4), x1.expand(3, 2, 2, 2))',
    samples: [
      [spread([3, 4]), spread([1, 2, 2, 2], -1, 1.5)],
      [spread([2, 1, 1, 4]), spread([3, 1, 1, 2])],
      [spread([2, 2, 3, 4]), spread([2, 2])],
      [repeated(spread([4])), spread([3, 2, 2, 2], 0, 2)],
    ],
    gradient: 'all',
    bad: [],
  },
};

/** Rows of pooling, resampling and pixel shuffling. */
import { nn, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { dense, spread, type Dense } from '../reference';
import type { Row, Rows } from '../row';
import { notTensors, type Bad } from './build';

const { functional: F } = nn;

const row = (
  call: Row['call'],
  torch: string,
  samples: readonly (Dense | readonly number[])[],
  bad: Bad = [],
): Row => ({
  call,
  torch,
  samples: samples.map((sample) => ['data' in sample ? sample : spread(sample)]),
  gradient: 'all',
  // Without those given element by element, which lie on kinks.
  gradientSamples: samples.flatMap((sample) => ('data' in sample ? [] : [[spread(sample)]])),
  bad,
});

const pair = ({ values, indices }: nn.functional.Pooled): AnyTensor[] => [values, indices];

/** Distinct shapes for each number of axes; the last has no batch axis, the one before no batch. */
const shapes: Readonly<Record<number, readonly (readonly number[])[]>> = {
  1: [
    [2, 3, 7],
    [1, 1, 4],
    [2, 2, 37],
    [0, 2, 5],
    [2, 6],
  ],
  2: [
    [1, 2, 5, 4],
    [2, 1, 4, 4],
    [1, 1, 6, 39],
    [0, 2, 4, 5],
    [2, 5, 5],
  ],
  3: [
    [1, 1, 4, 4, 4],
    [2, 1, 4, 4, 5],
    [1, 1, 4, 4, 9],
    [0, 1, 4, 4, 4],
    [1, 4, 5, 4],
  ],
};

const nan = dense([1, 1, 4, 4], [1, 2, NaN, 4, 5, 6, 7, -Infinity, 9, -Infinity, 3, 2, 1, 5, NaN, NaN]);
const lowest = dense([1, 1, 2, 4], new Array<number>(8).fill(-Infinity));
const ties = dense([1, 1, 4, 4], [1, 1, 2, 2, 1, 1, 2, 2, 0, 3, 3, 0, 3, 0, 0, 3]);

type Pool = (x: Tensor, kernelSize: number, options?: object) => unknown;

/** What every pooling by windows over `axes` axes must refuse. */
function badWindows(name: string, axes: number, pool: Pool): Bad {
  const x = (): Tensor => zeros([1, 2, ...new Array<number>(axes).fill(4)]);
  const at = (text: string): RegExp => new RegExp(`${name}: ${text}`);
  return [
    ...notTensors((bad: Tensor) => pool(bad, 2)),
    ['an input of too low a rank', () => pool(zeros([2]), 2), at('x must have shape \\[batch, channels')],
    ['an input of too high a rank', () => pool(zeros(new Array<number>(axes + 3).fill(2)), 2), at('x must have shape')],
    ['integers', () => pool(zeros(x().shape, { dtype: 'int32' }) as never, 2), at('x must be float32')],
    ['a kernel of 0', () => pool(x(), 0), at('kernelSize must be an integer in \\[1')],
    ['a fractional kernel', () => pool(x(), 1.5), at('kernelSize must be an integer')],
    ['a kernel for other axes', () => pool(x(), [2, 2, 2, 2] as never), at('kernelSize must be a number or')],
    ['no kernel', () => pool(x(), undefined as never), at('kernelSize must be an integer')],
    ['a kernel that does not fit', () => pool(x(), 5), at('a window of \\[5.*does not fit into x')],
    ['a stride of 0', () => pool(x(), 2, { stride: 0 }), at('stride must be an integer in \\[1')],
    ['an input without positions', () => pool(zeros([1, 2, ...new Array<number>(axes).fill(0)]), 1), at('a window')],
  ];
}

const badPadding = (name: string, axes: number, pool: Pool): Bad => [
  [
    'more padding than half the kernel',
    () => pool(zeros([1, 2, ...new Array<number>(axes).fill(4)]), 2, { padding: 2 }),
    new RegExp(`${name}: padding 2 must be at most half of kernelSize`),
  ],
  [
    'a negative padding',
    () => pool(zeros([1, 2, ...new Array<number>(axes).fill(4)]), 2, { padding: -1 }),
    new RegExp(`${name}: padding must be an integer in \\[0`),
  ],
];

const badDilation = (name: string, axes: number, pool: Pool): Bad => [
  [
    'a dilation of 0',
    () => pool(zeros([1, 2, ...new Array<number>(axes).fill(4)]), 2, { dilation: 0 }),
    /dilation must/,
  ],
  [
    'a dilated kernel that does not fit',
    () => pool(zeros([1, 2, ...new Array<number>(axes).fill(4)]), 2, { dilation: 4 }),
    new RegExp(`${name}: a window of .* with dilation \\[4`),
  ],
];

function badAdaptive(name: string, axes: number, pool: (x: Tensor, size: never) => unknown): Bad {
  const x = (): Tensor => zeros([1, 2, ...new Array<number>(axes).fill(4)]);
  const call = (size: unknown) => () => pool(x(), size as never);
  const at = (text: string): RegExp => new RegExp(`${name}: ${text}`);
  return [
    ...notTensors((bad: Tensor) => pool(bad, 2 as never)),
    ['an output without positions', call(0), at('outputSize must be an integer in \\[1')],
    ['a fractional size', call(1.5), at('outputSize must be an integer')],
    ['no size', call(undefined), at('outputSize must be an integer')],
    ['a size for other axes', call([2, 2, 2, 2]), at('outputSize must be a number or')],
    ['an input of another rank', () => pool(zeros([2]), 2 as never), at('x must have shape')],
    [
      'an input without positions',
      () => pool(zeros([1, 2, ...new Array<number>(axes).fill(0)]), 2 as never),
      at('x .* has nothing'),
    ],
    ['integers', () => pool(zeros(x().shape, { dtype: 'int32' }) as never, 2 as never), at('x must be float32')],
  ];
}

const maxRows: Rows = Object.fromEntries(
  [1, 2, 3].flatMap((axes): [string, Row][] => {
    const name = `maxPool${String(axes) as '1' | '2' | '3'}d` as const;
    const torch = `F.max_pool${String(axes)}d`;
    const pool = F[name];
    return [
      [
        `nn.functional.${name}`,
        row(
          (x: Tensor) => pool(x, 2),
          `${torch}(x0, 2)`,
          [...shapes[axes], ...(axes === 2 ? [nan, lowest, ties] : [])],
          [...badWindows(name, axes, pool), ...badPadding(name, axes, pool), ...badDilation(name, axes, pool)],
        ),
      ],
      [
        `nn.functional.${name}/options`,
        row(
          (x: Tensor) => pool(x, 3, { stride: 2, padding: 1, ceilMode: true }),
          `${torch}(x0, 3, 2, 1, 1, True)`,
          shapes[axes],
        ),
      ],
      [
        `nn.functional.${name}/indices`,
        row(
          (x: Tensor) => pair(pool(x, 2, { stride: 1, dilation: 2, returnIndices: true })),
          `${torch}(x0, 2, 1, 0, 2, return_indices=True)`,
          shapes[axes],
        ),
      ],
    ];
  }),
);

const avgRows: Rows = Object.fromEntries(
  [1, 2, 3].flatMap((axes): [string, Row][] => {
    const name = `avgPool${String(axes) as '1' | '2' | '3'}d` as const;
    const torch = `F.avg_pool${String(axes)}d`;
    const pool = F[name];
    const variants: [string, Row][] = [
      [
        `nn.functional.${name}`,
        row((x: Tensor) => pool(x, 2), `${torch}(x0, 2)`, shapes[axes], [
          ...badWindows(name, axes, pool),
          ...badPadding(name, axes, pool),
        ]),
      ],
      [
        `nn.functional.${name}/options`,
        row(
          (x: Tensor) => pool(x, 3, { stride: 2, padding: 1, ceilMode: true }),
          `${torch}(x0, 3, 2, 1, True)`,
          shapes[axes],
        ),
      ],
      [
        `nn.functional.${name}/withoutPadding`,
        row(
          (x: Tensor) => pool(x, 3, { stride: 1, padding: 1, countIncludePad: false }),
          `${torch}(x0, 3, 1, 1, False, False)`,
          shapes[axes],
        ),
      ],
    ];
    return variants;
  }),
);

const adaptiveRows: Rows = Object.fromEntries(
  [1, 2, 3].flatMap((axes): [string, Row][] => {
    const name = `adaptiveAvgPool${String(axes) as '1' | '2' | '3'}d` as const;
    const torch = `F.adaptive_avg_pool${String(axes)}d`;
    const pool = F[name];
    return [
      [
        `nn.functional.${name}`,
        row((x: Tensor) => pool(x, 3), `${torch}(x0, 3)`, shapes[axes], badAdaptive(name, axes, pool)),
      ],
      [`nn.functional.${name}/global`, row((x: Tensor) => pool(x, 1), `${torch}(x0, 1)`, shapes[axes])],
      [`nn.functional.${name}/larger`, row((x: Tensor) => pool(x, 7), `${torch}(x0, 7)`, shapes[axes].slice(0, 2))],
    ];
  }),
);

const adaptiveMaxRows: Rows = Object.fromEntries(
  [1, 2].flatMap((axes): [string, Row][] => {
    const name = `adaptiveMaxPool${String(axes) as '1' | '2'}d` as const;
    const torch = `F.adaptive_max_pool${String(axes)}d`;
    const pool = F[name];
    return [
      [
        `nn.functional.${name}`,
        row(
          (x: Tensor) => pool(x, 3),
          `${torch}(x0, 3)`,
          [...shapes[axes], ...(axes === 2 ? [nan, ties] : [])],
          badAdaptive(name, axes, pool),
        ),
      ],
      [
        `nn.functional.${name}/indices`,
        row(
          (x: Tensor) => pair(pool(x, 2, { returnIndices: true })),
          `${torch}(x0, 2, return_indices=True)`,
          shapes[axes].filter((shape) => shape[0] !== 0),
        ),
      ],
    ];
  }),
);

const lpRow = (axes: 1 | 2): Row => {
  const name = `lpPool${String(axes) as '1' | '2'}d` as const;
  const pool = F[name];
  return {
    call: (x: Tensor) => pool(x, 3, 2, { stride: 1 }),
    torch: `F.lp_pool${String(axes)}d(x0, 3, 2, 1)`,
    // Away from 0, where the root has no derivative.
    samples: shapes[axes].filter((shape) => shape[0] !== 0).map((shape) => [spread(shape, 0.5, 2)]),
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => pool(x, 2, 2)),
      ['an order of 0', () => pool(zeros([1, 2, 4, 4].slice(0, axes + 2)), 0, 2), /normType must not be 0/],
      ['NaN for an order', () => pool(zeros([1, 2, 4, 4].slice(0, axes + 2)), NaN, 2), /normType must be a number/],
      ['a kernel of 0', () => pool(zeros([1, 2, 4, 4].slice(0, axes + 2)), 2, 0), /kernelSize must be an integer/],
      ['an input of another rank', () => pool(zeros([2]), 2, 2), new RegExp(`${name}: x must have shape`)],
      ['a kernel that does not fit', () => pool(zeros([1, 2, 4, 4].slice(0, axes + 2)), 2, 5), /does not fit/],
    ],
  };
};

type Interpolation = nn.functional.InterpolateOptions;
const resampled = (
  options: Interpolation,
  torch: string,
  samples: readonly (readonly number[])[],
  bad: Bad = [],
): Row => row((x: Tensor) => F.interpolate(x, options), `F.interpolate(x0, ${torch})`, samples, bad);

const badInterpolation = (what: string, options: unknown, message: RegExp, shape = [1, 2, 3, 3]): Bad[number] => [
  what,
  () => F.interpolate(zeros(shape), options as Interpolation),
  message,
];

const badShuffle = (name: 'pixelShuffle' | 'pixelUnshuffle', shape: readonly number[]): Bad => [
  ...notTensors((x: Tensor) => F[name](x, 2)),
  ['a factor of 0', () => F[name](zeros([1, 4, 2, 2]), 0), /Factor must be an integer in \[1/i],
  ['a fractional factor', () => F[name](zeros([1, 4, 2, 2]), 1.5), /Factor must be an integer/i],
  ['no factor', () => F[name](zeros([1, 4, 2, 2]), undefined as never), /Factor must be an integer/i],
  ['a matrix', () => F[name](zeros([4, 4]), 2), new RegExp(`${name}: x must have shape`)],
  ['a shape that does not fit', () => F[name](zeros(shape), 2), new RegExp(`${name}: .*Factor 2`, 'i')],
  ['integers', () => F[name](zeros([1, 4, 2, 2], { dtype: 'int32' }), 2), /x must be float32/],
];

export const rows: Rows = {
  ...maxRows,
  ...avgRows,
  'nn.functional.avgPool2d/divisor': row(
    (x: Tensor) => F.avgPool2d(x, [2, 3], { stride: [2, 1], divisorOverride: -3 }),
    'F.avg_pool2d(x0, (2, 3), (2, 1), divisor_override=-3)',
    shapes[2],
    [
      ['a divisor of 0', () => F.avgPool2d(zeros([1, 1, 2, 2]), 2, { divisorOverride: 0 }), /divisorOverride must not/],
      ['NaN', () => F.avgPool2d(zeros([1, 1, 2, 2]), 2, { divisorOverride: NaN }), /divisorOverride must be a number/],
    ],
  ),
  ...adaptiveRows,
  'nn.functional.adaptiveAvgPool2d/kept': row(
    (x: Tensor) => F.adaptiveAvgPool2d(x, [null, 2]),
    'F.adaptive_avg_pool2d(x0, (None, 2))',
    shapes[2],
  ),
  ...adaptiveMaxRows,
  'nn.functional.lpPool1d': lpRow(1),
  'nn.functional.lpPool2d': lpRow(2),
  'nn.functional.interpolate': resampled(
    { scaleFactor: 2 },
    'scale_factor=2, mode="nearest"',
    [
      [1, 2, 4],
      [2, 1, 3, 4],
      [1, 1, 2, 3, 2],
      [1, 2, 1, 37],
    ],
    [
      ...notTensors((x: Tensor) => F.interpolate(x, { size: 2 })),
      badInterpolation('neither size nor factor', {}, /interpolate: give either size or scaleFactor/),
      badInterpolation('both', { size: 2, scaleFactor: 2 }, /give either/),
      badInterpolation('an unknown mode', { size: 2, mode: 'cubic' }, /unknown mode "cubic"/),
      badInterpolation('a mode for other axes', { size: 2, mode: 'linear' }, /mode 'linear' is for 1 spatial axes/),
      badInterpolation('aligned corners of nearest', { size: 2, alignCorners: true }, /alignCorners is for the linear/),
      badInterpolation('an empty output', { scaleFactor: 0.1 }, /cannot become \[1,2,0,0\]/),
      badInterpolation('a size of 0', { size: 0 }, /size must be an integer in \[1/),
      badInterpolation('a negative factor', { scaleFactor: -1 }, /scaleFactor must be a number in/),
      badInterpolation('factors for other axes', { scaleFactor: [2] }, /scaleFactor must be a number or 2/),
      badInterpolation('a vector', { size: 2 }, /x must have shape/, [3]),
      badInterpolation('nothing to resample', { size: 2 }, /cannot become/, [1, 2, 0, 3]),
    ],
  ),
  'nn.functional.interpolate/nearestSize': resampled({ size: [3, 7] }, 'size=(3, 7), mode="nearest"', [
    [1, 2, 4, 4],
    [2, 1, 5, 7],
    [1, 1, 1, 1],
    [0, 2, 3, 3],
  ]),
  'nn.functional.interpolate/nearestFactor': resampled(
    { scaleFactor: [1.5, 0.7] },
    'scale_factor=(1.5, 0.7), mode="nearest"',
    [
      [1, 2, 4, 4],
      [2, 1, 5, 7],
      [1, 1, 1, 2],
      [1, 2, 3, 11],
    ],
  ),
  'nn.functional.interpolate/linear': resampled({ size: 7, mode: 'linear' }, 'size=7, mode="linear"', [
    [1, 2, 4],
    [2, 3, 7],
    [1, 1, 1],
    [1, 2, 19],
  ]),
  'nn.functional.interpolate/linearAligned': resampled(
    { size: 5, mode: 'linear', alignCorners: true },
    'size=5, mode="linear", align_corners=True',
    [
      [1, 2, 4],
      [2, 3, 7],
      [1, 1, 1],
      [0, 2, 3],
    ],
  ),
  'nn.functional.interpolate/bilinear': resampled(
    { scaleFactor: 2, mode: 'bilinear' },
    'scale_factor=2, mode="bilinear"',
    [
      [1, 2, 3, 4],
      [2, 1, 1, 5],
      [1, 1, 1, 1],
      [1, 1, 3, 18],
    ],
  ),
  'nn.functional.interpolate/bilinearFactor': resampled(
    { scaleFactor: [2.5, 0.6], mode: 'bilinear' },
    'scale_factor=(2.5, 0.6), mode="bilinear"',
    [
      [1, 2, 3, 4],
      [2, 1, 1, 5],
      [1, 1, 1, 2],
      [1, 1, 3, 18],
    ],
  ),
  'nn.functional.interpolate/bilinearAligned': resampled(
    { size: [4, 7], mode: 'bilinear', alignCorners: true },
    'size=(4, 7), mode="bilinear", align_corners=True',
    [
      [1, 2, 3, 4],
      [2, 1, 1, 5],
      [1, 1, 6, 1],
      [1, 1, 3, 18],
    ],
  ),
  'nn.functional.interpolate/trilinear': resampled(
    { size: [3, 4, 5], mode: 'trilinear' },
    'size=(3, 4, 5), mode="trilinear"',
    [
      [1, 1, 2, 3, 2],
      [2, 1, 1, 1, 1],
      [1, 2, 3, 4, 5],
      [1, 1, 5, 2, 9],
    ],
  ),
  'nn.functional.pixelShuffle': row(
    (x: Tensor) => F.pixelShuffle(x, 2),
    'F.pixel_shuffle(x0, 2)',
    [
      [1, 8, 2, 3],
      [4, 1, 3],
      [2, 2, 4, 2, 1],
      [2, 4, 1, 1],
    ],
    badShuffle('pixelShuffle', [1, 6, 2, 2]),
  ),
  'nn.functional.pixelShuffle/3': row((x: Tensor) => F.pixelShuffle(x, 3), 'F.pixel_shuffle(x0, 3)', [
    [1, 9, 2, 3],
    [18, 1, 2],
  ]),
  'nn.functional.pixelUnshuffle': row(
    (x: Tensor) => F.pixelUnshuffle(x, 2),
    'F.pixel_unshuffle(x0, 2)',
    [
      [1, 2, 4, 6],
      [1, 2, 6],
      [2, 1, 2, 2, 4],
      [2, 1, 2, 2],
    ],
    badShuffle('pixelUnshuffle', [1, 2, 3, 4]),
  ),
};

/** Rows of the functions that make tensors. */
import { arange, eye, full, Generator, linspace, ones, rand, randn, zeros } from '../../../lib';
import { dense } from '../reference';
import type { Row, Rows } from '../row';
import type { Bad } from './build';

const created = (call: Row['call'], torch: Row['torch'], bad: Bad = []): Row => ({
  call,
  torch,
  samples: [[]],
  gradient: 'no inputs',
  bad,
  layouts: false,
});

const badShapes = (make: (shape: readonly number[]) => unknown): Bad => [
  ['a negative dimension', () => make([-1]), /non-negative integers, got -1/],
  ['a fractional dimension', () => make([1.5]), /non-negative integers, got 1.5/],
  ['NaN for a dimension', () => make([NaN]), /non-negative integers, got NaN/],
  ['a product that overflows', () => make([2 ** 30, 2 ** 30, 2 ** 30]), /more than 2\^48/],
  ['more memory than there is', () => make([2 ** 45]), /no memory/],
  ['too many axes', () => make([1, 1, 1, 1, 1, 1, 1, 1, 1]), /rank 9/],
  ['no array', () => make(3 as unknown as number[]), /a shape must be an array/],
  ['a string in the shape', () => make(['2' as unknown as number]), /non-negative integers, got "2"/],
];

export const rows: Rows = {
  full: created(() => full([2, 3], 1.5), 'torch.full([2, 3], 1.5)', [
    ...badShapes((shape) => full(shape, 0)),
    ['an unknown dtype', () => full([1], 0, { dtype: 'float8' as 'float32' }), /unknown dtype float8/],
    ['a fraction as int32', () => full([1], 0.5, { dtype: 'int32' }), /not an int32/],
    ['300 as uint8', () => full([1], 300, { dtype: 'uint8' }), /300 is not an uint8/],
  ]),
  zeros: created(() => zeros([2, 0, 3]), 'torch.zeros([2, 0, 3])', badShapes(zeros)),
  ones: created(() => ones([5], { dtype: 'int32' }), 'torch.ones([5], dtype=torch.int32)', badShapes(ones)),
  arange: created(() => arange(1, 8, 2), 'torch.arange(1, 8, 2)', [
    ['a step of 0', () => arange(0, 1, 0), /step must not be 0/],
    ['NaN', () => arange(NaN), /end must be a number/],
    ['no end', () => arange(Infinity), /end must be a number/],
    ['bool', () => arange(3, { dtype: 'bool' }), /bool is not supported/],
    ['float16', () => arange(3, { dtype: 'float16' }), /float16 is not supported/],
  ]),
  'arange/fractions': created(() => arange(0, 1, 0.25), 'torch.arange(0, 1, 0.25)'),
  linspace: created(() => linspace(-1, 1, 7), 'torch.linspace(-1, 1, 7, dtype=torch.float64)', [
    ['NaN', () => linspace(NaN, 1, 3), /linspace: start must be a number/],
    ['a fractional count', () => linspace(0, 1, 2.5), /linspace: count must be an integer/],
    ['a negative count', () => linspace(0, 1, -1), /linspace: count must be an integer/],
  ]),
  eye: created(() => eye(2, 3), 'torch.eye(2, 3)', [
    ['a negative size', () => eye(-1), /non-negative/],
    ['a fractional size', () => eye(1.5), /non-negative/],
  ]),
  rand: created(
    () => rand([100], { generator: new Generator(5), range: [3, 3] }),
    () => dense([100], new Array<number>(100).fill(3)),
    [
      ['an inverted range', () => rand([1], { range: [1, 0] }), /range end/],
      ['a fractional seed', () => new Generator(0.5), /seed must be an integer/],
      ['NaN for a bound', () => rand([1], { range: [NaN, 0] }), /range start must be a number/],
      ...badShapes(rand),
    ],
  ),
  randn: created(
    () => randn([100], { generator: new Generator(5), mean: 2, std: 0 }),
    () => dense([100], new Array<number>(100).fill(2)),
    [
      ['a negative deviation', () => randn([1], { std: -1 }), /std must be a number in/],
      ['NaN for a mean', () => randn([1], { mean: NaN }), /mean must be a number/],
      ...badShapes(randn),
    ],
  ),
};

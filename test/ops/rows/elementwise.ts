/** Rows of the elementwise operations. */
import { allClose, clamp, isClose, tensor, where, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { dense, spread } from '../reference';
import type { Row, Rows } from '../row';
import { binaryRow, notTensors, unaryRow, type UnaryOptions } from './build';

const special = [dense([7], [NaN, Infinity, -Infinity, 0, -0, 1e30, -1e30])];
const whole = [[spread([5, 7], -9, 9, 'int32')]];
// Away from the integers, where these functions jump.
const halves = { low: -3.4, high: 3.4, gradientAt: [0.1, 0.4] as const, more: [special] };

const unary: Record<string, [string, UnaryOptions?]> = {
  neg: ['torch.neg(x0)', { more: [...whole, special] }],
  abs: ['torch.abs(x0)', { gradientAt: [0.3, 2], more: whole }],
  sign: ['torch.sign(x0)', { gradientAt: [0.3, 2], more: whole }],
  square: ['torch.square(x0)', { more: whole }],
  relu: ['torch.relu(x0)', { gradientAt: [0.3, 2], more: [...whole, special] }],
  exp: ['torch.exp(x0)', { more: [special] }],
  expm1: ['torch.expm1(x0)'],
  log: ['torch.log(x0)', { low: 0.1, high: 4, more: [special] }],
  log1p: ['torch.log1p(x0)', { low: -0.8, high: 3 }],
  log2: ['torch.log2(x0)', { low: 0.1, high: 4 }],
  sqrt: ['torch.sqrt(x0)', { low: 0.1, high: 4, more: [special] }],
  rsqrt: ['torch.rsqrt(x0)', { low: 0.2, high: 4 }],
  reciprocal: ['torch.reciprocal(x0)', { low: 0.3, high: 3, more: [special] }],
  sin: ['torch.sin(x0)', { low: -7, high: 7 }],
  cos: ['torch.cos(x0)', { low: -7, high: 7 }],
  tan: ['torch.tan(x0)', { low: -1.3, high: 1.3 }],
  asin: ['torch.asin(x0)', { low: -0.9, high: 0.9 }],
  acos: ['torch.acos(x0)', { low: -0.9, high: 0.9 }],
  atan: ['torch.atan(x0)', { more: [special] }],
  sinh: ['torch.sinh(x0)'],
  cosh: ['torch.cosh(x0)'],
  tanh: ['torch.tanh(x0)', { more: [special] }],
  erf: ['torch.erf(x0)', { more: [special] }],
  erfinv: ['torch.erfinv(x0)', { low: -0.95, high: 0.95 }],
  sigmoid: ['torch.sigmoid(x0)', { low: -6, high: 6, more: [special] }],
  softplus: ['F.softplus(x0)', { low: -6, high: 6 }],
  floor: ['torch.floor(x0)', halves],
  ceil: ['torch.ceil(x0)', halves],
  round: ['torch.round(x0)', { ...halves, more: [special, [dense([4], [0.5, 1.5, 2.5, -0.5])]] }],
  trunc: ['torch.trunc(x0)', halves],
  isNaN: ['torch.isnan(x0)', { gradient: 'gives bool', more: [special] }],
  isInf: ['torch.isinf(x0)', { gradient: 'gives bool', more: [special] }],
  isFinite: ['torch.isfinite(x0)', { gradient: 'gives bool', more: [special] }],
  logicalNot: [
    'torch.logical_not(x0)',
    {
      gradient: 'takes bool',
      dtype: 'bool',
      bad: [
        [
          'a float tensor',
          () => (zeros([2]) as unknown as Tensor<'bool'>).logicalNot(),
          /logicalNot: dtype float32 is not supported/,
        ],
      ],
    },
  ],
};

// Pairs that stay well apart, because the larger of two is not differentiable where they meet.
const apart: Row['gradientSamples'] = [
  [dense([4], [-2, -1, 0, 1]), dense([4], [-1.5, 0.5, -0.5, 1.5])],
  [dense([2, 1, 2], [-2, 1, 0, 2]), dense([3, 1], [-1.5, 0.5, 1.5])],
  [dense([2, 2], [1, -2, 3, 4]), dense([2, 2], [2, 1, -1, 0])],
];
// Quotients well away from the integers, where the remainder jumps.
const quotients: Row['gradientSamples'] = [
  [dense([4], [5.3, -4.4, 7.1, 2.2]), dense([4], [2, 3, -4, 1.5])],
  [dense([2, 2], [5.3, -4.4, 7.1, 2.2]), dense([2, 1], [2, 3.7])],
];
const byZero: Row['bad'] = [
  [
    'an integer divided by 0',
    () => tensor(new Int32Array([1, 2])).remainder(tensor(new Int32Array([1, 0]))),
    /remainder: an integer cannot be divided by 0/,
  ],
];
const comparisons = { gradient: 'gives bool', ints: true };
const booleans = { gradient: 'takes bool', dtype: 'bool' as const };

const condition = (shape: readonly number[]) => spread(shape, -1, 1, 'bool');

export const rows: Rows = {
  ...Object.fromEntries(
    Object.entries(unary).map(([name, [torch, options]]) => [name, unaryRow(name, torch, options)]),
  ),
  add: binaryRow('add', 'x0 + x1', { ints: true }),
  sub: binaryRow('sub', 'x0 - x1', { ints: true }),
  mul: binaryRow('mul', 'x0 * x1', { ints: true }),
  div: binaryRow('div', 'x0 / x1', { low: 0.3, high: 3 }),
  pow: binaryRow('pow', 'x0 ** x1', { low: 0.3, high: 2.5 }),
  atan2: binaryRow('atan2', 'torch.atan2(x0, x1)', {
    gradientSamples: [
      [spread([2, 3], 0.3, 2), spread([2, 3], -2, -0.3)],
      [spread([3], -2, -0.3), spread([2, 1], 0.3, 2)],
    ],
  }),
  remainder: binaryRow('remainder', 'torch.remainder(x0, x1)', {
    low: 0.4,
    high: 7.9,
    ints: true,
    gradientSamples: quotients,
    bad: byZero,
  }),
  'remainder/signs': {
    ...binaryRow('remainder', 'torch.remainder(x0, x1)'),
    samples: [
      [dense([6], [7, -7, 7, -7, 5.5, 0]), dense([6], [3, 3, -3, -3, -2, 4])],
      [dense([4], [7, -7, 7, -7], 'int32'), dense([4], [3, 3, -3, -1], 'int32')],
    ],
    gradient: 'checked in the row above',
    bad: [],
  },
  floorDivide: binaryRow('floorDivide', 'torch.floor_divide(x0, x1)', {
    low: 0.4,
    high: 7.9,
    ints: true,
    gradient: 'flat, and not differentiable in PyTorch either',
    bad: [
      [
        'an integer divided by 0',
        () => tensor(new Int32Array([1])).floorDivide(0),
        /floorDivide: an integer cannot be divided by 0/,
      ],
    ],
  }),
  maximum: binaryRow('maximum', 'torch.maximum(x0, x1)', { ints: true, gradientSamples: apart }),
  minimum: binaryRow('minimum', 'torch.minimum(x0, x1)', { ints: true, gradientSamples: apart }),
  logicalAnd: binaryRow('logicalAnd', 'x0 & x1', booleans),
  logicalOr: binaryRow('logicalOr', 'x0 | x1', booleans),
  logicalXor: binaryRow('logicalXor', 'x0 ^ x1', booleans),
  equal: binaryRow('equal', 'x0 == x1', comparisons),
  notEqual: binaryRow('notEqual', 'x0 != x1', comparisons),
  less: binaryRow('less', 'x0 < x1', comparisons),
  lessEqual: binaryRow('lessEqual', 'x0 <= x1', comparisons),
  greater: binaryRow('greater', 'x0 > x1', comparisons),
  greaterEqual: binaryRow('greaterEqual', 'x0 >= x1', comparisons),
  where: {
    call: where,
    torch: 'torch.where(x0, x1, x2)',
    samples: [
      [condition([3, 4]), spread([3, 4]), spread([3, 4], 3, 4)],
      [condition([2, 1]), spread([3]), spread([])],
      [condition([]), spread([2, 3]), spread([3])],
      [condition([0, 2]), spread([2]), spread([1, 2])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x) => where(x, 1, 2), 'condition'),
      ['a float condition', () => where(zeros([2]) as unknown as Tensor<'bool'>, 1, 2), /the condition must be bool/],
      [
        'shapes that do not broadcast',
        () => where(zeros([2], { dtype: 'bool' }), zeros([3]), 0),
        /where: shapes .* do not broadcast/,
      ],
      [
        'a string to choose',
        () => where(zeros([2], { dtype: 'bool' }), 'x' as unknown as number, 0),
        /tensor or a number/,
      ],
    ],
  },
  clamp: {
    ...unaryRow(
      'clamp',
      'torch.clamp(x0, min=-0.7, max=0.9)',
      { gradientAt: [0.95, 1.5], more: [special] },
      (x: Tensor) => clamp(x, { min: -0.7, max: 0.9 }),
    ),
    bad: [
      ...notTensors((x) => clamp(x, { min: 0 })),
      ['NaN for a bound', () => clamp(zeros([2]), { min: NaN }), /clamp: min must be a number/],
      [
        'a string for a bound',
        () => clamp(zeros([2]), { max: '1' as unknown as number }),
        /clamp: max must be a number/,
      ],
    ],
  },
  'clamp/below': unaryRow('clamp', 'torch.clamp(x0, min=0.1)', { gradientAt: [0.3, 2] }, (x: Tensor) =>
    clamp(x, { min: 0.1 }),
  ),
  'clamp/above': unaryRow('clamp', 'torch.clamp(x0, max=0.1)', { gradientAt: [-2, -0.3] }, (x: Tensor) =>
    clamp(x, { max: 0.1 }),
  ),
  isClose: {
    call: (a: AnyTensor, b: AnyTensor) => isClose(a, b, { rtol: 1e-3, equalNaN: true }),
    torch: 'torch.isclose(x0, x1, rtol=1e-3, equal_nan=True)',
    samples: [
      [dense([5], [1, NaN, Infinity, 2, -1]), dense([5], [1.0005, NaN, Infinity, 2.1, -1.0001])],
      [spread([2, 3]), spread([3])],
    ],
    gradient: 'gives bool',
    bad: [
      ...notTensors((x) => isClose(x, zeros([2]))),
      [
        'a negative tolerance',
        () => isClose(zeros([2]), zeros([2]), { rtol: -1 }),
        /isClose: rtol must be a number in/,
      ],
    ],
  },
  allClose: {
    untraced: 'it gives a number',
    call: (a: AnyTensor, b: AnyTensor) => tensor(allClose(a, b)),
    torch: 'torch.tensor(torch.allclose(x0, x1))',
    samples: [
      [spread([2, 3]), spread([2, 3])],
      [spread([3]), spread([3], -1, 1)],
    ],
    gradient: 'gives a boolean',
    bad: notTensors((x) => allClose(x, zeros([2]))),
  },
};

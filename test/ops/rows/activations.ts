/** Rows of the activation functions. */
import { nn, zeros, type Tensor } from '../../../lib';
import { dense, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors, unaryRow, type UnaryOptions } from './build';

const f = nn.functional;
const extreme = [dense([6], [100, -100, 1e4, -1e4, 0.25, -0.25])];

function row(call: (x: Tensor) => Tensor, torch: string, options: UnaryOptions = {}): Row {
  return {
    ...unaryRow('nn.functional.silu', torch, { low: -4, high: 4, more: [extreme], ...options }, call),
    bad: [
      ...notTensors((x) => call(x)),
      ['integers', () => call(zeros([2], { dtype: 'int32' }) as unknown as Tensor), /x must be float32/],
      ...(options.bad ?? []),
    ],
  };
}

// Between the kinks of the functions that are made of straight lines.
const inside = { gradientAt: [0.6, 0.9] as const };

export const rows: Rows = {
  'nn.functional.logSigmoid': row(f.logSigmoid, 'F.logsigmoid(x0)'),
  'nn.functional.silu': row(f.silu, 'F.silu(x0)'),
  'nn.functional.mish': row(f.mish, 'F.mish(x0)'),
  'nn.functional.relu6': row(f.relu6, 'F.relu6(x0)', inside),
  'nn.functional.hardsigmoid': row(f.hardsigmoid, 'F.hardsigmoid(x0)', inside),
  'nn.functional.hardswish': row(f.hardswish, 'F.hardswish(x0)', inside),
  'nn.functional.hardtanh': row(f.hardtanh, 'F.hardtanh(x0)', inside),
  'nn.functional.softsign': row(f.softsign, 'F.softsign(x0)', inside),
  'nn.functional.tanhshrink': row(f.tanhshrink, 'F.tanhshrink(x0)'),
  'nn.functional.leakyRelu': row((x) => f.leakyRelu(x, 0.2), 'F.leaky_relu(x0, 0.2)', {
    ...inside,
    bad: [['NaN for a slope', () => f.leakyRelu(zeros([2]), NaN), /leakyRelu: slope must be a number/]],
  }),
  'nn.functional.leakyRelu/negative': row((x) => f.leakyRelu(x), 'F.leaky_relu(x0)', { gradientAt: [-0.9, -0.2] }),
  'nn.functional.elu': row((x) => f.elu(x, 1.5), 'F.elu(x0, 1.5)', {
    gradientAt: [-2, -0.2],
    bad: [['NaN for alpha', () => f.elu(zeros([2]), NaN), /elu: alpha must be a number/]],
  }),
  'nn.functional.elu/positive': row((x) => f.elu(x), 'F.elu(x0)', inside),
  'nn.functional.celu': row((x) => f.celu(x, 1.5), 'F.celu(x0, 1.5)', {
    gradientAt: [-2, -0.2],
    bad: [['alpha 0', () => f.celu(zeros([2]), 0), /celu: alpha must be a number in/]],
  }),
  'nn.functional.selu': row(f.selu, 'F.selu(x0)', { gradientAt: [-2, -0.2] }),
  'nn.functional.gelu': row((x) => f.gelu(x), 'F.gelu(x0)', {
    bad: [
      [
        'an unknown approximation',
        () => f.gelu(zeros([2]), { approximate: 'x' as 'tanh' }),
        /gelu: unknown approximation x/,
      ],
    ],
  }),
  'nn.functional.gelu/tanh': row((x) => f.gelu(x, { approximate: 'tanh' }), 'F.gelu(x0, approximate="tanh")', {
    // 1e4 cubed is beyond what either library computes alike.
    more: [],
  }),
  'nn.functional.softplus': row((x) => f.softplus(x, { beta: 2 }), 'F.softplus(x0, beta=2, threshold=1e9)', {
    more: [],
    bad: [['beta 0', () => f.softplus(zeros([2]), { beta: 0 }), /softplus: beta must be a number in/]],
  }),
  'nn.functional.hardshrink': row((x) => f.hardshrink(x), 'F.hardshrink(x0)', {
    ...inside,
    bad: [['a negative lambda', () => f.hardshrink(zeros([2]), -1), /hardshrink: lambda must be a number in/]],
  }),
  'nn.functional.softshrink': row((x) => f.softshrink(x), 'F.softshrink(x0)', {
    ...inside,
    bad: [['a negative lambda', () => f.softshrink(zeros([2]), -1), /softshrink: lambda must be a number in/]],
  }),
  'nn.functional.threshold': row((x) => f.threshold(x, 0.1, 20), 'F.threshold(x0, 0.1, 20)', {
    ...inside,
    bad: [['NaN for a limit', () => f.threshold(zeros([2]), NaN, 0), /threshold: limit must be a number/]],
  }),
  'nn.functional.glu': {
    call: (x: Tensor) => f.glu(x, 1),
    torch: 'F.glu(x0, 1)',
    samples: [[spread([3, 4])], [spread([2, 6, 2])], [spread([1, 2])]],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.glu(x)),
      ...badAxes((axis) => f.glu(zeros([2, 4]), axis)),
      ['an odd extent', () => f.glu(zeros([2, 3])), /glu: axis -1 of \[2,3\] must have an even extent/],
    ],
  },
  'nn.functional.prelu': {
    call: (x: Tensor, w: Tensor) => f.prelu(x, w),
    torch: 'F.prelu(x0, x1)',
    samples: [
      [spread([4]), spread([1], 0.1, 0.4)],
      [spread([2, 3]), spread([3], 0.1, 0.4)],
      [spread([2, 3, 4]), spread([3], 0.1, 0.4)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => f.prelu(x, zeros([1]))),
      ...notTensors((w: Tensor) => f.prelu(zeros([2]), w), 'weight'),
      ['a weight of another size', () => f.prelu(zeros([2, 3]), zeros([2])), /prelu: weight \[2\] must have 1 element/],
    ],
  },
};

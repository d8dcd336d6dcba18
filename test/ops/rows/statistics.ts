/** Rows of the statistics, the scans and the products over axes. */
import {
  all,
  any,
  cumprod,
  cumsum,
  linearScan,
  logSumExp,
  norm,
  prod,
  std,
  variance,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../../lib';
import { dense, repeated, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors, type Bad } from './build';

const samples: Row['samples'] = [
  [spread([4])],
  [spread([3, 5])],
  [spread([2, 3, 4])],
  [spread([17, 33])],
  [repeated(spread([5]))],
];
const gradientSamples: Row['samples'] = [[spread([2, 3])], [spread([4])], [spread([2, 2, 3])]];
const withZeros = [dense([2, 4], [1, 0, 3, 2, 0, 0.5, 0, 2])];

/** A reduction over all axes, or those that `call` names. */
function reduction(call: (x: Tensor, axis?: number) => AnyTensor, torch: string, more: Partial<Row> = {}): Row {
  return {
    call: (x: Tensor) => call(x),
    torch,
    samples,
    gradient: 'all',
    gradientSamples,
    ...more,
    bad: [...notTensors((x) => call(x)), ...badAxes((axis) => call(zeros([2, 3]), axis)), ...(more.bad ?? [])],
  };
}

function along(call: (x: Tensor) => AnyTensor, torch: string, more: Partial<Row> = {}): Row {
  return {
    call,
    torch,
    samples: [[spread([3, 5])], [spread([2, 3, 4])], [repeated(spread([2, 3]))]],
    gradient: 'all',
    gradientSamples: [[spread([2, 3])], [spread([2, 3, 2])]],
    bad: [],
    ...more,
  };
}

const bools: Row['samples'] = [
  [spread([3, 5], -1, 1, 'bool')],
  [spread([2, 3, 4], -1, 1, 'bool')],
  [dense([2, 2], [1, 1, 0, 0], 'bool')],
  [spread([0], -1, 1, 'bool')],
];
const scanBad = (call: (x: never, axis: number) => unknown): Bad => [
  ...notTensors((x) => call(x, 0)),
  ...badAxes((axis) => call(zeros([2, 3]) as never, axis)),
];

export const rows: Rows = {
  prod: reduction((x, axis) => prod(x, axis), 'x0.prod()', { samples: [...samples.slice(0, 3), withZeros] }),
  'prod/axis': along((x) => prod(x, -1), 'x0.prod(-1)', { gradientSamples: [withZeros, [spread([2, 3, 2])]] }),
  'prod/first': along((x) => prod(x, 0, { keepDims: true }), 'x0.prod(0, keepdim=True)'),
  any: {
    call: (x: AnyTensor) => any(x, 0),
    torch: 'x0.any(0)',
    samples: bools,
    gradient: 'gives bool',
    bad: scanBad((x: Tensor, axis) => any(x, axis)),
  },
  'any/all': { call: (x: AnyTensor) => any(x), torch: 'x0.any()', samples: bools, gradient: 'gives bool', bad: [] },
  all: {
    call: (x: AnyTensor) => all(x, -1),
    torch: 'x0.all(-1)',
    samples: bools,
    gradient: 'gives bool',
    bad: scanBad((x: Tensor, axis) => all(x, axis)),
  },
  variance: reduction((x, axis) => variance(x, axis), 'x0.var(list(range(x0.dim())), unbiased=True)', {
    bad: [['NaN for a correction', () => variance(zeros([2]), 0, { correction: NaN }), /variance: correction/]],
  }),
  'variance/axis': along(
    (x) => variance(x, 0, { correction: 0, keepDims: true }),
    'x0.var(0, unbiased=False, keepdim=True)',
  ),
  std: reduction((x, axis) => std(x, axis), 'x0.std(list(range(x0.dim())), unbiased=True)'),
  'std/axis': along((x) => std(x, -1), 'x0.std(-1)'),
  norm: reduction((x, axis) => norm(x, axis), 'torch.linalg.vector_norm(x0)', {
    samples: [...samples, [dense([3], [0, 0, 0])]],
    bad: [['NaN for an order', () => norm(zeros([2]), 0, { p: NaN }), /norm: p must be a number/]],
  }),
  'norm/1': along((x) => norm(x, 1, { p: 1 }), 'torch.linalg.vector_norm(x0, 1, 1)'),
  'norm/3': along((x) => norm(x, 0, { p: 3 }), 'torch.linalg.vector_norm(x0, 3, 0)'),
  'norm/infinity': along(
    (x) => norm(x, 1, { p: Infinity, keepDims: true }),
    'torch.linalg.vector_norm(x0, math.inf, 1, True)',
  ),
  'norm/least': along((x) => norm(x, 1, { p: -Infinity }), 'torch.linalg.vector_norm(x0, -math.inf, 1)'),
  'norm/0': along((x) => norm(x, 1, { p: 0 }), 'torch.linalg.vector_norm(x0, 0, 1)', { gradient: 'a count' }),
  logSumExp: reduction((x, axis) => logSumExp(x, axis), 'torch.logsumexp(x0, list(range(x0.dim())))', {
    samples: [...samples, [dense([3], [1000, 1000, -1000])]],
  }),
  'logSumExp/axis': along((x) => logSumExp(x, -1), 'torch.logsumexp(x0, -1)', {
    samples: [[spread([3, 5])], [dense([2, 2], [-Infinity, -Infinity, 0, -Infinity])]],
  }),
  cumsum: along((x) => cumsum(x, 0), 'x0.cumsum(0)', { bad: scanBad((x: Tensor, axis) => cumsum(x, axis)) }),
  'cumsum/last': along((x) => cumsum(x, -1), 'x0.cumsum(-1)'),
  'cumsum/reverse': along((x) => cumsum(x, -1, { reverse: true }), 'x0.flip(-1).cumsum(-1).flip(-1)'),
  cumprod: along((x) => cumprod(x, -1), 'x0.cumprod(-1)', {
    samples: [[spread([3, 5])], [spread([2, 3, 4])], withZeros],
    gradientSamples: [[spread([2, 3])], withZeros],
    bad: scanBad((x: Tensor, axis) => cumprod(x, axis)),
  }),
  'cumprod/first': along((x) => cumprod(x, 0), 'x0.cumprod(0)'),
  'cumprod/reverse': along((x) => cumprod(x, 0, { reverse: true }), 'x0.flip(0).cumprod(0).flip(0)'),
  linearScan: {
    call: (a: Tensor, b: Tensor) => linearScan(a, b, -1),
    torch: (a, b) => {
      const width = a.shape[a.shape.length - 1];
      const data: number[] = [];
      b.data.forEach((term, i) => data.push(term + (i % width === 0 ? 0 : a.data[i] * data[i - 1])));
      return dense(a.shape, data, a.dtype);
    },
    samples: [
      [spread([4]), spread([4], -1, 1)],
      [spread([3, 5], 0, 1), spread([3, 5])],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => linearScan(x, zeros([2]), 0), 'a'),
      ...badAxes((axis) => linearScan(zeros([2, 3]), zeros([2, 3]), axis)),
      ['shapes that differ', () => linearScan(zeros([2]), zeros([3]), 0), /linearScan: a \[2\] and b \[3\] differ/],
    ],
  },
  'linearScan/reverse': {
    call: (a: Tensor, b: Tensor) => linearScan(a, b, 0, { reverse: true }),
    torch: (a, b) => {
      const [rows, width] = a.shape;
      const data = new Array<number>(rows * width).fill(0);
      for (let i = rows * width - 1; i >= 0; i--) {
        data[i] = b.data[i] + (i + width < rows * width ? a.data[i] * data[i + width] : 0);
      }
      return dense(a.shape, data, a.dtype);
    },
    samples: [[spread([4, 2], 0, 1), spread([4, 2], -1, 1)]],
    gradient: 'all',
    bad: [],
  },
};

/**
 * The operator table's other half: one row for every op of native/core/ops.def, with what drives its
 * forward, gradient and bad-input tests. An op without a row fails the suite.
 */
import {
  arange,
  cast,
  clone,
  concat,
  crossEntropy,
  eye,
  full,
  Generator,
  indexSelect,
  linear,
  logSoftmax,
  matmul,
  optim,
  rand,
  randn,
  slice,
  softmax,
  tensor,
  where,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../lib';
import * as kindling from '../../lib';
import type { OpName } from '../../lib/ops/table';
import { dense, elementwise, matmul as matmulReference, rows, sizeOf, softmaxRow, spread } from './reference';
import {
  argReduction,
  badLabels,
  binary,
  creation,
  crossEntropySamples,
  disposedTensor,
  indexVector,
  labelsOf,
  optimizerCase,
  reduction,
  softmaxCase,
  softmaxGradientCase,
  unary,
  type OpCase,
} from './builders';

// Pairs that stay well apart, because the larger of two is not differentiable where they meet.
const apart: OpCase['gradient'] = [
  [dense([4], [-2, -1, 0, 1]), dense([4], [-1.5, 0.5, -0.5, 1.5])],
  [dense([2, 1, 2], [-2, 1, 0, 2]), dense([3, 1], [-1.5, 0.5, 1.5])],
];

export const cases: Readonly<Record<OpName, OpCase>> = {
  full: creation(() => full([2, 3], 1.5), dense([2, 3], new Array<number>(6).fill(1.5)), [
    ['a negative dimension', () => full([-1], 0), /non-negative integers, got -1/],
    ['a fractional dimension', () => full([1.5], 0), /non-negative integers, got 1.5/],
    ['NaN for a dimension', () => full([NaN], 0), /non-negative integers, got NaN/],
    ['a product that overflows', () => full([2 ** 30, 2 ** 30, 2 ** 30], 0), /more than 2\^48/],
    ['more memory than there is', () => full([2 ** 45], 0), /no memory/],
    ['too many axes', () => full([1, 1, 1, 1, 1, 1, 1, 1, 1], 0), /rank 9/],
    ['no array', () => full(3 as unknown as number[], 0), /a shape must be an array/],
    ['an unknown dtype', () => full([1], 0, { dtype: 'float8' as 'float32' }), /unknown dtype float8/],
    ['a fraction as int32', () => full([1], 0.5, { dtype: 'int32' }), /not an int32/],
  ]),
  arange: creation(() => arange(1, 8, 2), dense([4], [1, 3, 5, 7], 'int32'), [
    ['a step of 0', () => arange(0, 1, 0), /step must not be 0/],
    ['NaN', () => arange(NaN), /end must be a number/],
    ['no end', () => arange(Infinity), /end must be a number/],
    ['bool', () => arange(3, { dtype: 'bool' }), /bool is not supported/],
  ]),
  eye: creation(() => eye(2, 3), dense([2, 3], [1, 0, 0, 0, 1, 0]), [
    ['a negative size', () => eye(-1), /non-negative/],
  ]),
  randomUniform: {
    call: () => rand([100], { generator: new Generator(5), range: [3, 3] }),
    samples: [[]],
    reference: () => dense([100], new Array<number>(100).fill(3)),
    gradient: 'no inputs',
    bad: [
      ['an inverted range', () => rand([1], { range: [1, 0] }), /range end/],
      ['a fractional seed', () => new Generator(0.5), /seed must be an integer/],
      ['a negative dimension', () => rand([-1]), /rand: dimensions/],
    ],
  },
  randomNormal: {
    call: () => randn([100], { generator: new Generator(5), mean: 2, std: 0 }),
    samples: [[]],
    reference: () => dense([100], new Array<number>(100).fill(2)),
    gradient: 'no inputs',
    bad: [
      ['a negative deviation', () => randn([1], { std: -1 }), /std must be a number in/],
      ['NaN for a mean', () => randn([1], { mean: NaN }), /mean must be a number/],
    ],
  },
  copy: {
    ...unary('clone', { fn: (x) => x }),
    call: clone,
    bad: [['a disposed tensor', () => clone(disposedTensor()), /disposed/]],
  },
  cast: {
    call: (x: AnyTensor) => cast(x, 'int32'),
    samples: [
      [spread([5, 3], -9, 9)],
      [spread([33], 0, 1, 'bool')],
      [dense([5], [NaN, 1e20, -1e20, 2.9, -2.9])],
      [spread([0])],
    ],
    reference: (x) =>
      dense(
        x.shape,
        x.data.map((v) => (Number.isNaN(v) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(v))))),
        'int32',
      ),
    gradient: 'to an integer',
    bad: [['an unknown dtype', () => cast(zeros([1]), 'complex64' as 'float32'), /unknown dtype complex64/]],
  },
  indexSelect: {
    call: (x: Tensor, index: Tensor<'int32'>) => indexSelect(x, index),
    samples: [
      [spread([4, 3]), indexVector(6, 4)],
      [spread([10]), indexVector(3, 10)],
      [spread([5, 2, 33]), indexVector(7, 5)],
      [spread([5, 2]), indexVector(0, 5)],
      [spread([5, 2], -9, 9, 'int32'), indexVector(2, 5)],
    ],
    reference: (x, index) => {
      const width = sizeOf(x.shape.slice(1));
      return dense(
        [index.data.length, ...x.shape.slice(1)],
        index.data.flatMap((i) => x.data.slice(i * width, (i + 1) * width)),
        x.dtype,
      );
    },
    gradient: [[spread([4, 3]), indexVector(6, 4)]],
    bad: [
      ['an index out of range', () => indexSelect(zeros([2]), tensor(new Int32Array([2]))), /index 2/],
      ['a negative index', () => indexSelect(zeros([2]), tensor(new Int32Array([-1]))), /index -1/],
      ['a float index', () => indexSelect(zeros([2]), zeros([1]) as unknown as Tensor<'int32'>), /must be int32/],
      ['a matrix as index', () => indexSelect(zeros([2]), zeros([1, 1], { dtype: 'int32' })), /must be a vector/],
      ['a scalar', () => indexSelect(zeros([]), zeros([1], { dtype: 'int32' })), /no rows/],
    ],
  },
  indexAdd: {
    // Reached as the gradient of indexSelect; as an op of its own it is that gradient's gradient's input.
    call: (grad: Tensor, index: Tensor<'int32'>) => {
      const x = zeros([4, 3], { requiresGrad: true });
      indexSelect(x, index).backward({ gradient: grad });
      return x.grad as Tensor;
    },
    samples: [[spread([6, 3]), indexVector(6, 4)]],
    reference: (grad, index) => {
      const data = new Array<number>(12).fill(0);
      index.data.forEach((row, i) => {
        for (let j = 0; j < 3; j++) data[row * 3 + j] += grad.data[i * 3 + j];
      });
      return dense([4, 3], data);
    },
    gradient: 'checked at second order through indexSelect',
    bad: [],
  },
  sliceBackward: {
    call: (x: Tensor) => slice(x, [3, 0, -2], 1),
    samples: [[spread([5, 3])]],
    reference: (x) => dense([2], [x.data[3 * 3 + 1], x.data[1 * 3 + 1]]),
    gradient: [[spread([5, 3])]],
    bad: [
      ['too many axes', () => slice(zeros([2]), 0, 0), /2 axes given/],
      ['an index out of range', () => slice(zeros([2]), 2), /index of axis 0/],
      ['a step of 0', () => slice(zeros([2]), [0, 1, 0]), /step must not be 0/],
      ['a fractional bound', () => slice(zeros([2]), [0.5]), /bound of axis 0/],
    ],
  },
  concat: {
    call: (a: Tensor, b: Tensor) => concat([a, b], -1),
    samples: [
      [spread([2, 3]), spread([2, 5])],
      [spread([4]), spread([0])],
      [spread([3, 2, 4]), spread([3, 2, 1])],
    ],
    reference: (a, b) => {
      const [m, n] = [a, b].map((x) => x.shape[x.shape.length - 1]);
      const count = sizeOf(a.shape.slice(0, -1));
      const data: number[] = [];
      for (let i = 0; i < count; i++)
        data.push(...a.data.slice(i * m, (i + 1) * m), ...b.data.slice(i * n, (i + 1) * n));
      return dense([...a.shape.slice(0, -1), m + n], data);
    },
    gradient: [[spread([2, 3]), spread([2, 5])]],
    bad: [
      ['no tensors', () => concat([]), /at least one/],
      ['shapes that do not fit', () => concat([zeros([2, 3]), zeros([3, 3])], 1), /does not fit/],
      [
        'dtypes that differ',
        () => concat([zeros([2]), zeros([2], { dtype: 'int32' }) as unknown as Tensor]),
        /is int32/,
      ],
      ['an axis out of range', () => concat([zeros([2])], 1), /axis 1 is out of range/],
    ],
  },
  neg: unary('neg', { fn: (x) => -x }),
  abs: unary('abs', { fn: Math.abs, gradientAt: [0.5, 2] }),
  sign: unary('sign', { fn: Math.sign, gradient: 'zero everywhere' }),
  exp: unary('exp', { fn: Math.exp, low: -10, high: 10, gradientAt: [-1, 1] }),
  log: unary('log', { fn: Math.log, low: 0.01, high: 50, gradientAt: [0.5, 3] }),
  sqrt: unary('sqrt', { fn: Math.sqrt, low: 0, high: 50, gradientAt: [0.5, 3] }),
  square: unary('square', { fn: (x) => x * x }),
  reciprocal: unary('reciprocal', { fn: (x) => 1 / x, low: 0.1, high: 5, gradientAt: [0.7, 2] }),
  tanh: unary('tanh', { fn: Math.tanh, low: -10, high: 10, gradientAt: [-1, 1] }),
  sigmoid: unary('sigmoid', { fn: (x) => 1 / (1 + Math.exp(-x)), low: -20, high: 20, gradientAt: [-2, 2] }),
  relu: unary('relu', { fn: (x) => Math.max(x, 0), gradientAt: [0.5, 2] }),
  logicalNot: unary('logicalNot', { fn: (x) => Number(!x), dtype: 'bool', gradient: 'bool' }),
  add: binary('add', { fn: (a, b) => a + b }),
  sub: binary('sub', { fn: (a, b) => a - b }),
  mul: binary('mul', { fn: (a, b) => a * b }),
  div: binary('div', { fn: (a, b) => a / b, low: 0.5, high: 3 }),
  pow: binary('pow', { fn: (a, b) => a ** b, low: 0.5, high: 3 }),
  maximum: { ...binary('maximum', { fn: Math.max }), gradient: apart },
  minimum: { ...binary('minimum', { fn: Math.min }), gradient: apart },
  reluBackward: {
    // Reached as the gradient of relu.
    call: (grad: Tensor, x: Tensor) => {
      const leaf = tensor(x.dataSync(), { shape: x.shape, requiresGrad: true });
      leaf.relu().backward({ gradient: grad });
      return leaf.grad as Tensor;
    },
    samples: [[spread([5, 7]), spread([5, 7], -1, 3)]],
    reference: elementwise((grad, x) => (x > 0 ? grad : 0)),
    gradient: 'checked at second order through relu',
    bad: [],
  },
  logicalAnd: binary('logicalAnd', { fn: (a, b) => a & b, dtype: 'bool', gradient: 'bool' }),
  logicalOr: binary('logicalOr', { fn: (a, b) => a | b, dtype: 'bool', gradient: 'bool' }),
  equal: binary('equal', { fn: (a, b) => Number(a === b), out: 'bool', gradient: 'bool' }),
  notEqual: binary('notEqual', { fn: (a, b) => Number(a !== b), out: 'bool', gradient: 'bool' }),
  less: binary('less', { fn: (a, b) => Number(a < b), out: 'bool', gradient: 'bool' }),
  lessEqual: binary('lessEqual', { fn: (a, b) => Number(a <= b), out: 'bool', gradient: 'bool' }),
  greater: binary('greater', { fn: (a, b) => Number(a > b), out: 'bool', gradient: 'bool' }),
  greaterEqual: binary('greaterEqual', { fn: (a, b) => Number(a >= b), out: 'bool', gradient: 'bool' }),
  where: {
    call: (condition: Tensor<'bool'>, a: Tensor, b: Tensor) => where(condition, a, b),
    samples: [
      [spread([3, 4], -1, 1, 'bool'), spread([3, 4]), spread([4], 3, 4)],
      [spread([3, 1], -1, 1, 'bool'), spread([]), spread([1, 33], 3, 4)],
      [spread([0], -1, 1, 'bool'), spread([]), spread([1])],
    ],
    reference: elementwise((condition, a, b) => (condition ? a : b)),
    gradient: [[spread([3, 1], -1, 1, 'bool'), spread([3, 4]), spread([4], 3, 4)]],
    bad: [
      ['a float condition', () => where(zeros([2]) as unknown as Tensor<'bool'>, 1, 2), /condition must be bool/],
      ['shapes that do not broadcast', () => where(zeros([2], { dtype: 'bool' }), zeros([3]), 0), /do not broadcast/],
      ['no tensor', () => where(true as unknown as Tensor<'bool'>, 1, 2), /expected a bool tensor/],
    ],
  },
  sum: reduction('sum', (values) => values.reduce((a, b) => a + b, 0)),
  mean: reduction('mean', (values) => values.reduce((a, b) => a + b, 0) / values.length),
  max: reduction('max', (values) => Math.max(...values)),
  min: reduction('min', (values) => Math.min(...values)),
  argmax: argReduction('argmax', (a, b) => a > b),
  argmin: argReduction('argmin', (a, b) => a < b),
  matmul: {
    call: (a: Tensor, b: Tensor) => matmul(a, b),
    samples: [
      [spread([2, 3]), spread([3, 4])],
      [spread([1, 1]), spread([1, 1])],
      [spread([17, 33]), spread([33, 19])],
      [spread([3, 0]), spread([0, 2])],
      [spread([0, 3]), spread([3, 2])],
      [spread([2, 3, 4, 5]), spread([3, 5, 2])],
      [spread([31, 70], 0, 1), spread([70, 65], 0, 1)],
    ],
    reference: matmulReference,
    gradient: [
      [spread([2, 3]), spread([3, 4])],
      [spread([2, 2, 3]), spread([3, 2])],
    ],
    bad: [
      [
        'inner dimensions that differ',
        () => matmul(zeros([2, 3]), zeros([4, 5])),
        /matmul: inner dimensions differ: \[2,3\] × \[4,5\]/,
      ],
      ['a scalar', () => matmul(zeros([]), zeros([2])), /a scalar is no matrix/],
      ['batches that do not broadcast', () => matmul(zeros([2, 1, 1]), zeros([3, 1, 1])), /do not broadcast/],
      ['integers', () => matmul(zeros([2, 2], { dtype: 'int32' }), zeros([2, 2])), /must be float32/],
      ['a disposed tensor', () => matmul(disposedTensor(), zeros([2])), /disposed/],
    ],
  },
  linear: {
    call: (x: Tensor, w: Tensor, b: Tensor) => linear(x, w, b),
    samples: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([33, 17]), spread([19, 17]), spread([19])],
      [spread([2, 2, 5]), spread([1, 5]), spread([1])],
      [spread([0, 3]), spread([4, 3]), spread([4])],
      [spread([3]), spread([4, 3]), spread([4])],
    ],
    reference: (x, w, b) => {
      const [n, k] = w.shape;
      const count = sizeOf(x.shape.slice(0, -1));
      const data: number[] = [];
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < n; j++) {
          let total = b.data[j];
          for (let l = 0; l < k; l++) total += x.data[i * k + l] * w.data[j * k + l];
          data.push(total);
        }
      }
      return dense([...x.shape.slice(0, -1), n], data);
    },
    gradient: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([2, 2, 3]), spread([2, 3]), spread([2])],
    ],
    bad: [
      ['features that differ', () => linear(zeros([2, 3]), zeros([4, 5])), /x \[2,3\] does not fit weight \[4,5\]/],
      ['a bias of another size', () => linear(zeros([2, 3]), zeros([4, 3]), zeros([3])), /bias \[3\] does not fit/],
      ['a weight of rank 1', () => linear(zeros([3]), zeros([3])), /does not fit/],
    ],
  },
  softmax: { ...softmaxCase('softmax', softmax, softmaxRow) },
  logSoftmax: softmaxCase('logSoftmax', logSoftmax, (row) => {
    const top = Math.max(...row);
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
    return row.map((value) => value - top - total);
  }),
  softmaxBackward: softmaxGradientCase(softmax, (grad, row) => {
    const y = softmaxRow(row);
    const dot = y.reduce((sum, value, i) => sum + value * grad[i], 0);
    return y.map((value, i) => value * (grad[i] - dot));
  }),
  logSoftmaxBackward: softmaxGradientCase(logSoftmax, (grad, row) => {
    const total = grad.reduce((a, b) => a + b, 0);
    return softmaxRow(row).map((value, i) => grad[i] - value * total);
  }),
  crossEntropy: {
    call: (logits: Tensor, labels: Tensor<'int32'>) => crossEntropy(logits, labels, { reduction: 'none' }),
    samples: crossEntropySamples,
    reference: (logits, labels) =>
      dense(
        labels.shape,
        labels.data.map((label, i) => {
          const width = logits.shape[1];
          return -Math.log(softmaxRow(logits.data.slice(i * width, (i + 1) * width))[label]);
        }),
      ),
    gradient: [[spread([4, 3]), labelsOf(4, 3)]],
    bad: badLabels,
  },
  crossEntropyBackward: {
    // Reached as the gradient of crossEntropy.
    call: (logits: Tensor, labels: Tensor<'int32'>) => {
      const leaf = tensor(logits.dataSync(), { shape: logits.shape, requiresGrad: true });
      crossEntropy(leaf, labels, { reduction: 'sum' }).backward();
      return leaf.grad as Tensor;
    },
    samples: crossEntropySamples,
    reference: (logits, labels) =>
      rows((row, i) => softmaxRow(row).map((p, j) => p - Number(j === labels.data[i])))(logits),
    gradient: 'checked at second order through crossEntropy',
    bad: [],
  },
  sgdStep: optimizerCase(
    (parameters) => new optim.SGD(parameters, { lr: 0.1, weightDecay: 0.5 }),
    (p, g) => p - 0.1 * (g + 0.5 * p),
    [
      ['a negative learning rate', () => new optim.SGD([], { lr: -1 }), /lr must be a number in/],
      ['nesterov without momentum', () => new optim.SGD([], { nesterov: true }), /nesterov needs a momentum/],
      ['a tensor without requiresGrad', () => new optim.SGD([zeros([1])]), /requiresGrad/],
    ],
  ),
  adamStep: optimizerCase(
    (parameters) => new optim.Adam(parameters, { lr: 0.1 }),
    (p, g) => p - (0.1 * g) / (Math.abs(g) + 1e-8),
    [
      ['a beta of 1', () => new optim.Adam([], { betas: [0.9, 1] }), /betas\[1\]/],
      ['NaN for eps', () => new optim.Adam([], { eps: NaN }), /eps must be a number/],
    ],
  ),
  rmspropStep: optimizerCase(
    (parameters) => new optim.RMSprop(parameters, { lr: 0.1 }),
    (p, g) => p - (0.1 * g) / (Math.sqrt(0.01 * g * g) + 1e-8),
    [['an alpha above 1', () => new optim.RMSprop([], { alpha: 2 }), /alpha must be a number in/]],
  ),
  assign: {
    call: (x: Tensor) => {
      const model = kindling.nn.linear(x.size, 1, { bias: false });
      model.loadStateDict({ weight: x.reshape([1, x.size]) });
      return model.weight.detach();
    },
    samples: [[spread([5])], [spread([1])]],
    reference: (x) => dense([1, x.data.length], x.data),
    gradient: 'in place',
    bad: [
      [
        'a name that is missing',
        () => {
          kindling.nn.linear(2, 1).loadStateDict({ weight: zeros([1, 2]) });
        },
        /missing \[bias\]/,
      ],
      [
        'a name that is unknown',
        () => {
          kindling.nn.linear(2, 1, { bias: false }).loadStateDict({ weight: zeros([1, 2]), x: zeros([]) });
        },
        /unknown \[x\]/,
      ],
      [
        'another shape',
        () => {
          kindling.nn.linear(2, 1, { bias: false }).loadStateDict({ weight: zeros([2, 1]) });
        },
        /weight is float32 \[2,1\], expected float32 \[1,2\]/,
      ],
    ],
  },
};

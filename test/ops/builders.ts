/** What the rows of the operator table are built with: samples, references and bad calls by family. */
import type { optim } from '../../lib';
import { crossEntropy, tensor, zeros, type AnyTensor, type Tensor } from '../../lib';
import * as kindling from '../../lib';
import { dense, elementwise, reduce, rows, spread, type Dense } from './reference';

export interface OpCase {
  /** The public function over the inputs. */
  call: (...inputs: never[]) => AnyTensor;
  /** Sets of inputs; each is tried in every memory layout. */
  samples: readonly (readonly Dense[])[];
  reference: (...inputs: Dense[]) => Dense;
  /** Inputs at which the gradient is compared with finite differences, or why there is none. */
  gradient: readonly (readonly Dense[])[] | string;
  /** First-order only, and why. */
  firstOrderOnly?: string;
  /** Calls that must throw: what they do, the call, the message. */
  bad: readonly (readonly [string, () => unknown, RegExp])[];
  rtol?: number;
  atol?: number;
}

export const disposedTensor = (): Tensor => {
  const x = zeros([2]);
  x.dispose();
  return x;
};

// Shapes around the vector widths of every instruction set, with empty and scalar ones.
export const shapes: readonly (readonly number[])[] = [
  [],
  [1],
  [7],
  [16],
  [33],
  [3, 5],
  [4, 16],
  [2, 3, 4],
  [0],
  [3, 0],
  [1, 1, 70],
];
export const pairShapes: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[5], [5]],
  [[17], []],
  [[], [3, 4]],
  [[3, 4], [4]],
  [
    [3, 1],
    [1, 4],
  ],
  [
    [2, 1, 5],
    [3, 1],
  ],
  [
    [2, 3, 33],
    [2, 3, 33],
  ],
  [[0, 3], [3]],
  [
    [64, 10],
    [64, 1],
  ],
];

export interface UnaryInfo {
  fn: (x: number) => number;
  low?: number;
  high?: number;
  gradient?: string;
  gradientAt?: readonly [number, number];
  dtype?: 'int32' | 'bool';
  rtol?: number;
}

export function unary(name: string, { fn, low = -2, high = 2, gradient, gradientAt, dtype, rtol }: UnaryInfo): OpCase {
  const call = (kindling as unknown as Record<string, (x: AnyTensor) => AnyTensor>)[name];
  const type = dtype ?? 'float32';
  const [from, to] = gradientAt ?? [low, high];
  const samples = shapes.map((shape) => [spread(shape, low, high, type)]);
  // Integers stay integers where the op has a form for them.
  if (['neg', 'abs', 'sign', 'square', 'relu'].includes(name)) samples.push([spread([5, 7], -9, 9, 'int32')]);
  return {
    call,
    samples,
    reference: elementwise(fn),
    gradient: gradient ?? [[spread([7], from, to)], [spread([2, 3], from, to)]],
    bad: [
      ['a disposed tensor', () => call(disposedTensor()), /disposed/],
      ['a number', () => call(3 as unknown as AnyTensor), /expected a tensor/],
      ['nothing', () => call(undefined as unknown as AnyTensor), /expected a tensor/],
    ],
    rtol,
  };
}

export interface BinaryInfo {
  fn: (a: number, b: number) => number;
  low?: number;
  high?: number;
  dtype?: 'float32' | 'bool';
  out?: 'bool';
  gradient?: string;
  rtol?: number;
}

export function binary(
  name: string,
  { fn, low = -2, high = 2, dtype = 'float32', out, gradient, rtol }: BinaryInfo,
): OpCase {
  const call = (kindling as unknown as Record<string, (a: unknown, b: unknown) => AnyTensor>)[name];
  const sample = (
    [a, b]: readonly [readonly number[], readonly number[]],
    type: 'float32' | 'int32' | 'bool',
  ): Dense[] => {
    const second = spread(b, low, high, type);
    return [spread(a, low, high, type), dense(b, [...second.data].reverse(), type)];
  };
  const samples = pairShapes.map((pair) => sample(pair, dtype));
  if (['add', 'sub', 'mul', 'maximum', 'minimum', 'equal', 'less', 'greaterEqual'].includes(name)) {
    samples.push(sample([[3, 5], [5]], 'int32'));
  }
  const operand = (): Tensor =>
    dtype === 'bool' ? (zeros([2, 3], { dtype: 'bool' }) as unknown as Tensor) : zeros([2, 3]);
  return {
    call,
    samples,
    reference: elementwise(fn, out),
    gradient: gradient ?? [
      sample(
        [
          [3, 4],
          [3, 4],
        ],
        'float32',
      ),
      sample(
        [
          [2, 1, 3],
          [4, 1],
        ],
        'float32',
      ),
    ],
    bad: [
      [
        'shapes that do not broadcast',
        () => call(operand(), zeros([2], { dtype })),
        new RegExp(`${name}: shapes \\[2,3\\] and \\[2\\] do not broadcast`),
      ],
      ['a disposed tensor', () => call(operand(), disposedTensor()), /disposed/],
      ['a string', () => call(operand(), 'x'), /expected a tensor or a number/],
      ['null', () => call(null, operand()), /expected a tensor or a number/],
      ['two numbers', () => call(1, 2), /at least one operand must be a tensor/],
    ],
    rtol,
  };
}

export const sampleShapes: readonly (readonly number[])[] = [[4], [37], [3, 5], [2, 3, 4], [33, 10], [5, 130]];

export function reduction(name: 'sum' | 'mean' | 'max' | 'min', fn: (values: number[]) => number): OpCase {
  const call = kindling[name] as (x: AnyTensor, axes?: number | number[]) => AnyTensor;
  const all = (x: Dense): number[] => x.shape.map((_, axis) => axis);
  return {
    call,
    samples: [...sampleShapes, [], [1, 1]].map((shape) => [spread(shape)]),
    reference: (x) => reduce(fn, all(x))(x),
    gradient: [[spread([7])], [spread([2, 3])]],
    bad: [
      ['an axis out of range', () => call(zeros([2, 3]), 2), new RegExp(`${name}: axis 2 is out of range for rank 2`)],
      ['a negative axis out of range', () => call(zeros([2, 3]), -3), /axis -3 is out of range/],
      ['a fractional axis', () => call(zeros([2, 3]), 0.5), /axis 0.5 is out of range/],
      ['NaN for an axis', () => call(zeros([2, 3]), NaN), /axis NaN is out of range/],
      ['an axis given twice', () => call(zeros([2, 3]), [0, -2]), /appears twice/],
      ['an axis of a scalar', () => call(zeros([]), 0), /a scalar has no axes/],
      ['a disposed tensor', () => call(disposedTensor()), /disposed/],
    ],
  };
}

export function argReduction(name: 'argmax' | 'argmin', better: (a: number, b: number) => boolean): OpCase {
  const call = kindling[name];
  const best = (values: number[]): number => values.reduce((at, value, i) => (better(value, values[at]) ? i : at), 0);
  return {
    call: (x: AnyTensor) => call(x, -1),
    samples: sampleShapes.map((shape) => [spread(shape)]),
    reference: (x) => reduce(best, [x.shape.length - 1], false, 'int32')(x),
    gradient: 'positions are integers',
    bad: [
      ['an axis out of range', () => call(zeros([2]), 1), /axis 1 is out of range/],
      ['nothing to choose from', () => call(zeros([2, 0]), 1), /is empty/],
      ['a disposed tensor', () => call(disposedTensor()), /disposed/],
    ],
  };
}

export function creation(call: () => AnyTensor, expected: Dense, bad: OpCase['bad'] = []): OpCase {
  return { call, samples: [[]], reference: () => expected, gradient: 'no inputs', bad };
}

/** Runs one optimizer step from fixed values and gives the parameter. */
export function stepOnce(make: (parameters: Tensor[]) => optim.Optimizer) {
  return (start: Tensor, grad: Tensor): AnyTensor => {
    const p = tensor(start.dataSync(), { shape: start.shape, requiresGrad: true });
    p.grad = grad.clone();
    const optimizer = make([p]);
    optimizer.step();
    optimizer.dispose();
    return p.detach();
  };
}

export function optimizerCase(
  make: (parameters: Tensor[]) => optim.Optimizer,
  reference: (p: number, g: number) => number,
  bad: OpCase['bad'],
): OpCase {
  return {
    call: stepOnce(make),
    samples: [[7], [3, 5], [33], []].map((shape) => [spread(shape), spread(shape, -1, 3)]),
    reference: elementwise(reference),
    gradient: 'in place',
    bad,
  };
}

export const labelsOf = (n: number, classes: number): Dense =>
  dense(
    [n],
    Array.from({ length: n }, (_, i) => (i * 5 + 2) % classes),
    'int32',
  );
export const crossEntropySamples = [
  [spread([4, 3]), labelsOf(4, 3)],
  [spread([1, 10], -30, 30), labelsOf(1, 10)],
  [spread([33, 17]), labelsOf(33, 17)],
  [spread([0, 5]), labelsOf(0, 5)],
];
export const badLabels: OpCase['bad'] = [
  [
    'a label out of range',
    () => crossEntropy(zeros([2, 3]), tensor(new Int32Array([0, 3]))),
    /label 3 .*position 1.*\[0, 3\)/,
  ],
  ['a negative label', () => crossEntropy(zeros([2, 3]), tensor(new Int32Array([-1, 0]))), /label -1/],
  ['float labels', () => crossEntropy(zeros([2, 3]), zeros([2]) as unknown as Tensor<'int32'>), /labels must be int32/],
  [
    'counts that differ',
    () => crossEntropy(zeros([2, 3]), zeros([3], { dtype: 'int32' })),
    /expected logits \[n, classes\] and labels \[n\]/,
  ],
  ['a vector of logits', () => crossEntropy(zeros([3]), zeros([3], { dtype: 'int32' })), /expected logits/],
  [
    'integer logits',
    () => crossEntropy(zeros([2, 3], { dtype: 'int32' }), zeros([2], { dtype: 'int32' })),
    /must be float32/,
  ],
];
export const indexVector = (n: number, rowCount: number): Dense =>
  dense(
    [n],
    Array.from({ length: n }, (_, i) => (i * 3 + 1) % rowCount),
    'int32',
  );

export function softmaxCase(
  name: string,
  call: (x: AnyTensor, axis?: number) => Tensor,
  row: (row: number[]) => number[],
): OpCase {
  return {
    call: (x: AnyTensor) => call(x),
    samples: [[4], [3, 5], [2, 3, 17], [33, 10], [2, 130], [0, 3]].map((shape) => [spread(shape, -5, 5)]),
    reference: rows(row),
    gradient: [[spread([2, 3])], [spread([5])]],
    bad: [
      ['a scalar', () => call(zeros([])), /a scalar has no axes/],
      ['an axis out of range', () => call(zeros([2]), 1), new RegExp(`${name}: axis 1`)],
      ['integers', () => call(zeros([2], { dtype: 'int32' })), /must be float32/],
    ],
  };
}

export function softmaxGradientCase(
  forward: (x: AnyTensor) => Tensor,
  row: (grad: number[], row: number[]) => number[],
): OpCase {
  return {
    call: (grad: Tensor, x: Tensor) => {
      const leaf = tensor(x.dataSync(), { shape: x.shape, requiresGrad: true });
      forward(leaf).backward({ gradient: grad });
      return leaf.grad as Tensor;
    },
    samples: [
      [spread([3, 5]), spread([3, 5], -5, 5)],
      [spread([2, 33]), spread([2, 33], 0, 3)],
    ],
    reference: (grad, x) => {
      const width = x.shape[x.shape.length - 1];
      return rows((values, i) => row(grad.data.slice(i * width, (i + 1) * width), values))(x);
    },
    gradient: 'checked at second order through its forward op',
    bad: [],
  };
}

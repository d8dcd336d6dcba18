/** What the rows of the losses are built with: samples, reductions and bad calls. */
import { nn, tensor, zeros, type AnyTensor, type Tensor } from '../../../../lib';
import { dense, sizeOf, spread, type Dense } from '../../reference';
import type { Row, Rows } from '../../row';

export const F = nn.functional;
export type Labels = Tensor<'int32'>;

/** Values with another order than {@link spread}'s, so that two inputs of one shape are independent. */
export function reversed(shape: readonly number[], low = -2, high = 2): Dense {
  return dense(shape, [...spread(shape, low, high).data].reverse());
}

/** Class numbers, the classes in turn. */
export function labels(shape: readonly number[], classes: number, ignored: readonly number[] = [], mark = -100): Dense {
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => (ignored.includes(i) ? mark : (i * 5 + 2) % classes));
  return dense(shape, data, 'int32');
}

/** 1 and -1, or the two values given. */
export function signs(shape: readonly number[], values: readonly [number, number] = [1, -1]): Dense {
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => values[Number((i * 7) % 5 < 2)]);
  return dense(shape, data);
}
export const bits = (shape: readonly number[]): Dense => signs(shape, [0, 1]);

/** Positive numbers that add up to 1 along axis 1. */
export function distributions([n, classes, ...space]: readonly number[]): Dense {
  const inner = sizeOf(space);
  const raw = spread([n, classes, ...space], 0.1, 1).data;
  const data = raw.map((value, i) => {
    const start = Math.floor(i / (classes * inner)) * classes * inner + (i % inner);
    let total = 0;
    for (let c = 0; c < classes; c++) total += raw[start + c * inner];
    return Math.fround(value / total);
  });
  return dense([n, classes, ...space], data);
}

const reductions = ['mean', 'sum', 'none'] as const;
export type Reduction = (typeof reductions)[number];

/** Losses that the library exports itself. */
const isTop = (op: string): boolean => op === 'crossEntropy' || op === 'mseLoss';

/** A row for each reduction, named by it. The first has the bad calls, the others one of their own. */
export function eachReduction(name: string, make: (reduction: Reduction) => Omit<Row, 'bad'>, bad: Row['bad']): Rows {
  const wrong = make('max' as Reduction);
  const unknown = (): unknown =>
    (wrong.call as (...inputs: AnyTensor[]) => unknown)(
      ...wrong.samples[0].map((x) => tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype })),
    );
  const op = name.split('/')[0];
  const message = new RegExp(`${op}: unknown reduction max`);
  return Object.fromEntries(
    reductions.map((reduction) => [
      `${isTop(op) ? '' : 'nn.functional.'}${name}${reduction === 'mean' ? '' : name.includes('/') ? `, ${reduction}` : `/${reduction}`}`,
      { ...make(reduction), bad: reduction === 'mean' ? [...bad, ['a reduction that is not', unknown, message]] : [] },
    ]),
  );
}

type Pairwise = (prediction: AnyTensor, target: AnyTensor, options?: { reduction?: Reduction }) => Tensor;

export const integers = (shape: readonly number[]): Tensor => zeros(shape, { dtype: 'int32' }) as unknown as Tensor;

export const doubles = (shape: readonly number[]): Tensor => zeros(shape, { dtype: 'float64' }) as unknown as Tensor;

/** What every loss of two tensors of one shape refuses. */
export function badPairs(op: string, call: Pairwise): Row['bad'] {
  return [
    ['shapes that differ', () => call(zeros([2, 3]), zeros([3])), new RegExp(`${op}: .*\\[2,3\\].*\\[3\\] differ`)],
    ['an integer prediction', () => call(integers([2]), zeros([2])), new RegExp(`${op}: .* must be float.*int32`)],
    ['an integer target', () => call(zeros([2]), integers([2])), new RegExp(`${op}: .* must be float.*int32`)],
    ['a number for a target', () => call(zeros([2]), 1 as unknown as Tensor), new RegExp(`${op}: .* must be a tensor`)],
    ['another precision', () => call(zeros([2]), doubles([2])), /dtypes differ: float32 and float64/],
    ['nothing', () => call(undefined as unknown as Tensor, zeros([2])), /must be a tensor/],
  ];
}

export const pairs = [
  [spread([7]), reversed([7], -1, 2.5)],
  [spread([3, 5]), reversed([3, 5], -1, 2.5)],
  [spread([2, 3, 4], -4, 4), reversed([2, 3, 4])],
  [spread([]), spread([], 0, 3)],
];

/** A loss of two tensors of one shape. */
export function pairwise(
  name: string,
  call: (prediction: Tensor, target: Tensor, reduction: Reduction) => Tensor,
  torch: (reduction: Reduction) => string,
  samples: Row['samples'] = pairs,
  more: Row['bad'] = [],
  rest: Partial<Row> = {},
): Rows {
  const op = name.split('/')[0];
  return eachReduction(
    name,
    (reduction) => ({
      call: (x: Tensor, y: Tensor) => call(x, y, reduction),
      torch: torch(reduction),
      samples,
      gradient: [0, 1],
      ...rest,
    }),
    [...badPairs(op, (x, y) => call(x as Tensor, y as Tensor, 'mean')), ...more],
  );
}

export const z = (shape: readonly number[] = [2]): Tensor => zeros(shape);
type Classify = (x: AnyTensor, y: Labels) => Tensor;

/** What every loss over class numbers refuses. `ignoreIndex` stays at its default. */
export function badLabels(op: string, call: Classify): Row['bad'] {
  const int = (values: number[], shape = [values.length]): Labels => tensor(Int32Array.from(values), { shape });
  return [
    ['a label above the classes', () => call(z([2, 3]), int([0, 3])), /3 .*position 1.*\[0, 3\)/],
    ['a negative label', () => call(z([2, 3]), int([-1, 0])), /-1 /],
    [
      'counts that differ',
      () => call(z([2, 3]), int([0, 1, 2])),
      new RegExp(`${op}: expected .*\\[2,3\\] and \\[3\\]`),
    ],
    ['a matrix of labels', () => call(z([2, 3]), int([0, 1], [2, 1])), new RegExp(`${op}: expected`)],
    ['float labels', () => call(z([2, 3]), z([2]) as unknown as Labels), new RegExp(`${op}: labels must be int32`)],
    ['integer predictions', () => call(integers([2, 3]), int([0, 1])), /must be float.*int32/],
    ['no classes', () => call(z([2, 0]), int([0, 1])), new RegExp(`${op}: .*\\[2,0\\]`)],
    ['a scalar', () => call(z([]), int([0], [])), new RegExp(`${op}: expected`)],
  ];
}

/** Inputs of every shape, with labels; where `mark` is given, some labels are that. */
export function classified(mark?: number, low = -2, high = 2): Row['samples'] {
  const some = mark === undefined ? [] : [1, 4];
  return [
    [spread([4, 3], low, high), labels([4], 3, some, mark)],
    [spread([5, 7], low, high), labels([5], 7, some, mark)],
    [spread([2, 3, 4], low, high), labels([2, 4], 3, some, mark)],
    [spread([2, 3, 2, 3], low, high), labels([2, 2, 3], 3, some, mark)],
    [spread([6], low, high), labels([], 6)],
  ];
}
export const withWeight = (samples: Row['samples']): Row['samples'] =>
  samples.map(([x, y]) => [x, y, spread([x.shape.length === 1 ? x.shape[0] : x.shape[1]], 0.2, 2)]);

export const reduceInTorch = { mean: '.mean()', sum: '.sum()', none: '' };

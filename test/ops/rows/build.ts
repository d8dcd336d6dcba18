/** What rows are built with: inputs by family, and the bad inputs that every operation must refuse. */
import * as kindling from '../../../lib';
import { tensor, zeros, type AnyTensor, type DType, type Tensor } from '../../../lib';
import { dense, repeated, spread, type Dense } from '../reference';
import type { Row } from '../row';

export type Bad = Row['bad'];
type Loose = (...args: unknown[]) => AnyTensor;

/** The exported function of that name, without its types. */
export function publicFunction(name: string): Loose {
  const parts = name.split('/')[0].split('.');
  return parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], kindling) as Loose;
}

export function disposed(shape: readonly number[] = [2], dtype: DType = 'float32'): Tensor {
  const x = zeros(shape, { dtype }) as Tensor;
  x.dispose();
  return x;
}

/** What a tensor argument must not be. `call` gives the bad value to the operation. */
export function notTensors(call: (bad: never) => unknown, what = 'x'): Bad {
  const attempt = (value: unknown) => () => call(value as never);
  return [
    [`${what} is disposed`, attempt(disposed()), /disposed/],
    [`${what} is a string`, attempt('abc'), /tensor/],
    [`${what} is undefined`, attempt(undefined), /tensor/],
    [`${what} is null`, attempt(null), /tensor/],
    [`${what} is an array`, attempt([1, 2]), /tensor/],
  ];
}

/** What an axis of a tensor of rank 2 must not be. */
export function badAxes(call: (axis: number) => unknown): Bad {
  return [
    ['an axis out of range', () => call(2), /axis 2 is out of range/],
    ['a negative axis out of range', () => call(-3), /axis -3 is out of range/],
    ['a fractional axis', () => call(0.5), /axis 0.5 is out of range/],
    ['NaN for an axis', () => call(NaN), /axis NaN is out of range/],
  ];
}

/** Shapes around the vector widths of every instruction set, with empty and scalar ones. */
export const shapes: readonly (readonly number[])[] = [
  [],
  [1],
  [7],
  [33],
  [3, 5],
  [4, 16],
  [2, 3, 4],
  [0],
  [3, 0],
  [1, 1, 70],
];

export interface UnaryOptions {
  low?: number;
  high?: number;
  /** Where to take finite differences; default [low, high]. */
  gradientAt?: readonly [number, number];
  gradient?: Row['gradient'];
  dtype?: DType;
  /** Further inputs. */
  more?: readonly (readonly Dense[])[];
  bad?: Bad;
  rtol?: number;
  atol?: number;
  firstOrderOnly?: string;
}

/** An elementwise op of one input: the public `name`, `torch` over x0. */
export function unaryRow(name: string, torch: Row['torch'], options: UnaryOptions = {}, call?: Row['call']): Row {
  const { low = -2, high = 2, dtype = 'float32', more = [], bad = [] } = options;
  const fn = (call ?? publicFunction(name)) as Loose;
  const [from, to] = options.gradientAt ?? [low, high];
  return {
    call: fn,
    torch,
    samples: [
      ...shapes.map((shape) => [spread(shape, low, high, dtype)]),
      [repeated(spread([5], low, high, dtype))],
      ...more,
    ],
    gradient: options.gradient ?? 'all',
    gradientSamples: [
      [spread([7], from, to)],
      [spread([2, 3], from, to)],
      [spread([], from, to)],
      [spread([2, 1, 2], from, to)],
    ],
    bad: [...notTensors(fn), ...bad],
    rtol: options.rtol,
    atol: options.atol,
    firstOrderOnly: options.firstOrderOnly,
  };
}

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
    [2, 33],
    [2, 33],
  ],
  [[0, 3], [3]],
  [
    [20, 3],
    [20, 1],
  ],
];

/** A second operand unlike the first. */
export function reversedSpread(shape: readonly number[], low: number, high: number, dtype: DType): Dense {
  const x = spread(shape, low, high, dtype);
  return dense(shape, [...x.data].reverse(), dtype);
}

export interface BinaryOptions {
  low?: number;
  high?: number;
  dtype?: DType;
  /** Other dtypes that the op has a form for. */
  ints?: boolean;
  gradient?: Row['gradient'];
  gradientSamples?: Row['gradientSamples'];
  rtol?: number;
  bad?: Bad;
}

/** An elementwise op of two inputs. */
export function binaryRow(name: string, torch: Row['torch'], options: BinaryOptions = {}): Row {
  const { low = -2, high = 2, dtype = 'float32', ints = false, bad = [] } = options;
  const call = publicFunction(name);
  const pair = (a: readonly number[], b: readonly number[], type: DType = dtype): Dense[] => [
    spread(a, low, high, type),
    reversedSpread(b, low, high, type),
  ];
  const operand = (): AnyTensor => zeros([2, 3], { dtype });
  return {
    call,
    torch,
    samples: [
      ...pairShapes.map(([a, b]) => pair(a, b)),
      [repeated(spread([4], low, high, dtype)), spread([3, 4], low, high, dtype)],
      ...(ints ? [pair([3, 5], [5], 'int32')] : []),
    ],
    gradient: options.gradient ?? 'all',
    gradientSamples: options.gradientSamples ?? [
      pair([3, 4], [3, 4]),
      pair([2, 1, 3], [4, 1]),
      pair([3], []),
      pair([2, 2], [2]),
    ],
    bad: [
      [
        'shapes that do not broadcast',
        () => call(operand(), zeros([2], { dtype })),
        new RegExp(`${name}: shapes \\[2,3\\] and \\[2\\] do not broadcast`),
      ],
      ['a disposed tensor first', () => call(disposed([2], dtype), operand()), /disposed/],
      ['a disposed tensor second', () => call(operand(), disposed([3], dtype)), /disposed/],
      ['a string', () => call(operand(), 'x'), /expected a tensor or a number/],
      ['null', () => call(null, operand()), /expected a tensor or a number/],
      ['undefined', () => call(operand(), undefined), /expected a tensor or a number/],
      ['two numbers', () => call(1, 2), /at least one operand must be a tensor/],
      ...bad,
    ],
    rtol: options.rtol,
  };
}

/** int32 positions in [0, count), not in order. */
export function positions(shape: readonly number[], count: number): Dense {
  const size = shape.reduce((a, b) => a * b, 1);
  return dense(
    shape,
    Array.from({ length: size }, (_, i) => (i * 5 + 2) % count),
    'int32',
  );
}

export const int32 = (...values: number[]): Tensor<'int32'> => tensor(Int32Array.from(values));

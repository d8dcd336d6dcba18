/** Batches and where they come from, whoever makes them. */
import { withGrad } from '../autograd/node';
import { ShapeError } from '../errors';
import { stack } from '../ops/rearrange';
import { tensor, type NumericArray } from '../tensor/creation';
import type { DType } from '../tensor/dtype';
import { tidy } from '../tensor/scope';
import { describe } from '../tensor/shape';
import { isTensor, type AnyTensor, type NestedArray } from '../tensor/tensor';
import type { Samples } from './dataset';

/** A tensor, or what {@link tensor} makes one of: a number, nested arrays, a typed array. */
export type Values = AnyTensor | NestedArray | NumericArray;

/** What goes in and what is to come out, of one sample or of a batch: `[x, y]` or `{ x, y }`. */
export type Pair = readonly Values[] | { readonly x: Values; readonly y: Values };

/** Something to go through, at once or as it comes. */
export type Series<T> = Iterable<T | PromiseLike<T>> | AsyncIterable<T>;

/** A {@link Series}, or a function that begins a new one: a generator can be gone through only once. */
export type Source<T> = Series<T> | (() => Series<T>);

/** What going through a {@link Series} yields. */
export type AnyIterator<T> = Iterator<T> | AsyncIterator<T>;

/** The dtypes of what is not a tensor yet. Default: as {@link tensor} has it, float32 for numbers. */
export interface PairDTypes {
  readonly x?: DType;
  readonly y?: DType;
}

/** Whether this is a {@link Source}, and not samples in memory. */
export function isSource(value: unknown): value is Source<unknown> {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** Begins to go through a source. `isOnce`: it cannot be begun again. */
export function open<T>(what: string, source: Source<T>): { iterator: AnyIterator<T>; isOnce: boolean } {
  const series: unknown = typeof source === 'function' ? source() : source;
  if (typeof series !== 'object' || series === null || !isSource(series)) {
    throw new TypeError(`${what}: expected an iterable, got ${describe(series)}`);
  }
  const { [Symbol.asyncIterator]: begin } = series as { [Symbol.asyncIterator]?: () => AsyncIterator<T> };
  const iterator = begin === undefined ? (series as Iterable<T>)[Symbol.iterator]() : begin.call(series);
  return { iterator, isOnce: (iterator as unknown) === source };
}

/** @throws TypeError for what is not a pair, naming `what`. */
export function pairOf(what: string, value: unknown): readonly [Values, Values] {
  if (Array.isArray(value) && value.length === 2) return value as [Values, Values];
  if (typeof value === 'object' && value !== null && !isTensor(value) && 'x' in value && 'y' in value) {
    return [value.x as Values, value.y as Values];
  }
  const got = isTensor(value) ? 'a tensor' : Array.isArray(value) ? `an array of ${value.length}` : describe(value);
  throw new TypeError(`${what}: expected [x, y] or { x, y }, got ${got}`);
}

function isTypedArray(value: unknown): value is NumericArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** Typed arrays of one length one after the other. */
function joined(arrays: readonly NumericArray[], name: string): NumericArray {
  const [{ length, constructor }] = arrays;
  const whole = new (constructor as new (length: number) => Float32Array)(arrays.length * length);
  arrays.forEach((array, i) => {
    if (!isTypedArray(array) || array.length !== length || array.constructor !== constructor) {
      throw new ShapeError(`DataLoader: ${name} of sample ${i} of a batch is of another kind or length than the first`);
    }
    whole.set(array as Float32Array, i * length);
  });
  return whole;
}

function column(values: readonly Values[], name: 'x' | 'y', dtype: DType | undefined): AnyTensor {
  const [first] = values;
  const options = dtype === undefined ? {} : { dtype };
  if (isTensor(first)) {
    if (!values.every(isTensor)) throw new TypeError(`DataLoader: only some ${name} of a batch are tensors`);
    return withGrad(false, () => stack(values as AnyTensor[]));
  }
  if (!isTypedArray(first)) return tensor(values as NestedArray, options);
  return tensor(joined(values as NumericArray[], name), { ...options, shape: [values.length, first.length] });
}

/** One batch of samples: tensors are stacked, numbers and arrays become a new axis of one tensor. */
export function collate(samples: readonly unknown[], dtypes: PairDTypes): Samples {
  const pairs = samples.map((sample) => pairOf('DataLoader: a sample', sample));
  return tidy(() => ({
    x: column(
      pairs.map(([x]) => x),
      'x',
      dtypes.x,
    ),
    y: column(
      pairs.map(([, y]) => y),
      'y',
      dtypes.y,
    ),
  }));
}

/** Ways to make tensors. */
import { activeRecorder, live } from './recorder';
import { types } from 'node:util';
import { DTypeError, ShapeError } from '../errors';
import { native, nativeError, scratch, Scratch } from '../native';
import { finish, owner, run, writeOutput } from '../ops/run';
import { defaultGenerator, type Generator } from './generator';
import { defaultDeviceCode, deviceCode, type Device } from './device';
import { checkDType, hostArray, isHalf, type DType } from './dtype';
import { checkInteger, checkNumber, checkShape, describe, formatShape, sizeOf, type Shape } from './shape';
import { Tensor, tensorHooks, type AnyTensor, type NestedArray } from './tensor';

/** Options of the functions that make tensors. */
export interface CreationOptions<D extends DType = DType> {
  /** Element type; default float32. */
  dtype?: D;
  /** Where the elements are to be. Default: that of `like`, else {@link defaultDevice}. */
  device?: Device;
  /** A tensor whose dtype and device are taken where they are not given. */
  like?: AnyTensor;
  /** Record operations on the tensor for `backward`; floating-point only. Default false. */
  requiresGrad?: boolean;
}

/** Options of {@link tensor}. */
export interface TensorOptions<D extends DType = DType> extends CreationOptions<D> {
  /** The shape of the elements in a flat array; default: the nesting's, or one axis. */
  shape?: readonly number[];
}

/** Typed arrays that {@link tensor} copies from. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | Uint8ClampedArray
  | BigInt64Array;

function withOptions<D extends DType>(x: Tensor<D>, options: CreationOptions): Tensor<D> {
  if (options.requiresGrad) x.requiresGrad = true;
  return x;
}

/** The number of the device that options ask for. */
function placeOf(op: string, { device, like }: CreationOptions): number {
  if (device !== undefined) return deviceCode(op, device);
  return like === undefined ? defaultDeviceCode() : like._device;
}

/** The dtype that options ask for, or `fallback`. */
function dtypeOf(op: string, { dtype, like }: CreationOptions, fallback: DType): DType {
  return checkDType(op, dtype ?? like?.dtype ?? fallback);
}

function isNumericArray(values: unknown): values is NumericArray {
  return types.isTypedArray(values) && !types.isBigUint64Array(values);
}

/** Flattens nested arrays, checking that they are a full box of numbers or booleans. */
function flattenNested(values: NestedArray): { shape: number[]; flat: (number | boolean)[] } {
  const shape: number[] = [];
  for (let level: NestedArray = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: (number | boolean)[] = [];
  const visit = (value: NestedArray, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number' && typeof value !== 'boolean') {
        throw new ShapeError(
          `tensor: elements must be numbers or booleans in a regular nesting, got ${describe(value)}`,
        );
      }
      flat.push(value);
      return;
    }
    if (!Array.isArray(value) || value.length !== shape[axis]) {
      const got = Array.isArray(value) ? `${String(value.length)} entries` : describe(value);
      throw new ShapeError(
        `tensor: ragged nesting: expected ${String(shape[axis])} entries at axis ${String(axis)}, got ${got}`,
      );
    }
    for (const item of value) visit(item, axis + 1);
  };
  visit(values, 0);
  return { shape, flat };
}

function inferDType(values: ArrayLike<number | boolean | bigint>, isNested: boolean): DType {
  if (isNested) return values.length > 0 && typeof values[0] === 'boolean' ? 'bool' : 'float32';
  if (types.isFloat32Array(values) || types.isFloat64Array(values)) return 'float32';
  if (types.isInt32Array(values) || types.isInt16Array(values) || types.isInt8Array(values)) return 'int32';
  if (types.isUint16Array(values)) return 'int32';
  if (types.isUint8Array(values) || types.isUint8ClampedArray(values)) return 'uint8';
  if (types.isBigInt64Array(values)) return 'int64';
  throw new DTypeError(`tensor: give a dtype for ${describe(values)}: its values have no single natural one`);
}

type Plain = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** The dtype whose own typed array this is, as far as one array belongs to one dtype. */
function isOwnArray(values: object, dtype: DType): values is Plain {
  switch (dtype) {
    case 'float32':
    case 'float16':
    case 'bfloat16':
      return types.isFloat32Array(values);
    case 'float64':
      return types.isFloat64Array(values);
    case 'int32':
      return types.isInt32Array(values);
    case 'int64':
      return types.isBigInt64Array(values);
    case 'uint8':
      return types.isUint8Array(values);
    case 'bool':
      return false;
  }
}

/** The integers that a dtype holds, as far as a number says them exactly. */
const integerRange: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint8: [0, 255],
};

function checkRange(op: string, value: number, dtype: DType, where: string): void {
  const range = integerRange[dtype];
  if (range === undefined || (Number.isInteger(value) && value >= range[0] && value <= range[1])) return;
  throw new RangeError(`${op}: ${String(value)}${where} is not an ${dtype}`);
}

/** The elements as the dtype's own typed array. Integers must be whole and in range; bool is `value != 0`. */
function convert(values: ArrayLike<number | boolean | bigint>, dtype: DType): Plain {
  if (isOwnArray(values, dtype)) return plain(values);
  const result = hostArray(dtype, values.length);
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (integerRange[dtype] !== undefined) checkRange('tensor', value, dtype, ` at position ${String(i)}`);
    if (dtype === 'int64') (result as BigInt64Array)[i] = BigInt(value);
    else (result as Float32Array)[i] = dtype === 'bool' ? Number(value !== 0) : value;
  }
  return result;
}

/** Native code reads plain memory only: shared or resizable buffers could change under it. */
function plain<T extends Plain>(values: T): T {
  const { buffer } = values as { buffer: ArrayBufferLike & { resizable?: boolean } };
  const isPlain = types.isArrayBuffer(buffer) && buffer.resizable !== true;
  return isPlain ? values : (values.slice() as T);
}

function isDetached(values: NumericArray): boolean {
  // Not by instanceof: an array may come from another realm (a vm context, a test runner).
  // A view of a transferred buffer reports no bytes; so does an empty one, whose buffer can be sliced.
  if (values.byteLength > 0 || !types.isArrayBuffer(values.buffer)) return false;
  try {
    values.buffer.slice(0, 0);
    return false;
  } catch {
    return true;
  }
}

/**
 * A tensor with a copy of `values`: a number, nested arrays, or a typed array.
 *
 * The dtype is float32 for numbers, bool for booleans, and follows a typed array where that is clear
 * (Float32Array and Float64Array: float32; Int32Array and shorter: int32; bytes: uint8; BigInt64Array:
 * int64).
 * @throws ShapeError for ragged nesting or a shape that does not hold the elements; RangeError for a
 * value that an int32 cannot be; TypeError for anything else, a detached buffer included.
 * @example tensor([[1, 2], [3, 4]])
 * @example tensor(new Float32Array(6), { shape: [2, 3] })
 */
export function tensor<D extends DType>(
  values: NestedArray | NumericArray,
  options: TensorOptions<D> & { dtype: D },
): Tensor<D>;
export function tensor(
  values: Int32Array | Int16Array | Int8Array | Uint16Array,
  options?: TensorOptions,
): Tensor<'int32'>;
export function tensor(values: Uint8Array | Uint8ClampedArray, options?: TensorOptions): Tensor<'uint8'>;
export function tensor(values: BigInt64Array, options?: TensorOptions): Tensor<'int64'>;
export function tensor(
  values: boolean | boolean[] | boolean[][] | boolean[][][],
  options?: TensorOptions,
): Tensor<'bool'>;
export function tensor(values: NestedArray | NumericArray, options?: TensorOptions): Tensor;
export function tensor(values: NestedArray | NumericArray, options: TensorOptions = {}): Tensor<DType> {
  const isTyped = isNumericArray(values);
  if (!isTyped && typeof values !== 'number' && typeof values !== 'boolean' && !Array.isArray(values)) {
    throw new TypeError(`tensor: expected numbers, nested arrays or a typed array, got ${describe(values)}`);
  }
  if (isTyped && isDetached(values)) throw new TypeError('tensor: the array buffer was transferred away');
  const nested = isTyped ? { shape: [values.length], flat: values } : flattenNested(values);
  const isGiven = options.dtype !== undefined || options.like !== undefined;
  const dtype = isGiven ? dtypeOf('tensor', options, 'float32') : inferDType(nested.flat, !isTyped);
  const shape = checkShape('tensor', options.shape ?? nested.shape);
  const data = convert(nested.flat, dtype);
  if (sizeOf(shape) !== data.length) {
    throw new ShapeError(
      `tensor: shape ${formatShape(shape)} holds ${String(sizeOf(shape))} elements, got ${String(data.length)}`,
    );
  }
  const place = placeOf('tensor', options);
  if (!isHalf(dtype)) return withOptions(upload(data, shape, dtype, place), options);
  const wide = upload(data, shape, 'float32', place);
  const result = tensorHooks.cast(wide, dtype);
  wide.dispose();
  return withOptions(result, options);
}

/** Numbers of the dtype's own typed array into native memory. */
function upload<D extends DType>(data: Plain, shape: Shape, dtype: D, device: number): Tensor<D> {
  const result = new Tensor(shape, dtype);
  result._device = device;
  scratch[Scratch.device] = device;
  writeOutput(shape, dtype);
  const handle = native.fromHost(owner(result), data);
  if (handle === 0) throw nativeError('tensor');
  finish('tensor', result, handle);
  activeRecorder()?.constant(result);
  return result;
}

/** A tensor of `shape` filled with `value`. Default dtype float32. */
export function full<D extends DType>(
  shape: Shape,
  value: number | boolean,
  options: CreationOptions<D> & { dtype: D },
): Tensor<D>;
export function full(shape: Shape, value: number | boolean, options?: CreationOptions): Tensor;
export function full(shape: Shape, value: number | boolean, options: CreationOptions = {}): Tensor<DType> {
  const dtype = dtypeOf('full', options, 'float32');
  const number = Number(value);
  checkRange('full', number, dtype, '');
  const checked = checkShape('full', shape);
  return withOptions(run('full', [], checked, dtype, undefined, [number], placeOf('full', options)), options);
}

/** Zeros. Default dtype float32. */
export function zeros<D extends DType>(shape: Shape, options: CreationOptions<D> & { dtype: D }): Tensor<D>;
export function zeros(shape: Shape, options?: CreationOptions): Tensor;
export function zeros(shape: Shape, options: CreationOptions = {}): Tensor<DType> {
  return full(shape, 0, options);
}

/** Ones. Default dtype float32. */
export function ones<D extends DType>(shape: Shape, options: CreationOptions<D> & { dtype: D }): Tensor<D>;
export function ones(shape: Shape, options?: CreationOptions): Tensor;
export function ones(shape: Shape, options: CreationOptions = {}): Tensor<DType> {
  return full(shape, 1, options);
}

/**
 * `start`, `start + step`, … below `end` (above it for a negative step); `arange(end)` starts at 0.
 * The dtype is int32 if all three are integers, else float32.
 * @throws RangeError if `step` is 0 or an argument is not finite.
 */
export function arange(end: number, options?: CreationOptions): Tensor<DType>;
export function arange(start: number, end: number, step?: number, options?: CreationOptions): Tensor<DType>;
export function arange(
  first: number,
  second?: number | CreationOptions,
  step = 1,
  options: CreationOptions = {},
): Tensor<DType> {
  const isShort = typeof second !== 'number';
  const [start, end] = isShort ? [0, first] : [first, second];
  const given = isShort ? (second ?? {}) : options;
  for (const [name, value] of Object.entries({ start, end, step })) {
    checkNumber('arange', name, value, -Number.MAX_VALUE, Number.MAX_VALUE);
  }
  if (step === 0) throw new RangeError('arange: step must not be 0');
  const isWhole = [start, end, step].every(Number.isInteger);
  const dtype = checkDType('arange', given.dtype ?? (isWhole ? 'int32' : 'float32'));
  const place = placeOf('arange', given);
  if (dtype === 'bool' || isHalf(dtype)) throw new DTypeError(`arange: dtype ${dtype} is not supported`);
  const shape = checkShape('arange', [Math.max(0, Math.ceil((end - start) / step))]);
  return withOptions(run('arange', [], shape, dtype, undefined, [start, step], place), given);
}

/** `count` values from `start` to `end`, both included, at equal distances. */
export function linspace(start: number, end: number, count: number, options: CreationOptions<'float32'> = {}): Tensor {
  checkNumber('linspace', 'start', start, -Number.MAX_VALUE, Number.MAX_VALUE);
  checkNumber('linspace', 'end', end, -Number.MAX_VALUE, Number.MAX_VALUE);
  checkInteger('linspace', 'count', count, 0, 2 ** 31);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = count === 1 ? start : start + ((end - start) * i) / (count - 1);
  return withOptions(tensor(values, { device: options.device, like: options.like, dtype: 'float32' }), options);
}

/** The identity matrix, or a rectangular one with ones on the main diagonal. Default dtype float32. */
export function eye(rows: number, columns: number = rows, options: CreationOptions = {}): Tensor {
  const dtype = dtypeOf('eye', options, 'float32');
  const shape = checkShape('eye', [rows, columns]);
  const made = run('eye', [], shape, dtype, undefined, undefined, placeOf('eye', options));
  return withOptions(made, options) as Tensor;
}

/** Options of the random tensors. */
export interface RandomOptions extends CreationOptions<'float32'> {
  /** Where the numbers come from; default: the generator that {@link manualSeed} sets. */
  generator?: Generator;
}

function random(
  op: 'randomUniform' | 'randomNormal',
  shape: Shape,
  a: number,
  b: number,
  options: RandomOptions,
): Tensor {
  const name = op === 'randomUniform' ? 'rand' : 'randn';
  const checked = checkShape(name, shape);
  const place = placeOf(name, options);
  const drawn = live(() => {
    const ints = (options.generator ?? defaultGenerator()).take(sizeOf(checked));
    return run(op, [], checked, 'float32', ints, [a, b], place);
  });
  return withOptions(drawn, options);
}

/**
 * Independent numbers, uniform in [0, 1) or in `range`. From Philox 4×32-10 (Salmon et al., 2011): they
 * depend on the seed alone, not on threads or the CPU.
 */
export function rand(shape: Shape, options: RandomOptions & { range?: readonly [number, number] } = {}): Tensor {
  const [low, high] = options.range ?? [0, 1];
  checkNumber('rand', 'range start', low);
  checkNumber('rand', 'range end', high, low);
  return random('randomUniform', shape, low, high, options);
}

/** Independent normal numbers with the given mean (default 0) and standard deviation (default 1). */
export function randn(shape: Shape, options: RandomOptions & { mean?: number; std?: number } = {}): Tensor {
  const { mean = 0, std = 1 } = options;
  checkNumber('randn', 'mean', mean);
  checkNumber('randn', 'std', std, 0);
  return random('randomNormal', shape, mean, std, options);
}

import { DTypeError } from '../errors';

/**
 * Element types. `float16` and `bfloat16` are for storage: an operation on them computes in float32 and
 * rounds its result. `bool` is one byte, 0 or 1.
 */
export type DType = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool' | 'float16' | 'bfloat16';

/** The dtypes that can have gradients. */
export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** What {@link Tensor.data} gives for each dtype: bool comes as bytes 0 and 1, the halves as float32. */
export interface DataOf {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  bool: Uint8Array;
  float16: Float32Array;
  bfloat16: Float32Array;
}

export const dtypes: readonly DType[] = [
  'float32',
  'float64',
  'int32',
  'int64',
  'uint8',
  'bool',
  'float16',
  'bfloat16',
];

/** The codes of native/core/tensor_view.h. */
export const dtypeCode: Readonly<Record<DType, number>> = {
  float32: 0,
  int32: 1,
  bool: 2,
  float64: 3,
  int64: 4,
  uint8: 5,
  float16: 6,
  bfloat16: 7,
};

export function checkDType(op: string, dtype: unknown): DType {
  if (typeof dtype === 'string' && (dtypes as readonly string[]).includes(dtype)) {
    return dtype as DType;
  }
  throw new DTypeError(`${op}: unknown dtype ${String(dtype)}; known are ${dtypes.join(', ')}`);
}

/** Whether a dtype is a floating-point one. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';
}

/** Whether a dtype is for storage only. */
export function isHalf(dtype: DType): dtype is 'float16' | 'bfloat16' {
  return dtype === 'float16' || dtype === 'bfloat16';
}

/** A fresh typed array for `size` elements. */
export function hostArray<D extends DType>(dtype: D, size: number): DataOf[D];
export function hostArray(dtype: DType, size: number): DataOf[DType] {
  switch (dtype) {
    case 'float64':
      return new Float64Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'int64':
      return new BigInt64Array(size);
    case 'uint8':
    case 'bool':
      return new Uint8Array(size);
    default:
      return new Float32Array(size);
  }
}

/** Integers and bool by width, then the floats. */
const order: readonly DType[] = ['bool', 'uint8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'];

/**
 * PyTorch's promotion: bool < uint8 < int32 < int64 < float16, bfloat16 < float32 < float64; the two
 * halves meet in float32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (isHalf(a) && isHalf(b)) return 'float32';
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

/** {@link promote} for types. Where a dtype is not known at compile time, float32 stands for it. */
export type Promoted<A extends DType, B extends DType> = DType extends A
  ? 'float32'
  : DType extends B
    ? 'float32'
    : 'float64' extends A | B
      ? 'float64'
      : 'float32' extends A | B
        ? 'float32'
        : 'float16' extends A | B
          ? 'bfloat16' extends A | B
            ? 'float32'
            : 'float16'
          : 'bfloat16' extends A | B
            ? 'bfloat16'
            : 'int64' extends A | B
              ? 'int64'
              : 'int32' extends A | B
                ? 'int32'
                : 'uint8' extends A | B
                  ? 'uint8'
                  : 'bool';

/** The result's dtype of an operation that is defined on floats: integers and bool become float32. */
export type FloatOf<D extends DType> = DType extends D ? 'float32' : D extends FloatDType ? D : 'float32';

/** {@link FloatOf} at run time. */
export function floatOf(dtype: DType): FloatDType {
  return isFloat(dtype) ? dtype : 'float32';
}

import { DTypeError } from '../errors';

/** Element types: 32-bit float, 32-bit signed integer, and bool (one byte, 0 or 1). */
export type DType = 'float32' | 'int32' | 'bool';

/** What {@link Tensor.data} gives for each dtype; bool comes as bytes 0 and 1. */
export interface DataOf {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

export const dtypes: readonly DType[] = ['float32', 'int32', 'bool'];

/** The codes of native/core/tensor_view.h. */
export const dtypeCode: Readonly<Record<DType, number>> = { float32: 0, int32: 1, bool: 2 };

export function checkDType(op: string, dtype: unknown): DType {
  if (typeof dtype === 'string' && (dtypes as readonly string[]).includes(dtype)) {
    return dtype as DType;
  }
  throw new DTypeError(`${op}: unknown dtype ${String(dtype)}; known are ${dtypes.join(', ')}`);
}

/** A fresh typed array for `size` elements. */
export function hostArray<D extends DType>(dtype: D, size: number): DataOf[D];
export function hostArray(dtype: DType, size: number): DataOf[DType] {
  if (dtype === 'float32') return new Float32Array(size);
  return dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size);
}

/** PyTorch's promotion on these types: bool < int32 < float32. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  return a === 'float32' || b === 'float32' ? 'float32' : 'int32';
}

/** Tensors in arrays and plain objects, as arguments and results of a step. */
import { isTensor, type AnyTensor } from '../tensor/tensor';

/** What a step may take and return: tensors, plain values, and arrays and objects of them. */
export type Structure = unknown;

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * The same structure with `replace(tensor)` in each tensor's place.
 * @throws TypeError for an object that is neither an array nor plain.
 */
export function mapTensors(value: Structure, replace: (tensor: AnyTensor) => AnyTensor, what: string): Structure {
  if (typeof value !== 'object' || value === null) return value;
  if (isTensor(value)) return replace(value);
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, replace, what));
  if (!isPlain(value)) {
    throw new TypeError(
      `${what}: only tensors, numbers, strings, booleans, arrays and plain objects of these are taken`,
    );
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, replace, what)]));
}

/** Every tensor, in order. */
export function tensorsOf(value: Structure, what: string): AnyTensor[] {
  const tensors: AnyTensor[] = [];
  mapTensors(
    value,
    (tensor) => {
      tensors.push(tensor);
      return tensor;
    },
    what,
  );
  return tensors;
}

/** What a program was compiled for: the structure, the tensors' dtypes and shapes, and all else by its value. */
export function signatureOf(value: Structure): string {
  if (isTensor(value)) {
    return `${value.dtype}[${value.shape.join(',')}]@${value._device}${value._requiresGrad ? '∂' : ''}`;
  }
  if (Array.isArray(value)) return `[${value.map(signatureOf).join(';')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${signatureOf(item)}`);
    return `{${fields.join(';')}}`;
  }
  return typeof value === 'string' ? JSON.stringify(value) : `${typeof value} ${String(value)}`;
}

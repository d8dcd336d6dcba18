/** A tensor operation was given arguments that break its rules: a shape, an axis, a dtype. */
export class ShapeError extends Error {
  override readonly name: string = 'ShapeError';
}

/** A dtype that the operation does not take. */
export class DTypeError extends TypeError {
  override readonly name: string = 'DTypeError';
}

/** A tensor was used after it was disposed. */
export class DisposedError extends Error {
  override readonly name: string = 'DisposedError';
}

/** No memory for a tensor, or the limit of {@link setMemoryLimit} was reached. Everything stays usable. */
export class OutOfMemoryError extends Error {
  override readonly name: string = 'OutOfMemoryError';
}

/** A device is not there, or its driver has failed; or operands are on several. */
export class DeviceError extends Error {
  override readonly name: string = 'DeviceError';
}

/** {@link detectAnomaly} found a NaN. */
export class AnomalyError extends Error {
  override readonly name: string = 'AnomalyError';
}

/** Gradients were asked for where there are none. */
export class GradientError extends Error {
  override readonly name: string = 'GradientError';
}

/** A step cannot be compiled: it reads a value, say. The message names the operation and the line. */
export class TraceError extends Error {
  override readonly name: string = 'TraceError';
}

/** The values have no such result: a singular matrix, one that is not positive definite, NaN where none may be. */
export class LinAlgError extends Error {
  override readonly name: string = 'LinAlgError';
}

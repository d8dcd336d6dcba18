/** Sequences of different lengths in one batch, under PyTorch's names. */
import { ShapeError } from '../errors';
import { checkLengths } from '../ops/recurrent';
import { requireFloat } from '../ops/reduce';
import { transpose } from '../ops/views';
import { formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';

/**
 * A padded batch that knows its lengths. PyTorch's class of this name stores no padding; here the kernels skip it
 * instead, so that rows need no order.
 */
export class PackedSequence {
  constructor(
    /** [steps, n, features] */
    readonly data: Tensor,
    /** int32 [n] */
    readonly lengths: Tensor<'int32'>,
  ) {}
}

/** How a padded batch is laid out. */
export interface PackOptions {
  /** [n, steps, features] instead of [steps, n, features]. Default false. */
  batchFirst?: boolean;
}

/**
 * A padded batch and the valid steps of each row, for the recurrent layers' `run`.
 * @throws ShapeError, RangeError.
 */
export function packPaddedSequence(
  x: AnyTensor,
  lengths: AnyTensor | readonly number[],
  options: PackOptions = {},
): PackedSequence {
  const input = requireFloat('packPaddedSequence', 'x', x);
  if (input.rank !== 3) {
    throw new ShapeError(`packPaddedSequence: expected [steps, n, features], got ${formatShape(input.shape)}`);
  }
  const data = options.batchFirst === true ? transpose(input, 0, 1) : input;
  return new PackedSequence(data, checkLengths('packPaddedSequence', lengths, data.shape[1], data.shape[0]));
}

/** The padded batch and the lengths of a {@link PackedSequence}. */
export function padPackedSequence(
  packed: PackedSequence,
  options: PackOptions = {},
): { data: Tensor; lengths: Tensor<'int32'> } {
  return { data: options.batchFirst === true ? transpose(packed.data, 0, 1) : packed.data, lengths: packed.lengths };
}

/** Sequences of different lengths in one batch, under PyTorch's names. */
import { ShapeError } from '../errors';
import { greater, where } from '../ops/compare';
import { contiguous } from '../ops/copies';
import { pad } from '../ops/rearrange';
import { checkLengths } from '../ops/recurrent';
import { requireFloat } from '../ops/reduce';
import { slice, transpose, unsqueeze } from '../ops/views';
import { arange } from '../tensor/creation';
import { checkInteger, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';

/**
 * A batch of sequences that knows their lengths, for the recurrent layers' `run`. PyTorch's class of this name stores
 * no padding; here the kernels pass over it, so that the rows need no order.
 */
export class PackedSequence {
  /** @internal Made by {@link packPaddedSequence} and the recurrent layers. */
  constructor(
    /** [steps, n, features]; what stands beyond a row's length is not looked at. */
    readonly data: Tensor,
    /** int32 [n] */
    readonly lengths: Tensor<'int32'>,
  ) {}
}

/** Options of {@link packPaddedSequence}. */
export interface PackOptions {
  /** x is [n, steps, features] instead of [steps, n, features]. Default false. */
  batchFirst?: boolean;
}

/** Options of {@link padPackedSequence}. */
export interface PadPackedOptions {
  /** Give [n, steps, features] instead of [steps, n, features]. Default false. */
  batchFirst?: boolean;
  /** What stands beyond the lengths. Default 0. */
  paddingValue?: number;
  /** Pad to so many steps. Default: the longest length. */
  totalLength?: number;
}

/**
 * A padded batch and the valid steps of each row, for the recurrent layers' `run`. Unlike PyTorch's function of this
 * name it takes rows in any order, and lengths of 0.
 * @param x float [steps, n, features]
 * @param lengths integers [n] in [0, steps]
 * @throws ShapeError, RangeError, DTypeError.
 */
export function packPaddedSequence(
  x: AnyTensor,
  lengths: AnyTensor | ArrayLike<number>,
  options: PackOptions = {},
): PackedSequence {
  const input = requireFloat('packPaddedSequence', 'x', x);
  if (input.rank !== 3) {
    const axes = options.batchFirst === true ? '[n, steps, features]' : '[steps, n, features]';
    throw new ShapeError(`packPaddedSequence: expected ${axes}, got ${formatShape(input.shape)}`);
  }
  const data = options.batchFirst === true ? contiguous(transpose(input, 0, 1)) : input;
  return new PackedSequence(data, checkLengths('packPaddedSequence', lengths, data.shape[1], data.shape[0], data));
}

/**
 * The padded batch and the lengths of a {@link PackedSequence}.
 * @throws RangeError for a totalLength below the longest length.
 */
export function padPackedSequence(
  packed: PackedSequence,
  options: PadPackedOptions = {},
): { data: Tensor; lengths: Tensor<'int32'> } {
  if (!(packed instanceof PackedSequence)) throw new TypeError('padPackedSequence: expected a PackedSequence');
  const { batchFirst = false, paddingValue = 0, totalLength } = options;
  const { data, lengths } = packed;
  const longest = lengths.dataSync().reduce((most, length) => Math.max(most, length), 0);
  const total = totalLength ?? longest;
  checkInteger('padPackedSequence', 'totalLength', total, longest, 2 ** 31 - 1);
  const valid = greater(unsqueeze(lengths, 0), unsqueeze(arange(longest, { dtype: 'int32', like: lengths }), 1));
  const filled = where(unsqueeze(valid, 2), slice(data, [0, longest]), paddingValue);
  const padded = total === longest ? filled : pad(filled, [0, 0, 0, 0, 0, total - longest], { value: paddingValue });
  return { data: batchFirst ? transpose(padded, 0, 1) : padded, lengths };
}

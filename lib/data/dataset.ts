import { ShapeError } from '../errors';
import { indexSelect } from '../ops/gather';
import { toCode } from '../ops/transfer';
import { keep } from '../tensor/scope';
import { formatShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';

/** Samples and their targets, paired along axis 0. */
export interface Samples {
  readonly x: AnyTensor;
  readonly y: AnyTensor;
}

/** A dataset held in memory. */
export class TensorDataset implements Samples {
  /** Number of samples. */
  readonly length: number;

  /**
   * @param x samples, one per position of axis 0
   * @param y targets, as many
   * @throws ShapeError if the counts differ
   */
  constructor(
    readonly x: AnyTensor,
    readonly y: AnyTensor,
  ) {
    for (const [name, value] of Object.entries({ x, y })) {
      if (!isTensor(value)) throw new TypeError(`dataset: ${name} must be a tensor`);
      value._check('dataset');
    }
    if (x.rank === 0 || y.rank === 0 || x.shape[0] !== y.shape[0]) {
      throw new ShapeError(
        `dataset: x ${formatShape(x.shape)} and y ${formatShape(y.shape)} must have as many entries along axis 0`,
      );
    }
    this.length = x.shape[0];
  }

  /** @internal The dataset on a device; itself where it is there. */
  to(device: number): TensorDataset {
    if (this.x._device === device && this.y._device === device) return this;
    const copy = (x: AnyTensor): AnyTensor => keep(x._device === device ? x.detach() : toCode(x, device));
    return new TensorDataset(copy(this.x), copy(this.y));
  }

  /** The samples that `index` (int32 [m]) names, gathered natively, on the dataset's device. */
  gather(index: Tensor<'int32'>): Samples {
    return { x: rowsOf(this.x, index), y: rowsOf(this.y, index) };
  }

  /** The samples from `start` to `end` (excluded), as views. */
  range(start: number, end: number): Samples {
    return { x: this.x.slice([start, end]), y: this.y.slice([start, end]) };
  }

  /** Gives the memory of both tensors back. */
  dispose(): void {
    this.x.dispose();
    this.y.dispose();
  }
}

function rowsOf(x: AnyTensor, index: Tensor<'int32'>): AnyTensor {
  return indexSelect(x, toCode(index, x._device));
}

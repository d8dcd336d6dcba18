/** Dropout layers: they drop in training and do nothing in evaluation. */
import { ShapeError } from '../errors';
import { dropout as drop } from '../ops/random';
import type { Generator } from '../tensor/generator';
import { checkNumber, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Module } from './module';

/** Options of the dropout layers. */
export interface DropoutLayerOptions {
  /** Default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/** Zeroes elements with probability `p` and scales the others by 1/(1 - p) (Srivastava et al., 2014). */
export class Dropout extends Module {
  constructor(
    readonly p = 0.5,
    private readonly options: DropoutLayerOptions = {},
  ) {
    super();
    checkNumber('Dropout', 'p', p, 0, 1);
  }

  override forward(x: AnyTensor): Tensor {
    return drop(x, this.p, { training: this.training, generator: this.options.generator }) as Tensor;
  }
}

/** Zeroes whole channels. */
abstract class ChannelDropout extends Module {
  constructor(
    private readonly layer: string,
    private readonly rank: number,
    readonly p: number,
    private readonly options: DropoutLayerOptions,
  ) {
    super();
    checkNumber(layer, 'p', p, 0, 1);
  }

  override forward(x: AnyTensor): Tensor {
    if (x.rank !== this.rank) {
      throw new ShapeError(
        `${this.layer}: expected an input of rank ${String(this.rank)}, got ${formatShape(x.shape)}`,
      );
    }
    const together = x.shape.map((_, axis) => axis).slice(2);
    return drop(x, this.p, { training: this.training, together, generator: this.options.generator }) as Tensor;
  }
}

/** Zeroes whole channels of [n, channels, length] (Tompson et al., 2015). */
export class Dropout1d extends ChannelDropout {
  constructor(p = 0.5, options: DropoutLayerOptions = {}) {
    super('Dropout1d', 3, p, options);
  }
}
/** Zeroes whole channels of [n, channels, height, width]. */
export class Dropout2d extends ChannelDropout {
  constructor(p = 0.5, options: DropoutLayerOptions = {}) {
    super('Dropout2d', 4, p, options);
  }
}

/** {@link Dropout} */
export const dropout = (p?: number, options?: DropoutLayerOptions): Dropout => new Dropout(p, options);
/** {@link Dropout2d} */
export const dropout2d = (p?: number, options?: DropoutLayerOptions): Dropout2d => new Dropout2d(p, options);

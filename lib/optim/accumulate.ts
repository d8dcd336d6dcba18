import { checkInteger, describe } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';
import { scaleGrads } from './clip';
import { Optimizer, type GroupSettings } from './optimizer';

/**
 * Updates by the mean gradient of several micro-batches, as one batch of all their samples would: memory is needed for
 * one micro-batch only. The micro-batches should be of one size, and the loss a mean over its samples.
 *
 * ```ts
 * const accumulator = new optim.GradientAccumulator(optimizer, 4);
 * for (const { x, y } of microBatches) {
 *   tidy(() => accumulator.backward(lossOf(model.forward(x), y)));
 *   if (accumulator.isFull) accumulator.step();
 * }
 * accumulator.step(); // what is left over
 * ```
 * The same by hand: `loss.div(4).backward()` for each micro-batch, then `optimizer.step()` and `optimizer.zeroGrad()`
 * after every fourth.
 */
export class GradientAccumulator<S extends GroupSettings = GroupSettings> {
  private count = 0;

  /**
   * @param steps the number of micro-batches in an update
   * @throws RangeError unless `steps` is a positive integer; TypeError for what is not an optimizer.
   */
  constructor(
    readonly optimizer: Optimizer<S>,
    readonly steps: number,
  ) {
    if (!(optimizer instanceof Optimizer)) {
      throw new TypeError(`GradientAccumulator: expected an optimizer, got ${describe(optimizer)}`);
    }
    checkInteger('GradientAccumulator', 'steps', steps, 1, 2 ** 31 - 1);
  }

  /** Whether `steps` micro-batches are in the gradients: the time to clip them and to call `step`. */
  get isFull(): boolean {
    return this.count >= this.steps;
  }

  /** Adds the gradients of a micro-batch's loss. @throws RangeError if the accumulator is full. */
  backward(loss: Tensor): void {
    if (this.isFull) throw new RangeError(`GradientAccumulator: ${this.steps} losses were added; call step()`);
    loss.div(this.steps).backward();
    this.count++;
  }

  /** Updates by the mean of the gradients so far, fewer than `steps` too, and drops them. Does nothing if there are none. */
  step(): void {
    if (this.count === 0) return;
    if (!this.isFull) scaleGrads(this.optimizer.parameters, this.steps / this.count);
    this.optimizer.step();
    this.optimizer.zeroGrad();
    this.count = 0;
  }
}

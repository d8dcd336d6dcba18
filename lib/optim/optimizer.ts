import { DTypeError } from '../errors';
import { zeros } from '../tensor/creation';
import type { DType } from '../tensor/dtype';
import { keep } from '../tensor/scope';
import { checkNumber } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';

/**
 * Updates parameters by their gradients. `step()` skips parameters that have none.
 *
 * An update runs entirely in native code, in place, in one pass over each parameter.
 */
export abstract class Optimizer {
  readonly parameters: readonly Tensor[];
  private readonly slots = new Map<Tensor, OptimizerSlot>();

  constructor(
    name: string,
    parameters: Iterable<Tensor>,
    /** Learning rate; may be changed at any time. */
    public lr: number,
    private readonly stateCount: number,
  ) {
    this.parameters = [...parameters];
    checkNumber(name, 'lr', lr, 0);
    this.parameters.forEach((parameter, i) => {
      if (!isTensor(parameter)) throw new TypeError(`${name}: parameter ${String(i)} is not a tensor`);
      parameter._check(name);
      if ((parameter.dtype as DType) !== 'float32' || !parameter.requiresGrad || !parameter.isContiguous) {
        throw new DTypeError(`${name}: parameter ${String(i)} must be a contiguous float32 tensor with requiresGrad`);
      }
    });
    if (new Set(this.parameters).size !== this.parameters.length) {
      throw new RangeError(`${name}: a parameter is given twice`);
    }
  }

  /** One update of every parameter that has a gradient. */
  step(): void {
    checkNumber('step', 'lr', this.lr, 0);
    for (const parameter of this.parameters) {
      if (parameter.grad === null) continue;
      const slot = this.slotOf(parameter);
      this.update(parameter, parameter.grad, slot.state, slot.steps + 1);
      slot.steps++;
    }
  }

  /** Drops the gradients. Call it before every `backward` unless they are meant to add up. */
  zeroGrad(): void {
    for (const parameter of this.parameters) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /** Gives the memory of the optimizer's state back; the next step starts afresh. */
  dispose(): void {
    for (const { state } of this.slots.values()) for (const tensor of state) tensor.dispose();
    this.slots.clear();
  }

  private slotOf(parameter: Tensor): OptimizerSlot {
    let slot = this.slots.get(parameter);
    if (slot === undefined) {
      const state = Array.from({ length: this.stateCount }, () => keep(zeros(parameter.shape)));
      slot = { state, steps: 0 };
      this.slots.set(parameter, slot);
    }
    return slot;
  }

  /** Updates one parameter in place; `step` counts its updates from 1. */
  protected abstract update(parameter: Tensor, grad: Tensor, state: readonly Tensor[], step: number): void;
}

interface OptimizerSlot {
  readonly state: readonly Tensor[];
  steps: number;
}

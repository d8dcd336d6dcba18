import { ShapeError } from '../errors';
import { moveInPlace } from '../ops/transfer';
import { assign } from '../ops/update';
import { zeros } from '../tensor/creation';
import { eagerly, live, onAbandon } from '../tensor/recorder';
import { keep, tidy } from '../tensor/scope';
import { checkNumber } from '../tensor/shape';
import type { SparseGrad, Tensor } from '../tensor/tensor';
import { lossOf, Optimizer, type Group, type GroupSettings } from './optimizer';
import { denseGrad, updateRows } from './sparse';
import { checkSaved, checkSavedSlot, type OptimizerState, type SavedSlot, type Slot } from './state';

/**
 * An optimizer that updates each parameter by itself: all but LBFGS. `step()` skips parameters without a gradient; of a
 * sparse gradient (see {@link Tensor.sparseGrad}) it updates only the rows, as PyTorch's SparseAdam does.
 *
 * An update runs entirely in native code, in place, in one pass over each parameter.
 */
export abstract class SlotOptimizer<S extends GroupSettings> extends Optimizer<S> {
  private readonly slots = new Map<Tensor, Slot>();

  override step(): void;
  override step(closure: () => Tensor): number;
  override step(closure?: () => Tensor): number | undefined {
    const loss = closure === undefined ? undefined : lossOf(closure);
    for (const group of this.paramGroups) {
      for (const parameter of group.params) {
        if (parameter.grad === null && parameter.sparseGrad === null) continue;
        const { grad, sparseGrad } = parameter;
        live(() => {
          checkNumber('step', 'lr', group.lr, 0);
          this.updateOne(parameter, grad, sparseGrad, group);
        });
      }
    }
    return loss;
  }

  private updateOne(parameter: Tensor, grad: Tensor | null, sparseGrad: SparseGrad | null, group: Group<S>): void {
    const slot = this.slotOf(parameter, group);
    const { tensors, numbers } = slot;
    const step = slot.steps + 1;
    if (sparseGrad === null) {
      this.update(parameter, grad as Tensor, tensors, step, group, numbers);
    } else if (grad === null) {
      updateRows(parameter, sparseGrad, tensors, (rows, values, state) => {
        this.update(rows, values, state, step, group, numbers);
      });
    } else {
      tidy(() => {
        this.update(parameter, denseGrad(grad, sparseGrad, parameter), tensors, step, group, numbers);
      });
    }
    slot.steps = step;
    onAbandon(() => slot.steps--);
  }

  override stateDict(): OptimizerState {
    const state: Record<string, SavedSlot> = {};
    this.parameters.forEach((parameter, i) => {
      const slot = this.slots.get(parameter);
      if (slot !== undefined) state[String(i)] = { ...slot, numbers: [...slot.numbers] };
    });
    return { state, groups: this.savedGroups() };
  }

  override loadStateDict(saved: OptimizerState): void {
    checkSaved(this.name, saved);
    const groups = this.loadedGroups(saved);
    const { parameters } = this;
    const fresh = new Map<Tensor, Slot>();
    try {
      for (const [number, slot] of Object.entries(saved.state)) {
        const at = parameters.findIndex((_, i) => String(i) === number);
        if (at < 0) throw new ShapeError(`${this.name}: there is no parameter ${number} as in the saved state`);
        const group = this.paramGroups.findIndex(({ params }) => params.includes(parameters[at]));
        const made = this.newSlot(parameters[at], groups[group]);
        fresh.set(parameters[at], made);
        checkSavedSlot(this.name, number, slot, made);
      }
    } catch (error) {
      disposeAll(fresh.values());
      throw error;
    }
    for (const [parameter, slot] of this.slots) if (!fresh.has(parameter)) this.drop(parameter, slot);
    for (const [parameter, made] of fresh)
      this.load(parameter, made, saved.state[String(parameters.indexOf(parameter))]);
    this.loadGroups(groups);
  }

  /** Puts saved state in the place of a parameter's; into its own tensors, which `saved` may be, where they fit. */
  private load(parameter: Tensor, made: Slot, { steps, tensors, numbers }: SavedSlot): void {
    const before = this.slots.get(parameter);
    const fits = before !== undefined && before.tensors.length === made.tensors.length;
    const slot = fits ? before : made;
    slot.steps = steps;
    slot.numbers.splice(0, slot.numbers.length, ...numbers);
    slot.tensors.forEach((x, i) => {
      assign(x, tensors[i]);
    });
    if (fits) disposeAll([made]);
    else if (before !== undefined) disposeAll([before]);
    this.slots.set(parameter, slot);
  }

  private drop(parameter: Tensor, slot: Slot): void {
    disposeAll([slot]);
    this.slots.delete(parameter);
  }

  override dispose(): void {
    disposeAll(this.slots.values());
    this.slots.clear();
  }

  private newSlot(parameter: Tensor, settings: S): Slot {
    return {
      tensors: this.initialState(parameter, settings).map((x) => keep(x)),
      numbers: this.initialNumbers(),
      steps: 0,
    };
  }

  private slotOf(parameter: Tensor, group: Group<S>): Slot {
    let slot = this.slots.get(parameter);
    if (slot === undefined) {
      slot = eagerly(() => this.newSlot(parameter, group));
      this.slots.set(parameter, slot);
    }
    // The parameter may have moved since, and its state goes with it.
    for (const x of slot.tensors) moveInPlace(x, parameter._device);
    return slot;
  }

  /** Zeros like a parameter, for {@link Optimizer.initialState}. */
  protected blanks(parameter: Tensor, count: number): Tensor[] {
    return Array.from({ length: count }, () => zeros(parameter.shape, { like: parameter }));
  }

  /** The tensors kept for a parameter, of its shape. */
  protected abstract initialState(parameter: Tensor, settings: S): Tensor[];

  /** The numbers kept for a parameter. */
  protected initialNumbers(): number[] {
    return [];
  }

  /** Updates one parameter in place; `step` counts its updates from 1. */
  protected abstract update(
    parameter: Tensor,
    grad: Tensor,
    state: readonly Tensor[],
    step: number,
    settings: S,
    numbers: number[],
  ): void;
}

function disposeAll(slots: Iterable<Slot>): void {
  for (const { tensors } of slots) for (const tensor of tensors) tensor.dispose();
}

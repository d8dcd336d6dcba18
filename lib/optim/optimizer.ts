import { DTypeError, ShapeError } from '../errors';
import { indexRows } from '../ops/copies';
import { assign, assignRows } from '../ops/update';
import { zeros } from '../tensor/creation';
import { keep, tidy } from '../tensor/scope';
import { checkNumber, describe } from '../tensor/shape';
import { isTensor, type AnyTensor, type SparseGrad, type Tensor } from '../tensor/tensor';

/** What every group of parameters has; each optimizer adds its own settings. */
export interface GroupSettings {
  /** Learning rate; may be changed at any time. */
  lr: number;
}

/** Parameters with settings of their own; what is missing comes from the optimizer's options. */
export type ParameterGroup<S extends GroupSettings> = Partial<S> & { readonly params: Iterable<Tensor> };

/** A group as the optimizer keeps it. */
export type Group<S extends GroupSettings> = S & { readonly params: readonly Tensor[] };

/** Parameters, or groups of them. */
export type Parameters<S extends GroupSettings> = Iterable<Tensor> | Iterable<ParameterGroup<S>>;

/** What a later run needs to go on exactly: see {@link Optimizer.stateDict}. */
export interface OptimizerState {
  /** For each parameter that was updated, by its number over all groups: how often, and its state. */
  readonly state: Readonly<Record<string, { readonly steps: number; readonly tensors: readonly AnyTensor[] }>>;
  /** The settings of each group. */
  readonly groups: readonly Readonly<Record<string, unknown>>[];
}

function isGroup(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'params' in value;
}

interface Slot {
  readonly state: readonly Tensor[];
  steps: number;
}

/**
 * Updates parameters by their gradients. `step()` skips parameters that have none; of a sparse gradient (see
 * {@link Tensor.sparseGrad}) it updates only the rows, as PyTorch's SparseAdam does.
 *
 * An update runs entirely in native code, in place, in one pass over each parameter.
 */
export abstract class Optimizer<S extends GroupSettings = GroupSettings> {
  readonly paramGroups: Group<S>[] = [];
  private readonly slots = new Map<Tensor, Slot>();

  constructor(
    protected readonly name: string,
    parameters: Parameters<S>,
    private readonly defaults: S,
  ) {
    const all = [...parameters] as (Tensor | ParameterGroup<S>)[];
    const grouped = all.filter((item) => !isTensor(item));
    if (grouped.length === 0) this.addParamGroup({ params: all as Tensor[] } as unknown as ParameterGroup<S>);
    else if (grouped.length < all.length) throw new TypeError(`${name}: give either parameters or groups, not both`);
    else for (const group of grouped) this.addParamGroup(group as ParameterGroup<S>);
  }

  /** Every parameter of every group. */
  get parameters(): readonly Tensor[] {
    return this.paramGroups.flatMap(({ params }) => params);
  }

  /** The learning rate of the first group; setting it sets that of all groups. */
  get lr(): number {
    return this.paramGroups[0].lr;
  }

  set lr(value: number) {
    checkNumber(this.name, 'lr', value, 0);
    for (const group of this.paramGroups) group.lr = value;
  }

  /**
   * Adds parameters with settings of their own.
   * @throws RangeError for a setting out of range or a parameter that is there already; DTypeError.
   */
  addParamGroup(group: ParameterGroup<S>): void {
    if (!isGroup(group)) {
      throw new TypeError(`${this.name}: a group must be an object with params, got ${describe(group)}`);
    }
    const given = Object.fromEntries(Object.entries(group).filter(([, value]) => (value as unknown) !== undefined));
    const complete = { ...this.defaults, ...given, params: [...group.params] } as unknown as Group<S>;
    checkNumber(this.name, 'lr', complete.lr, 0);
    this.check(complete);
    const known = new Set(this.parameters);
    complete.params.forEach((parameter, i) => {
      this.checkParameter(parameter, i);
      if (known.has(parameter)) throw new RangeError(`${this.name}: a parameter is given twice`);
      known.add(parameter);
    });
    this.paramGroups.push(complete);
  }

  private checkParameter(parameter: unknown, i: number): void {
    if (!isTensor(parameter)) throw new TypeError(`${this.name}: parameter ${String(i)} is not a tensor`);
    parameter._check(this.name);
    const isFloat = parameter.dtype === 'float32' || parameter.dtype === 'float64';
    if (!isFloat || !parameter.requiresGrad || !parameter.isContiguous) {
      throw new DTypeError(
        `${this.name}: parameter ${String(i)} must be a contiguous float32 or float64 tensor with requiresGrad`,
      );
    }
  }

  /** One update of every parameter that has a gradient. */
  step(): void {
    for (const group of this.paramGroups) {
      checkNumber('step', 'lr', group.lr, 0);
      for (const parameter of group.params) {
        if (parameter.grad === null && parameter.sparseGrad === null) continue;
        const slot = this.slotOf(parameter, group);
        if (parameter.grad !== null) this.update(parameter, parameter.grad, slot.state, slot.steps + 1, group);
        if (parameter.sparseGrad !== null) this.updateRows(parameter, parameter.sparseGrad, slot, group);
        slot.steps++;
      }
    }
  }

  /** The dense update on the rows alone: parameter and state are gathered, updated and put back. */
  private updateRows(parameter: Tensor, { indices, values }: SparseGrad, slot: Slot, group: Group<S>): void {
    tidy(() => {
      const rows = indexRows(parameter.detach(), indices);
      const state = slot.state.map((x) => indexRows(x, indices));
      this.update(rows, values, state, slot.steps + 1, group);
      assignRows(parameter, indices, rows);
      slot.state.forEach((x, i) => {
        assignRows(x, indices, state[i]);
      });
    });
  }

  /** Drops the gradients. Call it before every `backward` unless they are meant to add up. */
  zeroGrad(): void {
    for (const parameter of this.parameters) {
      parameter.grad?.dispose();
      parameter.grad = null;
      parameter.sparseGrad?.indices.dispose();
      parameter.sparseGrad?.values.dispose();
      parameter.sparseGrad = null;
    }
  }

  /** The state tensors themselves (not copies), the numbers of updates and the settings. */
  stateDict(): OptimizerState {
    const state: Record<string, { steps: number; tensors: readonly AnyTensor[] }> = {};
    this.parameters.forEach((parameter, i) => {
      const slot = this.slots.get(parameter);
      if (slot !== undefined) state[String(i)] = { steps: slot.steps, tensors: slot.state };
    });
    const groups = this.paramGroups.map(({ params, ...settings }) => ({ ...settings, params: params.length }));
    return { state, groups };
  }

  /**
   * Goes on where {@link Optimizer.stateDict} was taken. All is checked before anything is written.
   * @throws ShapeError if groups, parameters or shapes differ.
   */
  loadStateDict(saved: OptimizerState): void {
    const counts = this.paramGroups.map(({ params }) => params.length).join();
    if (saved.groups.map(({ params }) => String(params)).join() !== counts) {
      throw new ShapeError(`${this.name}: the saved groups have other numbers of parameters than [${counts}]`);
    }
    const { parameters } = this;
    for (const [number, { tensors }] of Object.entries(saved.state)) {
      const parameter = parameters[Number(number)] as Tensor | undefined;
      const fits = parameter !== undefined && tensors.every((x) => x.size === parameter.size || x.size <= 1);
      if (!fits) throw new ShapeError(`${this.name}: the saved state of parameter ${number} does not fit`);
    }
    this.paramGroups.forEach((group, i) => {
      const settings = Object.entries(saved.groups[i]).filter(([name]) => name !== 'params');
      Object.assign(group, Object.fromEntries(settings));
    });
    for (const [number, { steps, tensors }] of Object.entries(saved.state)) {
      const parameter = parameters[Number(number)];
      const group = this.paramGroups.find(({ params }) => params.includes(parameter)) as Group<S>;
      const slot = this.slotOf(parameter, group);
      slot.steps = steps;
      slot.state.forEach((x, i) => {
        assign(x, tensors[i]);
      });
    }
  }

  /** Gives the memory of the optimizer's state back; the next step starts afresh. */
  dispose(): void {
    for (const { state } of this.slots.values()) for (const tensor of state) tensor.dispose();
    this.slots.clear();
  }

  private slotOf(parameter: Tensor, group: Group<S>): Slot {
    let slot = this.slots.get(parameter);
    if (slot === undefined) {
      slot = { state: this.initialState(parameter, group).map((x) => keep(x)), steps: 0 };
      this.slots.set(parameter, slot);
    }
    return slot;
  }

  /** Zeros like a parameter, for {@link Optimizer.initialState}. */
  protected blanks(parameter: Tensor, count: number): Tensor[] {
    return Array.from({ length: count }, () => zeros(parameter.shape, { dtype: parameter.dtype }) as Tensor);
  }

  /** Throws for settings out of range. */
  protected abstract check(settings: S): void;

  /** The tensors kept for a parameter, of its shape. */
  protected abstract initialState(parameter: Tensor, settings: S): Tensor[];

  /** Updates one parameter in place; `step` counts its updates from 1. */
  protected abstract update(parameter: Tensor, grad: Tensor, state: readonly Tensor[], step: number, settings: S): void;
}

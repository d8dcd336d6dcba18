import { withGrad } from '../autograd/node';
import { DTypeError, ShapeError } from '../errors';
import { live } from '../tensor/recorder';
import { tidy } from '../tensor/scope';
import { checkNumber, describe } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';
import type { OptimizerState } from './state';

/** What every group of parameters has; each optimizer adds its own settings. */
export interface GroupSettings {
  /** Learning rate; may be changed at any time. */
  lr: number;
  /** What schedules start from: the learning rate when the first schedule was made. */
  initialLr?: number;
}

/** Parameters with settings of their own; what is missing comes from the optimizer's options. */
export type ParameterGroup<S extends GroupSettings> = Partial<S> & { readonly params: Iterable<Tensor> };

/** A group as the optimizer keeps it. */
export type Group<S extends GroupSettings> = S & { readonly params: readonly Tensor[] };

/** Parameters, or groups of them. */
export type Parameters<S extends GroupSettings> = Iterable<Tensor> | Iterable<ParameterGroup<S>>;

function isGroup(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'params' in value;
}

function listOf<T>(name: string, what: string, given: Iterable<T>): T[] {
  const isIterable = typeof given === 'object' && (given as unknown) !== null && Symbol.iterator in given;
  if (!isIterable || isTensor(given)) {
    throw new TypeError(`${name}: ${what} must be an iterable of tensors, got ${describe(given)}`);
  }
  return [...given];
}

/** Options that are undefined stand for their defaults. */
function withOptions<S extends object>(name: string, defaults: S, options: Partial<S>): S {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw new TypeError(`${name}: options must be an object, got ${describe(options)}`);
  }
  const given = Object.entries(options).filter(([, value]) => (value as unknown) !== undefined);
  return { ...defaults, ...(Object.fromEntries(given) as Partial<S>) };
}

/**
 * Updates parameters by their gradients. Parameters come in groups, each with its own settings; schedules change
 * `group.lr`.
 */
export abstract class Optimizer<S extends GroupSettings = GroupSettings> {
  readonly paramGroups: Group<S>[] = [];
  private readonly defaults: S;

  /**
   * @throws RangeError if there are no parameters, one is given twice or a setting is out of range; TypeError;
   * DTypeError for a parameter that is not a contiguous floating-point tensor with requiresGrad.
   */
  constructor(
    protected readonly name: string,
    parameters: Parameters<S>,
    defaults: S,
    options: Partial<S> = {},
  ) {
    this.defaults = withOptions(name, defaults, options);
    const all = listOf<Tensor | ParameterGroup<S>>(name, 'parameters', parameters);
    const grouped = all.filter((item) => !isTensor(item));
    if (all.length === 0) throw new RangeError(`${name}: there are no parameters`);
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
    const params = listOf(this.name, 'params', group.params);
    const complete = { ...withOptions(this.name, this.defaults, group), params } as unknown as Group<S>;
    this.checkSettings(complete);
    const known = new Set(this.parameters);
    params.forEach((parameter, i) => {
      this.checkParameter(parameter, i);
      if (known.has(parameter)) throw new RangeError(`${this.name}: a parameter is given twice`);
      known.add(parameter);
    });
    this.paramGroups.push(complete);
  }

  private checkSettings(settings: S): void {
    checkNumber(this.name, 'lr', settings.lr, 0);
    this.check(settings);
  }

  private checkParameter(parameter: unknown, i: number): void {
    if (!isTensor(parameter)) throw new TypeError(`${this.name}: parameter ${i} is not a tensor`);
    parameter._check(this.name);
    const isFloat = parameter.dtype === 'float32' || parameter.dtype === 'float64';
    if (!isFloat || !parameter.requiresGrad || !parameter.isContiguous) {
      throw new DTypeError(
        `${this.name}: parameter ${i} must be a contiguous float32 or float64 tensor with requiresGrad`,
      );
    }
  }

  /** One update of every parameter that has a gradient. */
  abstract step(): void;
  /**
   * Calls `closure`, which clears the gradients, computes the loss and calls `backward`, and makes the update.
   * @returns the loss before the update
   */
  abstract step(closure: () => Tensor): number;

  /** Drops the gradients. Call it before every `backward` unless they are meant to add up. */
  zeroGrad(): void {
    live(() => {
      for (const { params } of this.paramGroups) params.forEach(dropGrad);
    });
  }

  /** What a later run needs: the state tensors themselves (not copies), numbers and settings. */
  abstract stateDict(): OptimizerState;

  /**
   * Goes on where {@link Optimizer.stateDict} was taken; the values are copied. All is checked before anything is
   * written, so a failure changes nothing.
   * @throws ShapeError if groups, parameters or shapes differ; RangeError for a setting out of range; TypeError.
   */
  abstract loadStateDict(saved: OptimizerState): void;

  /** Gives the memory of the optimizer's state back; the next step starts afresh. */
  abstract dispose(): void;

  /** Throws for settings out of range. */
  protected abstract check(settings: S): void;

  /** The settings of the groups, for {@link Optimizer.stateDict}. */
  protected savedGroups(): Record<string, unknown>[] {
    return this.paramGroups.map(({ params, ...settings }) => ({ ...settings, params: params.length }));
  }

  /** The settings of the groups as they were saved, checked. */
  protected loadedGroups(saved: OptimizerState): S[] {
    const counts = this.paramGroups.map(({ params }) => params.length).join();
    if (saved.groups.map(({ params }) => String(params)).join() !== counts) {
      throw new ShapeError(`${this.name}: the saved groups have other numbers of parameters than [${counts}]`);
    }
    return this.paramGroups.map((group, i) => {
      const settings: S = { ...group, ...saved.groups[i] };
      this.checkSettings(settings);
      return settings;
    });
  }

  /** Puts settings in the place of the groups'. */
  protected loadGroups(settings: readonly S[]): void {
    this.paramGroups.forEach((group, i) => Object.assign(group, settings[i], { params: group.params }));
  }
}

/** @internal The loss of a closure that computes the gradients too. */
export function lossOf(closure: () => Tensor): number {
  if (typeof closure !== 'function') throw new TypeError(`step: the closure is ${describe(closure)}`);
  return withGrad(true, () => tidy(() => closure().item()));
}

/** @internal */
export function dropGrad(parameter: Tensor): void {
  parameter.grad?.dispose();
  parameter.grad = null;
  parameter.sparseGrad?.indices.dispose();
  parameter.sparseGrad?.values.dispose();
  parameter.sparseGrad = null;
}

import '../symbols';
import { ShapeError } from '../errors';
import { assign } from '../ops/update';
import { keep } from '../tensor/scope';
import { formatShape, sameShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';

/** Names to tensors, in PyTorch's naming: `0.weight`, `encoder.bias`. */
export type StateDict = Record<string, AnyTensor>;

/** Makes a tensor a parameter: it requires a gradient, belongs to its module, and outlives every scope. */
export function parameter(x: Tensor): Tensor {
  x._isParameter = true;
  x.requiresGrad = true;
  return keep(x);
}

/**
 * A building block with parameters. Subclass it, assign parameters ({@link parameter}) and other modules
 * to properties in the constructor, and write `forward`; the properties' names become the names in
 * {@link Module.stateDict}.
 */
export abstract class Module {
  /** Whether this module trains (dropout drops, batch norm uses the batch) or evaluates. */
  training = true;

  /** The module's result for its input, or inputs. */
  abstract forward(...inputs: readonly AnyTensor[]): Tensor;

  /** The modules this one is made of, by property name. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [name, value];
      else if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          if (item instanceof Module) yield [`${name}.${String(i)}`, item];
        }
      }
    }
  }

  /** Every parameter with its dotted name, this module's own first, in the order of assignment. */
  *namedParameters(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, value] of Object.entries(this)) {
      if (isTensor(value) && value._isParameter) yield [prefix + name, value as Tensor];
    }
    for (const [name, child] of this.namedChildren()) yield* child.namedParameters(`${prefix}${name}.`);
  }

  /** Every parameter. Give these to an optimizer. */
  parameters(): Tensor[] {
    return [...this.namedParameters()].map(([, value]) => value);
  }

  /** Switches this module and all inside it to training, or to evaluation with `false`. Returns itself. */
  train(mode = true): this {
    this.training = mode;
    for (const [, child] of this.namedChildren()) child.train(mode);
    return this;
  }

  /** {@link Module.train}(false). */
  eval(): this {
    return this.train(false);
  }

  /** Drops every parameter's `grad`. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /** The parameters by name: the tensors themselves, not copies. */
  stateDict(): StateDict {
    return Object.fromEntries(this.namedParameters());
  }

  /**
   * Copies the values of `state` into this module's parameters. All is checked before anything is
   * written, so a failure changes nothing.
   * @throws ShapeError naming what is missing, unknown or of another shape.
   */
  loadStateDict(state: StateDict): void {
    const own = new Map(this.namedParameters());
    const given = new Set(Object.keys(state));
    const missing = [...own.keys()].filter((name) => !given.has(name));
    const unknown = [...given].filter((name) => !own.has(name));
    if (missing.length > 0 || unknown.length > 0) {
      throw new ShapeError(`loadStateDict: missing [${missing.join(', ')}], unknown [${unknown.join(', ')}]`);
    }
    for (const [name, target] of own) {
      const source = state[name];
      if (!isTensor(source)) throw new TypeError(`loadStateDict: ${name} is not a tensor`);
      source._check(`loadStateDict: ${name}`);
      if (source.dtype !== target.dtype || !sameShape(source.shape, target.shape)) {
        throw new ShapeError(
          `loadStateDict: ${name} is ${source.dtype} ${formatShape(source.shape)}, ` +
            `expected ${target.dtype} ${formatShape(target.shape)}`,
        );
      }
    }
    for (const [name, target] of own) assign(target, state[name]);
  }

  /** Gives the memory of all parameters back. */
  dispose(): void {
    for (const parameter of this.parameters()) {
      parameter.grad?.dispose();
      parameter.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

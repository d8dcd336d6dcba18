import '../symbols';
import { ShapeError } from '../errors';
import { moveInPlace } from '../ops/transfer';
import { assign } from '../ops/update';
import { defaultDeviceCode, deviceCode, type Device } from '../tensor/device';
import { activeRecorder, live } from '../tensor/recorder';
import { keep } from '../tensor/scope';
import { formatShape, sameShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';

/** Makes a tensor a buffer: it is saved with its module but not trained, and outlives every scope. */
export function buffer<T extends AnyTensor>(x: T): T {
  x._isBuffer = true;
  return keep(x);
}

/** Names to tensors, in PyTorch's naming: `0.weight`, `encoder.bias`. */
export type StateDict = Record<string, AnyTensor>;

/** Makes a tensor a parameter: it requires a gradient, belongs to its module, and outlives every scope. */
export function parameter(x: Tensor): Tensor {
  x._isParameter = true;
  x.requiresGrad = true;
  return keep(x);
}

/** A property's name in PyTorch's style: `inProjWeight` becomes `in_proj_weight`. */
function stateName(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * A building block with parameters. Subclass it, assign parameters ({@link parameter}) and other modules
 * to properties in the constructor, and write `forward`; the properties' names, in snake case as PyTorch's, become the
 * names in {@link Module.stateDict}.
 */
export abstract class Module {
  private mode = true;

  /** Whether this module trains (dropout drops, batch norm uses the batch) or evaluates. */
  get training(): boolean {
    const { mode } = this;
    activeRecorder()?.guard(() => this.mode === mode);
    return mode;
  }

  set training(training: boolean) {
    this.mode = training;
  }

  /** The module's result for its input, or inputs. */
  abstract forward(...inputs: readonly AnyTensor[]): Tensor;

  /** The modules this one is made of, by property name. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [stateName(name), value];
      else if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          if (item instanceof Module) yield [`${stateName(name)}.${String(i)}`, item];
        }
      }
    }
  }

  /** Every parameter with its dotted name, this module's own first, in the order of assignment. */
  *namedParameters(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, value] of Object.entries(this)) {
      if (isTensor(value) && value._isParameter) yield [prefix + stateName(name), value as Tensor];
    }
    for (const [name, child] of this.namedChildren()) yield* child.namedParameters(`${prefix}${name}.`);
  }

  /** Every buffer with its dotted name: state that is saved but not trained, as batch norm's running mean. */
  *namedBuffers(prefix = ''): Generator<[string, AnyTensor]> {
    for (const [name, value] of Object.entries(this)) {
      if (isTensor(value) && value._isBuffer) yield [prefix + stateName(name), value];
    }
    for (const [name, child] of this.namedChildren()) yield* child.namedBuffers(`${prefix}${name}.`);
  }

  /** Every module inside this one, itself first. */
  *modules(): Generator<Module> {
    yield this;
    for (const [, child] of this.namedChildren()) yield* child.modules();
  }

  /** Calls `fn` with every module inside this one, itself last. Returns itself. */
  apply(fn: (module: Module) => void): this {
    for (const [, child] of this.namedChildren()) child.apply(fn);
    fn(this);
    return this;
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

  /**
   * Moves all parameters and buffers to `device`, with their gradients; the tensors stay the same objects, so optimizers
   * go on with them. Returns itself.
   * @throws DeviceError where the device is not there, with the reason.
   */
  to(device: Device): this {
    const code = deviceCode('to', device);
    activeRecorder()?.refuse('to: a compiled step stays on one device; move the module before it');
    for (const [, x] of this.named()) {
      moveInPlace(x, code);
      if (x.grad !== null) moveInPlace(x.grad, code);
      if (x.sparseGrad !== null) {
        moveInPlace(x.sparseGrad.indices, code);
        moveInPlace(x.sparseGrad.values, code);
      }
    }
    return this;
  }

  /** Drops every parameter's `grad`. */
  zeroGrad(): void {
    live(() => {
      for (const parameter of this.parameters()) {
        parameter.grad?.dispose();
        parameter.grad = null;
      }
    });
  }

  /** The parameters and buffers by name: the tensors themselves, not copies. */
  stateDict(): StateDict {
    return Object.fromEntries(this.named());
  }

  /**
   * Copies the values of `state` into this module's parameters and buffers. All is checked before anything is
   * written, so a failure changes nothing.
   * @throws ShapeError naming what is missing, unknown or of another shape.
   */
  loadStateDict(state: StateDict): void {
    const own = new Map<string, AnyTensor>(this.named());
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

  private *named(): Generator<[string, AnyTensor]> {
    yield* this.namedParameters();
    yield* this.namedBuffers();
  }

  /** Gives the memory of all parameters and buffers back. */
  dispose(): void {
    for (const parameter of this.parameters()) {
      parameter.grad?.dispose();
      parameter.dispose();
    }
    for (const [, buffer] of this.namedBuffers()) buffer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** @internal The number of the device of a module's first parameter, else of its first buffer, else the default one. */
export function deviceOfModule(module: Module): number {
  for (const [, x] of module.namedParameters()) return x._device;
  for (const [, x] of module.namedBuffers()) return x._device;
  return defaultDeviceCode();
}

/** Modules made of modules. */
import { add } from '../ops/binary';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Module } from './module';

function checkModules(op: string, modules: readonly unknown[]): void {
  modules.forEach((module, i) => {
    if (!(module instanceof Module)) throw new TypeError(`${op}: argument ${String(i)} is not a module`);
  });
}

/** Modules one after the other. Parameters are named by position: `0.weight`, as in PyTorch. */
export class Sequential extends Module {
  readonly layers: readonly Module[];

  constructor(...layers: readonly Module[]) {
    super();
    checkModules('sequential', layers);
    this.layers = layers;
  }

  override *namedChildren(): globalThis.Generator<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
  }

  override forward(x: AnyTensor): Tensor {
    let result = x as Tensor;
    for (const layer of this.layers) result = layer.forward(result);
    return result;
  }
}

/** A list of modules for a `forward` written by hand; has none of its own. Parameters are named by position. */
export class ModuleList extends Module {
  private readonly items: Module[];

  constructor(modules: Iterable<Module> = []) {
    super();
    this.items = [...modules];
    checkModules('moduleList', this.items);
  }

  get length(): number {
    return this.items.length;
  }

  /** The module at a position; negative ones count from the end. */
  at(position: number): Module {
    const module = this.items.at(position);
    if (module === undefined)
      throw new RangeError(`moduleList: position ${String(position)} of ${String(this.length)}`);
    return module;
  }

  /** Appends a module. Returns itself. */
  push(module: Module): this {
    checkModules('moduleList', [module]);
    this.items.push(module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<Module> {
    return this.items[Symbol.iterator]();
  }

  override *namedChildren(): globalThis.Generator<[string, Module]> {
    for (const [i, module] of this.items.entries()) yield [String(i), module];
  }

  override forward(): Tensor {
    throw new TypeError('moduleList: a list has no forward; call its modules, or use sequential');
  }
}

/** inner(x) + x, or inner(x) + shortcut(x) where the shapes differ (He et al., 2016). */
export class Residual extends Module {
  constructor(
    readonly inner: Module,
    readonly shortcut: Module | null = null,
  ) {
    super();
    checkModules('residual', shortcut === null ? [inner] : [inner, shortcut]);
  }

  override forward(x: AnyTensor): Tensor {
    const short = this.shortcut === null ? x : this.shortcut.forward(x);
    return add(this.inner.forward(x), short) as Tensor;
  }
}

/** A function as a module, for a place in {@link Sequential}. */
export class Lambda extends Module {
  constructor(private readonly fn: (x: Tensor) => Tensor) {
    super();
    if (typeof fn !== 'function') throw new TypeError('lambda: needs a function');
  }

  override forward(x: AnyTensor): Tensor {
    return this.fn(x as Tensor);
  }
}

/** {@link Sequential} */
export const sequential = (...layers: readonly Module[]): Sequential => new Sequential(...layers);
/** {@link ModuleList} */
export const moduleList = (modules?: Iterable<Module>): ModuleList => new ModuleList(modules);
/** {@link Residual} */
export const residual = (inner: Module, shortcut?: Module): Residual => new Residual(inner, shortcut);
/** {@link Lambda} */
export const lambda = (fn: (x: Tensor) => Tensor): Lambda => new Lambda(fn);

import { types } from 'node:util';
import { native } from '../native';
import type { GradNode } from '../autograd/node';
import type { AnyTensor } from './tensor';

/** What was made inside a {@link tidy} call. Tensors in a scope are held strongly until its end. */
export class Scope {
  private readonly tensors: AnyTensor[] = [];
  private readonly nodes: GradNode[] = [];

  constructor(readonly parent: Scope | null) {}

  add(tensor: AnyTensor): void {
    this.tensors.push(tensor);
  }

  addNode(node: GradNode): void {
    this.nodes.push(node);
  }

  /** Disposes all but the survivors, which move to the parent. */
  close(survivors: ReadonlySet<AnyTensor> | null): void {
    let recorded = false;
    for (const tensor of this.tensors) {
      if (tensor._disposed) continue;
      if (tensor._kept || survivors?.has(tensor)) {
        recorded ||= tensor._node !== null;
        hand(tensor, tensor._kept ? null : this.parent);
      } else {
        tensor.dispose();
      }
    }
    // A graph that no survivor reaches would hold what it saved until the garbage collector comes.
    for (const node of this.nodes) {
      if (!recorded) node.free();
      else this.parent?.addNode(node);
    }
  }
}

function hand(tensor: AnyTensor, scope: Scope | null): void {
  if (scope !== null) scope.add(tensor);
  else if (tensor._handle > 0) native.track(tensor._handle, tensor);
}

let current: Scope | null = null;

export function currentScope(): Scope | null {
  return current;
}

/**
 * Runs `fn` and disposes every tensor made inside it, but for those that it returns (alone or in
 * arrays, objects, maps and sets) and those given to {@link keep}. Scopes nest.
 *
 * A graph recorded inside is freed too, unless a returned tensor is part of one.
 * @throws TypeError if `fn` returns a promise: what it makes after its first `await` would escape.
 */
export function tidy<T>(fn: () => T): T {
  const scope = new Scope(current);
  current = scope;
  let survivors: Set<AnyTensor> | null = null;
  try {
    const result = fn();
    if (types.isPromise(result)) {
      result.catch(() => undefined);
      throw new TypeError('tidy: the function must not be async; dispose tensors yourself or use `using`');
    }
    if (typeof result === 'object' && result !== null) {
      survivors = new Set();
      collect(result, survivors, new Set());
    }
    return result;
  } finally {
    current = scope.parent;
    scope.close(survivors);
  }
}

function collect(value: unknown, into: Set<AnyTensor>, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if ('_handle' in value) {
    into.add(value as AnyTensor);
  } else if (types.isMap(value)) {
    for (const item of value.values()) collect(item, into, seen);
  } else if (Array.isArray(value) || types.isSet(value)) {
    for (const item of value as Iterable<unknown>) collect(item, into, seen);
  } else if (!ArrayBuffer.isView(value)) {
    for (const item of Object.values(value)) collect(item, into, seen);
  }
}

/** Exempts a tensor from every {@link tidy} scope it was made in. Returns it. */
export function keep<T extends AnyTensor>(tensor: T): T {
  tensor._kept = true;
  return tensor;
}

import { types } from 'node:util';
import { GradientError } from '../errors';
import { currentScope } from '../tensor/scope';
import type { AnyTensor, GradientHook, Tensor } from '../tensor/tensor';

/**
 * A gradient rule: from the gradient of the output to the gradients of the inputs, by ordinary
 * operations, so that the rule itself can be differentiated. `node.saved` is what the operation kept,
 * `node.needs[i]` whether input i's gradient is wanted; null stands for no gradient.
 */
export type Vjp = (grad: Tensor, node: GradNode) => readonly (Tensor | null)[];

/** Where an input's gradient goes: on to the operation that made it, or to a leaf. */
export type Edge = GradNode | AnyTensor | null;

const none: readonly number[] = [];

function versionOf(tensor: AnyTensor): number {
  return (tensor._base ?? tensor)._version;
}

let gradEnabled = true;
let nextSequence = 1;

/** One recorded operation: the tape is the graph of these. */
export class GradNode {
  /** Operations are numbered as they run, so a later one never feeds an earlier one. */
  readonly sequence = nextSequence++;
  readonly edges: readonly Edge[];
  readonly needs: readonly boolean[];
  /** The backward pass that visited this node last. */
  visited = 0;
  /** See {@link Tensor.registerHook}. */
  hooks: GradientHook[] | null = null;
  private kept: AnyTensor[] | null;
  /** The versions of what was saved, when it was saved. */
  private readonly versions: readonly number[];

  constructor(
    readonly name: string,
    inputs: readonly AnyTensor[],
    saved: readonly AnyTensor[],
    private readonly rule: Vjp,
  ) {
    const edges = new Array<Edge>(inputs.length);
    const needs = new Array<boolean>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      needs[i] = inputs[i]._requiresGrad;
      edges[i] = needs[i] ? (inputs[i]._node ?? inputs[i]) : null;
    }
    this.edges = edges;
    this.needs = needs;
    for (const tensor of saved) tensor._retain();
    this.kept = saved as AnyTensor[];
    this.versions = saved.length === 0 ? none : saved.map(versionOf);
    currentScope()?.addNode(this);
  }

  /** What the operation saved. A tensor that its user has disposed since stands here as a view of it. */
  get saved(): readonly AnyTensor[] {
    return this.requireSaved().map((tensor) => (tensor._disposed ? revive(tensor) : tensor));
  }

  /** @throws GradientError if what the operation saved was freed. */
  requireSaved(): readonly AnyTensor[] {
    if (this.kept === null) {
      throw new GradientError(
        `backward: the graph of ${this.name} was freed by an earlier backward; ` +
          'pass { retainGraph: true } to go through it again',
      );
    }
    for (let i = 0; i < this.kept.length; i++) {
      if (versionOf(this.kept[i]) !== this.versions[i]) this.changed(this.kept[i]);
    }
    return this.kept;
  }

  private changed(tensor: AnyTensor): never {
    throw new GradientError(
      `backward: a tensor of shape [${tensor.shape.join(',')}] that ${this.name} saved was changed in place since; ` +
        'change it after backward(), or give the operation a clone()',
    );
  }

  vjp(grad: Tensor): readonly (Tensor | null)[] {
    return this.rule(grad, this);
  }

  get isFreed(): boolean {
    return this.kept === null;
  }

  /** Drops what was saved. */
  free(): void {
    if (this.kept === null) return;
    for (const tensor of this.kept) tensor._release();
    this.kept = null;
  }
}

let reviveView: (tensor: AnyTensor) => AnyTensor;

/** lib/ops/views.ts says how to make a second tensor of the same memory and history. */
export function setRevive(view: (tensor: AnyTensor) => AnyTensor): void {
  reviveView = view;
}

function revive(tensor: AnyTensor): AnyTensor {
  const view = reviveView(tensor);
  view._requiresGrad = tensor._requiresGrad;
  view._node = tensor._node;
  return view;
}

/** Whether an operation on `inputs` is to be recorded. */
export function isRecording(a: AnyTensor, b?: AnyTensor, c?: AnyTensor): boolean {
  return (
    gradEnabled && (a._requiresGrad || (b !== undefined && b._requiresGrad) || (c !== undefined && c._requiresGrad))
  );
}

/** Makes `output` the result of a recorded operation. Call it only if {@link isRecording}. */
export function record(
  name: string,
  output: AnyTensor,
  inputs: readonly AnyTensor[],
  saved: readonly AnyTensor[],
  rule: Vjp,
): void {
  output._node = new GradNode(name, inputs, saved, rule);
  output._requiresGrad = true;
}

/** Whether operations are being recorded at all; see {@link noGrad}. */
export function isGradEnabled(): boolean {
  return gradEnabled;
}

/** Runs `fn` with recording switched on or off. `fn` must be synchronous. */
export function withGrad<T>(enabled: boolean, fn: () => T): T {
  const before = gradEnabled;
  gradEnabled = enabled;
  try {
    return fn();
  } finally {
    gradEnabled = before;
  }
}

/**
 * Runs `fn` without recording: for evaluation and for updates by hand. `fn` must be synchronous.
 * @throws TypeError if `fn` returns a promise.
 */
export function noGrad<T>(fn: () => T): T {
  return withGrad(false, () => {
    const result = fn();
    if (types.isPromise(result)) {
      result.catch(() => undefined);
      throw new TypeError('noGrad: the function must not be async');
    }
    return result;
  });
}

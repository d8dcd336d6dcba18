import { GradientError } from '../errors';
import { clone } from '../ops/copies';
import { add } from '../ops/elementwise';
import { ones, zeros } from '../tensor/creation';
import { activeRecorder } from '../tensor/recorder';
import { keep, tidy } from '../tensor/scope';
import { formatShape, sameShape } from '../tensor/shape';
import { isTensor, tensorHooks } from '../tensor/tensor';
import type { AnyTensor, BackwardOptions, GradientHook, Tensor } from '../tensor/tensor';
import { enterBackward } from './anomaly';
import { GradNode, withGrad } from './node';

/** Receives a finished gradient, or a part of a leaf's, which is the receiver's to own. */
type Deliver = (target: AnyTensor, grad: Tensor) => void;

let passes = 0;

/** What a pass is for: the tensors whose gradients are wanted, or null for all leaves. */
interface Goal {
  /** Wanted results of operations, by the node that made them. */
  readonly nodes: ReadonlyMap<GradNode, AnyTensor>;
  readonly leaves: ReadonlySet<AnyTensor>;
  /** Wanted tensors are independent: what they were computed from does not count. */
  readonly partial: boolean;
}

/** The operations that lead to `root`, the last one first; only those through which a wanted tensor is reached. */
function order(root: GradNode, goal: Goal | null): GradNode[] {
  const pass = ++passes;
  const nodes: GradNode[] = [root];
  root.visited = pass;
  for (let next = 0; next < nodes.length; next++) {
    if (goal !== null && goal.partial && goal.nodes.has(nodes[next])) continue;
    for (const edge of nodes[next].edges) {
      if (edge instanceof GradNode && edge.visited !== pass) {
        edge.visited = pass;
        nodes.push(edge);
      }
    }
  }
  nodes.sort((a, b) => b.sequence - a.sequence);
  return goal === null ? nodes : usefulOf(nodes, goal);
}

function usefulOf(nodes: readonly GradNode[], goal: Goal): GradNode[] {
  const useful = new Set<GradNode>();
  // From the inputs on, so that what a node leads to is known before the node.
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    const isWanted = (edge: GradNode['edges'][number]): boolean =>
      edge instanceof GradNode ? useful.has(edge) : edge !== null && goal.leaves.has(edge);
    const isEnd = goal.partial && goal.nodes.has(node);
    if (goal.nodes.has(node) || (!isEnd && node.edges.some(isWanted))) useful.add(node);
  }
  return nodes.filter((node) => useful.has(node));
}

function checkSeed(root: AnyTensor, seed: AnyTensor | undefined): void {
  if (!root._requiresGrad) {
    throw new GradientError(
      'backward: nothing was recorded for this tensor: no input has requiresGrad, or it was made in noGrad()',
    );
  }
  if (seed === undefined) {
    if (root.size === 1) return;
    throw new GradientError(
      `backward: a tensor of shape ${formatShape(root.shape)} needs { gradient }; only a scalar does not`,
    );
  }
  seed._check('backward');
  if (seed.dtype !== root.dtype || !sameShape(seed.shape, root.shape)) {
    throw new GradientError(
      `backward: the gradient is ${seed.dtype} ${formatShape(seed.shape)}, ` +
        `the tensor is ${root.dtype} ${formatShape(root.shape)}`,
    );
  }
}

/**
 * A pass over the graph. A gradient on its way is referenced once by the scope that made it and once
 * by each place it is going to; the last place to read it gives its memory back.
 */
class BackwardPass {
  /** Made by this pass, so that nobody else holds them. */
  private readonly temporary = new Set<Tensor>();
  private readonly waiting = new Map<AnyTensor, Tensor>();

  constructor(
    private readonly retainGraph: boolean,
    private readonly goal: Goal | null,
    private readonly deliver: Deliver,
  ) {}

  /** The sum so far of the gradient of each operation's result that is still to be visited. */
  private readonly pending = new Map<GradNode, Tensor>();
  private expected: ReadonlySet<GradNode> | null = null;

  run(root: AnyTensor, seed: Tensor): void {
    if (root._node === null) {
      seed._retain();
      this.give(root, seed);
      this.deliverWaiting();
      return;
    }
    const nodes = order(root._node, this.goal);
    const freed = nodes.find((node) => node.isFreed && !this.isEnd(node));
    freed?.requireSaved();
    if (nodes[0] !== root._node) return; // Nothing that is wanted lies behind it.
    if (this.goal !== null) this.expected = new Set(nodes);
    seed._retain();
    this.pending.set(root._node, seed);
    try {
      for (const node of nodes) this.visit(node);
      this.deliverWaiting();
    } finally {
      for (const grad of this.pending.values()) grad._release();
      this.pending.clear();
    }
  }

  /** Whether the pass goes no further than this node's result. */
  private isEnd(node: GradNode): boolean {
    return this.goal !== null && this.goal.partial && this.goal.nodes.has(node);
  }

  private visit(node: GradNode): void {
    const arrived = this.pending.get(node);
    if (arrived === undefined) return;
    const grad = node.hooks === null ? arrived : this.hooked(node.hooks, arrived);
    if (!this.isEnd(node)) this.passOn(node, grad);
    this.pending.delete(node);
    const target = this.goal?.nodes.get(node);
    if (target !== undefined) this.give(target, grad);
    else this.drop(grad);
    if (!this.retainGraph && !this.isEnd(node)) node.free();
  }

  private passOn(node: GradNode, grad: Tensor): void {
    const parts = ruleOf(node, grad);
    // Each place gets its reference before any of them can give one back.
    for (const part of parts) {
      if (part === null) continue;
      if (part !== grad && part._references === 1) this.temporary.add(part);
      part._retain();
    }
    parts.forEach((part, i) => {
      if (part !== null) this.send(node.edges[i], part);
    });
  }

  private send(edge: GradNode['edges'][number], part: Tensor): void {
    if (edge === null) this.drop(part);
    else if (!(edge instanceof GradNode)) this.give(edge, part);
    else if (this.expected !== null && !this.expected.has(edge)) this.drop(part);
    else {
      const before = this.pending.get(edge);
      if (before === undefined) {
        this.pending.set(edge, part);
        return;
      }
      const sum = add(before, part);
      sum._retain();
      this.temporary.add(sum);
      this.drop(before);
      this.drop(part);
      this.pending.set(edge, sum);
    }
  }

  /** A gradient after its hooks; the one it replaces is given up. */
  private hooked(hooks: readonly GradientHook[], grad: Tensor): Tensor {
    const after = applyHooks(hooks, grad);
    if (after === grad) return grad;
    after._retain();
    this.drop(grad);
    return after;
  }

  /** A leaf's gradient waits for all its parts where hooks are to see it. */
  private wait(leaf: AnyTensor, grad: Tensor): void {
    const before = this.waiting.get(leaf);
    this.waiting.set(leaf, before === undefined ? grad : add(before, grad));
  }

  private deliverWaiting(): void {
    for (const [leaf, grad] of this.waiting) this.deliver(leaf, clone(applyHooks(leaf._hooks ?? [], grad)));
    this.waiting.clear();
  }

  /** Hands a gradient over, copied where something else still holds it. */
  private give(target: AnyTensor, grad: Tensor): void {
    if (target._node === null && target._hooks !== null && target._hooks.length > 0) {
      this.wait(target, grad);
      return;
    }
    const isFree = this.temporary.has(grad) && grad._references === 2 && grad.isContiguous;
    if (isFree) {
      this.temporary.delete(grad);
      grad._release();
      this.deliver(target, grad);
    } else {
      this.deliver(target, clone(grad));
      this.drop(grad);
    }
  }

  /** Gives up one place's reference, and the tensor with the last of them. */
  private drop(grad: Tensor): void {
    grad._release();
    if (grad._references === 1 && this.temporary.delete(grad)) grad.dispose();
  }
}

function applyHooks(hooks: readonly GradientHook[], grad: Tensor): Tensor {
  return hooks.reduce((g, hook) => {
    const replaced = hook(g);
    if (replaced === undefined) return g;
    if (!isTensor(replaced) || !sameShape(replaced.shape, g.shape)) {
      throw new GradientError(`registerHook: a hook must return nothing or a tensor of shape ${formatShape(g.shape)}`);
    }
    return replaced;
  }, grad);
}

/** The gradients of a node's inputs, under its name for {@link detectAnomaly}. */
function ruleOf(node: GradNode, grad: Tensor): readonly (Tensor | null)[] {
  const before = enterBackward(node.name);
  try {
    return tidy(() => node.vjp(grad));
  } finally {
    enterBackward(before);
  }
}

/** {@link Tensor.backward}: accumulates into the leaves. */
export function backward(root: AnyTensor, options: BackwardOptions = {}): void {
  const createGraph = options.createGraph ?? false;
  checkSeed(root, options.gradient);
  withGrad(createGraph, () => {
    tidy(() => {
      const pass = new BackwardPass(options.retainGraph ?? createGraph, null, addToLeaf);
      pass.run(root, (options.gradient as Tensor | undefined) ?? ones(root.shape, { like: root }));
    });
  });
}

function addToLeaf(leaf: AnyTensor, grad: Tensor): void {
  const before = leaf.grad;
  activeRecorder()?.addToGrad(leaf);
  leaf.grad = keep(before === null ? grad : add(before, grad));
  if (before !== null) {
    before.dispose();
    grad.dispose();
  }
}

/** Options of {@link gradients}. */
export interface GradientsOptions extends BackwardOptions {
  /**
   * Take the inputs for independent: where one was computed from another, that does not count. Default false: the
   * whole derivative, as PyTorch's.
   */
  partial?: boolean;
}

/**
 * The gradients of `output` with respect to `inputs`, without touching any tensor's `grad`. An input
 * may be a leaf or the result of a recorded operation.
 * @returns one tensor per input, zeros where the output does not depend on it.
 * @throws GradientError as {@link Tensor.backward}, or for an input that does not require a gradient.
 */
export function gradients(output: AnyTensor, inputs: readonly AnyTensor[], options: GradientsOptions = {}): Tensor[] {
  output._check('gradients');
  checkSeed(output, options.gradient);
  inputs.forEach((input, i) => {
    input._check('gradients');
    if (!input._requiresGrad) {
      throw new GradientError(`gradients: input ${String(i)} does not require a gradient`);
    }
  });
  const createGraph = options.createGraph ?? false;
  const nodes = new Map<GradNode, AnyTensor>();
  for (const input of inputs) if (input._node !== null) nodes.set(input._node, input);
  const leaves = new Set(inputs.filter((input) => input._node === null));
  const goal: Goal = { nodes, leaves, partial: options.partial ?? false };
  return withGrad(createGraph, () =>
    tidy(() => {
      const found = new Map<AnyTensor | GradNode, Tensor>();
      const collect: Deliver = (target, grad) => {
        const key = target._node ?? target;
        const before = found.get(key);
        if (target._node !== null || leaves.has(target)) {
          found.set(key, before === undefined ? grad : add(before, grad));
        }
      };
      const pass = new BackwardPass(options.retainGraph ?? createGraph, goal, collect);
      pass.run(output, (options.gradient as Tensor | undefined) ?? ones(output.shape, { like: output }));
      return inputs.map((input) => found.get(input._node ?? input) ?? zeros(input.shape, { like: input }));
    }),
  );
}

tensorHooks.backward = backward;

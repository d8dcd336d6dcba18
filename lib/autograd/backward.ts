import { GradientError } from '../errors';
import { clone } from '../ops/copies';
import { add } from '../ops/elementwise';
import { ones, zeros } from '../tensor/creation';
import { keep, tidy } from '../tensor/scope';
import { formatShape, sameShape } from '../tensor/shape';
import { isTensor, tensorHooks } from '../tensor/tensor';
import type { AnyTensor, BackwardOptions, GradientHook, Tensor } from '../tensor/tensor';
import { enterBackward } from './anomaly';
import { GradNode, withGrad } from './node';

/** Receives a finished gradient, or a part of a leaf's, which is the receiver's to own. */
type Deliver = (target: AnyTensor, grad: Tensor) => void;

let passes = 0;

/** The operations that lead to `root`, the last one first. */
function order(root: GradNode): GradNode[] {
  const pass = ++passes;
  const nodes: GradNode[] = [root];
  root.visited = pass;
  for (let next = 0; next < nodes.length; next++) {
    for (const edge of nodes[next].edges) {
      if (edge instanceof GradNode && edge.visited !== pass) {
        edge.visited = pass;
        nodes.push(edge);
      }
    }
  }
  return nodes.sort((a, b) => b.sequence - a.sequence);
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
    private readonly captures: ReadonlyMap<GradNode, AnyTensor>,
    private readonly deliver: Deliver,
  ) {}

  run(root: AnyTensor, seed: Tensor): void {
    if (root._node === null) {
      seed._retain();
      this.give(root, seed);
      this.deliverWaiting();
      return;
    }
    const nodes = order(root._node);
    const freed = nodes.find((node) => node.isFreed);
    freed?.requireSaved();
    seed._retain();
    root._node.pending = seed;
    try {
      for (const node of nodes) this.visit(node);
      this.deliverWaiting();
    } finally {
      for (const node of nodes) {
        node.pending?._release();
        node.pending = null;
      }
    }
  }

  private visit(node: GradNode): void {
    if (node.pending === null) return;
    const grad = node.hooks === null ? node.pending : this.hooked(node.hooks, node.pending);
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
    node.pending = null;
    const target = this.captures.get(node);
    if (target !== undefined) this.give(target, grad);
    else this.drop(grad);
    if (!this.retainGraph) node.free();
  }

  private send(edge: GradNode['edges'][number], part: Tensor): void {
    if (edge === null) this.drop(part);
    else if (!(edge instanceof GradNode)) this.give(edge, part);
    else if (edge.pending === null) edge.pending = part;
    else {
      const sum = add(edge.pending, part);
      sum._retain();
      this.temporary.add(sum);
      this.drop(edge.pending);
      this.drop(part);
      edge.pending = sum;
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

const noCaptures: ReadonlyMap<GradNode, AnyTensor> = new Map();

/** {@link Tensor.backward}: accumulates into the leaves. */
export function backward(root: AnyTensor, options: BackwardOptions = {}): void {
  const createGraph = options.createGraph ?? false;
  checkSeed(root, options.gradient);
  withGrad(createGraph, () => {
    tidy(() => {
      const pass = new BackwardPass(options.retainGraph ?? createGraph, noCaptures, addToLeaf);
      pass.run(root, (options.gradient as Tensor | undefined) ?? (ones(root.shape, { dtype: root.dtype }) as Tensor));
    });
  });
}

function addToLeaf(leaf: AnyTensor, grad: Tensor): void {
  const before = leaf.grad;
  leaf.grad = keep(before === null ? grad : add(before, grad));
  if (before !== null) {
    before.dispose();
    grad.dispose();
  }
}

/** Options of {@link gradients}. */
export type GradientsOptions = BackwardOptions;

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
  const captures = new Map<GradNode, AnyTensor>();
  for (const input of inputs) if (input._node !== null) captures.set(input._node, input);
  return withGrad(createGraph, () =>
    tidy(() => {
      const found = new Map<AnyTensor | GradNode, Tensor>();
      const wanted = new Set<AnyTensor>(inputs);
      const collect: Deliver = (target, grad) => {
        const key = target._node ?? target;
        const before = found.get(key);
        if (target._node !== null || wanted.has(target)) {
          found.set(key, before === undefined ? grad : add(before, grad));
        }
      };
      const pass = new BackwardPass(options.retainGraph ?? createGraph, captures, collect);
      pass.run(
        output,
        (options.gradient as Tensor | undefined) ?? (ones(output.shape, { dtype: output.dtype }) as Tensor),
      );
      return inputs.map(
        (input) => found.get(input._node ?? input) ?? (zeros(input.shape, { dtype: input.dtype }) as Tensor),
      );
    }),
  );
}

tensorHooks.backward = backward;

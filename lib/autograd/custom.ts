/** Operations with a gradient rule of the user's own, and memory for time. */
import { activeRecorder, apart } from '../tensor/recorder';
import { currentGenerator, withGenerator } from '../tensor/generator';
import { tidy } from '../tensor/scope';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { describe } from '../tensor/shape';
import { gradients } from './backward';
import { variable } from './functional';
import { recordMany } from './many';
import { GradNode, isGradEnabled, withGrad } from './node';

/** What a custom function carries from its forward to its backward. */
export interface FunctionContext {
  /** Keeps tensors for the backward pass. Call it in `forward`. */
  save(...tensors: readonly AnyTensor[]): void;
  /** What was saved. */
  readonly saved: readonly Tensor[];
  /** Whether each input's gradient is wanted. */
  readonly needs: readonly boolean[];
}

/** A function and its gradient rule. */
export interface CustomFunction<A extends readonly AnyTensor[]> {
  /** The result; nothing in here is recorded. */
  forward: (context: FunctionContext, ...inputs: A) => Tensor;
  /**
   * From the gradient of the result to those of the inputs; null for none. Made of differentiable operations it can be
   * differentiated again.
   */
  backward: (context: FunctionContext, grad: Tensor) => readonly (Tensor | null)[];
}

/**
 * Makes an operation of a forward and a backward function, as PyTorch's autograd.Function.
 * @param name for messages
 * @throws TypeError if `forward` gives no tensor or `backward` not one gradient (or null) for each input.
 * @example const cube = customFunction('cube', {
 *   forward: (context, x: Tensor) => { context.save(x); return x.mul(x).mul(x); },
 *   backward: (context, grad) => [grad.mul(context.saved[0].square()).mul(3)],
 * });
 */
export function customFunction<A extends readonly AnyTensor[]>(
  name: string,
  { forward, backward }: CustomFunction<A>,
): (...inputs: A) => Tensor {
  return (...inputs) => {
    const kept: AnyTensor[] = [];
    const needs = inputs.map((x) => isTensor(x) && x.requiresGrad);
    const save = (...tensors: readonly AnyTensor[]): void => void kept.push(...tensors);
    const given = withGrad(false, () => forward({ save, saved: [], needs }, ...inputs));
    if (!isTensor(given)) throw new TypeError(`${name}: forward must give a tensor, got ${describe(given)}`);
    if (!isGradEnabled() || !needs.includes(true)) return given;
    // An input handed through would otherwise become its own successor.
    const out = inputs.includes(given) ? given.detach() : given;
    recordMany(name, [out], inputs, kept, ([grad], node) => {
      const grads = backward({ save, saved: node.saved as Tensor[], needs }, grad);
      if (!Array.isArray(grads) || grads.length !== inputs.length) {
        throw new TypeError(
          `${name}: backward must give one gradient or null for each of the ${String(inputs.length)} inputs`,
        );
      }
      return grads as readonly (Tensor | null)[];
    });
    return out;
  };
}

/** The leaves that a graph starts from. */
function leavesOf(root: AnyTensor): AnyTensor[] {
  const leaves = new Set<AnyTensor>();
  const seen = new Set<GradNode>();
  const rest = root._node === null ? [] : [root._node];
  for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
    for (const edge of node.edges) {
      if (edge instanceof GradNode) {
        if (!seen.has(edge)) rest.push(edge);
        seen.add(edge);
      } else if (edge !== null) leaves.add(edge);
    }
  }
  return [...leaves];
}

function copyOf(x: AnyTensor): AnyTensor {
  const copy = x.detach();
  if (x.requiresGrad) copy.requiresGrad = true;
  return copy;
}

/**
 * `fn(...inputs)` whose intermediate results are dropped and computed again in the backward pass (Chen et al., 2016).
 * Parameters that `fn` uses get their gradients too; random numbers are drawn alike both times.
 * @param fn gives one tensor; must do the same when called again
 */
export function checkpoint<A extends readonly AnyTensor[]>(fn: (...inputs: A) => Tensor, ...inputs: A): Tensor {
  if (!isGradEnabled()) return fn(...inputs);
  const start = currentGenerator().snapshot();
  const found: { leaves: AnyTensor[] } = { leaves: [] };
  const out = tidy(() => {
    const copies = inputs.map(copyOf);
    const result = apart(() => fn(...(copies as unknown as A)));
    if (!isTensor(result)) throw new TypeError(`checkpoint: the function must give a tensor, got ${describe(result)}`);
    found.leaves = leavesOf(result).filter((leaf) => !copies.includes(leaf));
    return result.detach();
  });
  if (!start.isAt(currentGenerator())) {
    activeRecorder()?.refuse(
      'checkpoint: the function draws random numbers, which would differ when it is computed again',
    );
  }
  const variables = [...inputs.filter((x) => x.requiresGrad), ...found.leaves];
  if (variables.length === 0) return out;
  recordMany('checkpoint', [out], variables, inputs, ([grad], node) => {
    const createGraph = isGradEnabled();
    const saved = node.saved;
    return withGrad(true, () =>
      withGenerator(start.snapshot(), () => {
        const copies = saved.map((x, i) =>
          !inputs[i].requiresGrad ? x : createGraph ? variable('checkpoint', x) : withGradient(x),
        );
        const again = apart(() => fn(...(copies as unknown as A)));
        const wanted = [...copies.filter((_, i) => inputs[i].requiresGrad), ...found.leaves];
        return gradients(again, wanted, { gradient: grad, createGraph, partial: true });
      }),
    );
  });
  return out;
}

function withGradient(x: AnyTensor): AnyTensor {
  const leaf = x.detach();
  leaf.requiresGrad = true;
  return leaf;
}

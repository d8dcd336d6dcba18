/** Operations with several results that share one gradient rule. */
import { zeros } from '../tensor/creation';
import { expand } from '../ops/views';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { record, type GradNode } from './node';

/** From the gradients of all outputs to those of the inputs; a broadcast 0 stands for an output nobody used. */
export type ManyVjp = (grads: readonly Tensor[], node: GradNode) => readonly (Tensor | null)[];

function nothing(like: AnyTensor): Tensor {
  return expand(zeros([], { like }), like.shape);
}

/**
 * Makes `outputs` the results of one recorded operation. The first carries the rule; each other one is a node of its
 * own that the backward pass reaches earlier, leaves its gradient with the first, and sends it on with a gradient of 0.
 */
export function recordMany(
  name: string,
  outputs: readonly AnyTensor[],
  inputs: readonly AnyTensor[],
  saved: readonly AnyTensor[],
  rule: ManyVjp,
): void {
  const [first, ...others] = outputs;
  const waiting = new Array<Tensor | null>(others.length).fill(null);
  record(name, first, inputs, saved, (grad, node) => {
    const arrived = [...waiting];
    waiting.fill(null);
    try {
      return rule([grad, ...others.map((out, i) => arrived[i] ?? nothing(out))], node);
    } finally {
      for (const part of arrived) part?._release();
    }
  });
  others.forEach((out, i) => {
    record(name, out, [first], [], (grad) => {
      waiting[i]?._release();
      grad._retain();
      waiting[i] = grad;
      return [nothing(first)];
    });
  });
}

import type { OpName } from '../../ops/table';
import type { Graph, Operation } from '../ir';

const random = new Set<OpName>(['randomUniform', 'randomNormal', 'randomBernoulli']);

/** Whether an operation gives the same each time it is done with the same inputs, and does nothing else. */
export function isPure({ name, outputs, writes, live }: Operation): boolean {
  return outputs.length > 0 && writes.length === 0 && live === null && !random.has(name);
}

/** The memory that is written in place: what is in it is not always what an operation has made. */
export function overwrittenIn({ operations }: Graph): Set<object> {
  return new Set(operations.flatMap(({ writes }) => writes.map(({ memory }) => memory)));
}

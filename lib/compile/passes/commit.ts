import { TraceError } from '../../errors';
import { newValue, type Graph, type Operation, type Value } from '../ir';
import { hasEffect } from './deadCode';

/**
 * Moves the updates of memory from outside (parameters, the optimizer's state, running averages) to the end, so that a
 * step which fails has changed nothing: all that can fail comes before.
 *
 * Where the step goes on to read what it has updated, the update goes to a copy, and the copy is put in place at the end.
 */
export function commitLast(graph: Graph): Graph {
  const shadowed = findShadowed(graph.operations);
  const { operations, shadows } = withShadows(graph.operations, shadowed);
  const copies = [...shadows].map(([target, shadow]): Operation => ({
    ...plain('assign', [target, shadow]),
    writes: [target],
  }));
  const outputs = graph.outputs.map((value) => redirect(value, shadows));
  return {
    ...graph,
    outputs,
    operations: [
      ...operations.filter((operation) => !hasEffect(operation)),
      ...operations.filter(hasEffect),
      ...copies,
    ],
  };
}

function plain(name: 'assign' | 'copy', inputs: readonly Value[]): Operation {
  return { name, inputs, outputs: [], ints: [], floats: [], writes: [], live: null, origin: null };
}

/** What an update that is to wait has read and written. */
interface Waiting {
  readonly reads: ReadonlySet<object>;
  readonly writes: ReadonlySet<object>;
}

const memoriesOf = (values: readonly Value[]): Set<object> => new Set(values.map(({ memory }) => memory));

/** The memory from outside whose updates cannot wait until the end. */
function findShadowed(operations: readonly Operation[]): Set<object> {
  const shadowed = new Set<object>();
  // An update that cannot wait may read what another one has updated, which then cannot wait either.
  for (let before = -1; shadowed.size > before;) {
    before = shadowed.size;
    const waiting: Waiting[] = [];
    for (const operation of operations) {
      if (waits(operation, shadowed)) {
        waiting.push({ reads: memoriesOf(operation.inputs), writes: memoriesOf(operation.writes) });
        continue;
      }
      for (const { reads, writes } of waiting) {
        const clashes =
          operation.inputs.some(({ memory }) => writes.has(memory)) ||
          operation.writes.some(({ memory }) => reads.has(memory));
        if (clashes) for (const memory of writes) shadowed.add(memory);
      }
    }
  }
  return shadowed;
}

/** Whether an operation updates memory from outside at the end of the step. */
function waits(operation: Operation, shadowed: ReadonlySet<object>): boolean {
  return hasEffect(operation) && !operation.writes.some(({ memory }) => shadowed.has(memory));
}

type Shadows = Map<Value, Value>;

function withShadows(
  operations: readonly Operation[],
  shadowed: ReadonlySet<object>,
): { operations: Operation[]; shadows: Shadows } {
  const shadows: Shadows = new Map();
  const result: Operation[] = [];
  for (const operation of operations) {
    for (const value of operation.writes) {
      if (!shadowed.has(value.memory) || shadows.has(value.root)) continue;
      if (value.root.memory !== value.root.tensor || !value.root.isContiguous) {
        throw new TraceError(
          `${operation.name}: a view of a parameter is updated in the middle of the step (at ${operation.origin?.line ?? '?'})`,
        );
      }
      const shadow = newValue('result', value.dtype, value.root.shape);
      result.push({ ...plain('copy', [value.root]), outputs: [shadow] });
      shadows.set(value.root, shadow);
    }
    result.push({
      ...operation,
      inputs: operation.inputs.map((value) => redirect(value, shadows)),
      writes: operation.writes.map((value) => redirect(value, shadows)),
    });
  }
  return { operations: result, shadows };
}

/** A value of shadowed memory as one of the shadow. */
function redirect(value: Value, shadows: Shadows): Value {
  const shadow = shadows.get(value.root);
  if (shadow === undefined) return value;
  if (value === value.root) return shadow;
  return { ...value, kind: 'result', root: shadow, memory: shadow, tensor: null };
}

import type { Graph, Operation, Value } from '../ir';

/** Whether an operation changes memory from outside of the step. */
export function hasEffect(operation: Operation): boolean {
  return operation.writes.some(({ kind }) => kind === 'captured');
}

/** Drops operations whose results nothing needs: not an output, nor an update of memory from outside. */
export function removeDeadCode(graph: Graph): Graph {
  const needed = new Set<object>(graph.outputs.map(({ memory }) => memory));
  const kept: Operation[] = [];
  const isNeeded = ({ memory }: Value): boolean => needed.has(memory);
  for (const operation of [...graph.operations].reverse()) {
    if (!hasEffect(operation) && !operation.outputs.some(isNeeded) && !operation.writes.some(isNeeded)) continue;
    for (const { memory } of operation.inputs) needed.add(memory);
    kept.push(operation);
  }
  return { ...graph, operations: kept.reverse() };
}

import { sameShape } from '../../tensor/shape';
import type { Graph, Operation, Value } from '../ir';
import { Origin } from '../where';
import { Units } from './chains';

/**
 * What follows a fully connected layer and only needs its result, the sum with a residual and a ReLU, is done where
 * the layer's result is still in registers. The sums are added in the same order: results stay the same to the bit.
 */
export function foldEpilogues(graph: Graph): Graph {
  const uses = usesOf(graph);
  const units = new Units(graph, [], new Map());
  const makers = new Map<Value, Operation>();
  const gone = new Set<Operation>();
  const operations = graph.operations.map((operation, at) => {
    const found = fold(operation, makers, uses);
    // What the layer reads may have been overwritten since.
    const isFolded = found !== null && units.canRunAt(found.layer, at);
    if (isFolded) gone.add(found.layer);
    const folded = isFolded ? found.folded : operation;
    for (const value of folded.outputs) makers.set(value, folded);
    return folded;
  });
  return { ...graph, operations: operations.filter((operation) => !gone.has(operation)) };
}

/** How often the memory of a value is read; what the step returns counts as read once more. */
function usesOf({ operations, outputs }: Graph): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>();
  const note = ({ root }: Value): unknown => uses.set(root, (uses.get(root) ?? 0) + 1);
  for (const { inputs } of operations) inputs.forEach(note);
  outputs.forEach(note);
  return uses;
}

/** A layer, and the one that does the operation after it as well. */
interface Fold {
  readonly layer: Operation;
  readonly folded: Operation;
}

function fold(
  operation: Operation,
  makers: ReadonlyMap<Value, Operation>,
  uses: ReadonlyMap<Value, number>,
): Fold | null {
  for (const value of operation.inputs) {
    const layer = makers.get(value.root);
    if (layer === undefined || uses.get(value.root) !== 1 || !isWhole(value)) continue;
    const folded = together(layer, operation, value);
    if (folded !== null) return { layer, folded };
  }
  return null;
}

/** Whether a value shows all of its root's elements in their order. */
function isWhole({ root, isContiguous, offset, shape }: Value): boolean {
  return isContiguous && offset === 0 && sameShape(shape, root.shape);
}

function together(layer: Operation, operation: Operation, value: Value): Operation | null {
  if (layer.name !== 'linear' && layer.name !== 'linearEpilogue') return null;
  const [hasResidual, hasRelu] = layer.name === 'linear' ? [0, 0] : layer.ints;
  if (hasRelu === 1 || value.dtype !== 'float32') return null;
  const [output] = operation.outputs;
  const origin = new Origin(`${layer.name === 'linear' ? '' : 'add '}${operation.name}`, operation.origin);
  const made = { ...layer, name: 'linearEpilogue', outputs: operation.outputs, origin } as const;
  if (operation.name === 'relu') return { ...made, ints: [hasResidual, 1] };
  if (operation.name !== 'add' || hasResidual === 1 || !sameShape(output.shape, value.shape)) return null;
  const [residual] = operation.inputs.filter((other) => other !== value);
  if (!sameShape(residual.shape, value.shape)) return null;
  return { ...made, inputs: [...layer.inputs, residual], ints: [1, 0] };
}

import { runMany } from '../../ops/run';
import { stridedView } from '../../ops/views';
import { cpu } from '../../tensor/device';
import { withRecorder } from '../../tensor/recorder';
import { keep, tidy } from '../../tensor/scope';
import type { AnyTensor } from '../../tensor/tensor';
import { bytesOf, newValue, type Graph, type Operation, type Value } from '../ir';
import { isPure, overwrittenIn } from './pure';

/** Larger results are computed in each run: to keep them would cost more memory than time. */
const mostBytes = 1 << 18;

/** Operations on nothing but constants (an attention mask, say) are run once, when the step is compiled. */
export function foldConstants(graph: Graph, device = cpu): Graph {
  const folded = new Map<Value, Value>();
  // What the caller gets is made in each run, and so is what is overwritten later.
  const made = new Set<object>([...graph.outputs.map(({ memory }) => memory), ...overwrittenIn(graph)]);
  const operations = graph.operations.flatMap((operation): Operation[] => {
    const inputs = operation.inputs.map((value) => viewOfFolded(value, folded));
    const isMade = operation.outputs.some(({ memory }) => made.has(memory));
    if (isMade || !canFold(operation, inputs, folded)) return [{ ...operation, inputs }];
    const tensors = evaluate(operation, inputs, device);
    operation.outputs.forEach((value, i) => {
      folded.set(value, newValue('captured', value.dtype, value.shape, undefined, true, tensors[i]));
    });
    return [];
  });
  return { ...graph, operations };
}

/** What stands for a value: the constant that it, or the memory that it shows, has become. */
function viewOfFolded(value: Value, folded: ReadonlyMap<Value, Value>): Value {
  const root = folded.get(value.root);
  if (root === undefined) return value;
  return value === value.root ? root : { ...value, kind: 'captured', root, memory: root.memory, tensor: root.tensor };
}

function canFold(operation: Operation, inputs: readonly Value[], folded: ReadonlyMap<Value, Value>): boolean {
  const { name, outputs } = operation;
  if (!isPure(operation) || outputs.some((value) => bytesOf(value) > mostBytes)) return false;
  // A single number is best left to the operations that take it.
  if (name === 'full') return outputs[0].shape.some((extent) => extent > 1);
  const constants = new Set(folded.values());
  return inputs.every(({ root }) => constants.has(root));
}

function evaluate(
  { name, outputs, ints, floats }: Operation,
  inputs: readonly Value[],
  device: number,
): readonly AnyTensor[] {
  return withRecorder(null, () =>
    tidy(() => {
      const operands = inputs.map((value) =>
        value === value.root
          ? (value.tensor as AnyTensor)
          : stridedView(value.root.tensor as AnyTensor, value.shape, value.strides, value.offset),
      );
      const results = runMany(
        name,
        operands,
        outputs.map(({ shape, dtype }) => [shape, dtype] as const),
        ints,
        floats,
        device,
      );
      return results.map(keep);
    }),
  );
}

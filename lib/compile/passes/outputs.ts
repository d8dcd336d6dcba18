import { newValue, type Graph, type Operation, type Value } from '../ir';

/**
 * Gives each output a value of its own that an operation makes whole, which can be written straight to the caller's
 * tensor: where the output is an argument, a parameter, a view, updated in place or there already, it is copied.
 */
export function separateOutputs(graph: Graph): Graph {
  const operations = [...graph.operations];
  const taken = new Set<Value>();
  const outputs = graph.outputs.map((value) => {
    if (value.kind === 'result' && value.root === value && !taken.has(value)) {
      taken.add(value);
      return value;
    }
    const copy = newValue('result', value.dtype, value.shape);
    // Before the updates, which come last: the caller gets what was there when the step returned it.
    const operation: Operation = {
      name: 'copy',
      inputs: [value],
      outputs: [copy],
      ints: [],
      floats: [],
      writes: [],
      live: null,
      origin: null,
    };
    operations.push(operation);
    return copy;
  });
  return { ...graph, operations, outputs };
}

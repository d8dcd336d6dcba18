/** A program as text, for people. */
import { formatShape } from '../tensor/shape';
import type { Value } from './ir';
import type { Program } from './program';

function bytes(count: number): string {
  if (count < 1024) return `${String(count)} B`;
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

/** Operations with their operands and places in memory, and what the plan saves. */
export function explain(program: Program): string {
  const { graph, plan } = program;
  const names = new Map<Value, string>();
  const counts = { input: 0, captured: 0, result: 0 };
  const letter = { input: 'x', captured: 'p', result: 'v' } as const;
  const nameOf = (value: Value): string => {
    const { root } = value;
    let name = names.get(root);
    if (name === undefined) {
      name = `${letter[root.kind]}${String(counts[root.kind]++)}`;
      names.set(root, name);
    }
    return value === root ? name : `${name}.view${formatShape(value.shape)}`;
  };
  const placeOf = ({ root }: Value): string => {
    const place = plan.places.get(root);
    if (place === undefined) return '';
    return 'arena' in place ? ` @${String(place.arena)}` : ' @caller';
  };
  const inputs = graph.inputs.map((value) => `${nameOf(value)}: ${value.dtype} ${formatShape(value.shape)}`);
  const timeOf = (i: number): string => {
    if (program.seconds === null || program.runs === 0) return '';
    return `${((1e6 * program.seconds[i]) / program.runs).toFixed(1).padStart(9)} µs`;
  };
  const lines = graph.operations.map(({ name, inputs: operands, outputs, writes, live, origin }, i) => {
    const made = outputs.map((value) => `${nameOf(value)} ${formatShape(value.shape)}${placeOf(value)}`).join(', ');
    const target = made === '' ? `update ${writes.map(nameOf).join(', ')}` : made;
    const line = origin?.line ?? '';
    const where = line === '' ? '' : `  # ${line}`;
    return `${timeOf(i)}  ${target} = ${name}(${operands.map(nameOf).join(', ')})${live === null ? '' : ' live'}${where}`;
  });
  return [
    `inputs ${inputs.join(', ')}`,
    ...lines,
    `outputs ${graph.outputs.map(nameOf).join(', ')}`,
    `${String(graph.operations.length)} operations, ${String(graph.merged ?? 0)} more merged; buffers ${bytes(plan.arenaBytes)}, ` +
      `${bytes(plan.unplannedBytes)} without sharing`,
  ].join('\n');
}

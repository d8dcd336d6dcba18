import { newValue, type Operation, type Value } from '../ir';
import type { Unit, Units } from './chains';

/** The limits of native/cpu/fused_loop.h. */
export const most = { operands: 8, constants: 16, instructions: 32, results: 4, slots: 12 };
/** A value is computed again by at most so many operations. */
const mostCloned = 8;

/**
 * Where all that reads a result of a chain are chains too, and can get it from what they read anyway or from as many
 * operands, each computes it again: arithmetic on what is at hand costs less than a way through memory. An activation's
 * inner values, which its gradient needs, are the case in point.
 */
export function rematerialize(units: Units): void {
  for (const unit of units.all) {
    if (!unit.isChain) continue;
    // The last first: what it is made of may then be needed by nobody else.
    for (const value of [...units.interfaceOf(unit).results].reverse()) tryValue(units, unit, value);
    units.change(unit, withoutDead(units, unit));
  }
}

function tryValue(units: Units, maker: Unit, value: Value): void {
  const readers = units.readersOf(value, maker);
  if (readers === null || readers.length === 0) return;
  const needed = chainTo(maker.operations, value);
  if (needed.length > mostCloned) return;
  const changed: [Unit, Operation[]][] = [];
  for (const reader of readers) {
    const operations = reader.isChain ? withClones(units, reader, needed, value) : null;
    if (operations === null) return;
    changed.push([reader, operations]);
  }
  for (const [reader, operations] of changed) units.change(reader, operations);
}

/** The operations that lead to a value, in order. */
function chainTo(operations: readonly Operation[], value: Value): Operation[] {
  const wanted = new Set([value]);
  const needed: Operation[] = [];
  for (const operation of [...operations].reverse()) {
    if (!wanted.has(operation.outputs[0])) continue;
    for (const input of operation.inputs) wanted.add(input);
    needed.push(operation);
  }
  return needed.reverse();
}

/** A reader's operations with its own computation of `value` in front; null where that does not pay. */
function withClones(units: Units, reader: Unit, needed: readonly Operation[], value: Value): Operation[] | null {
  const readsView = reader.operations.some(({ inputs }) => inputs.some((x) => x.root === value && x !== value));
  if (readsView || !needed.every((operation) => units.canRunAt(operation, reader.at))) return null;
  const clones = new Map<Value, Value>();
  const renamed = ({ inputs, outputs, ...rest }: Operation): Operation => ({
    ...rest,
    inputs: inputs.map((input) => clones.get(input) ?? input),
    outputs,
  });
  const front = needed.map((operation) => {
    const clone = renamed(operation);
    const [{ dtype, shape }] = operation.outputs;
    clones.set(operation.outputs[0], newValue('result', dtype, shape));
    return { ...clone, outputs: [clones.get(operation.outputs[0]) as Value] };
  });
  const before = units.interfaceOf(reader);
  const operations = merged([...front, ...reader.operations.map(renamed)], new Set(before.results));
  const after = units.interfaceOf({ ...reader, operations });
  const pays = after.operands.length <= before.operands.length;
  const fits = operations.length <= most.instructions && after.numbers.length <= most.constants;
  return pays && fits ? operations : null;
}

/** The same without what is computed twice; a result that others read stays. */
function merged(operations: readonly Operation[], results: ReadonlySet<Value>): Operation[] {
  const same = new Map<Value, Value>();
  const kept: Operation[] = [];
  for (const operation of operations) {
    const inputs = operation.inputs.map((input) => same.get(input) ?? input);
    const twin = kept.find(
      (other) => other.name === operation.name && other.inputs.every((input, i) => input === inputs[i]),
    );
    if (twin === undefined || results.has(operation.outputs[0])) kept.push({ ...operation, inputs });
    else same.set(operation.outputs[0], twin.outputs[0]);
  }
  return kept;
}

/** The operations of a chain that lead to its results. */
function withoutDead(units: Units, unit: Unit): Operation[] {
  const wanted = new Set<Value>(units.interfaceOf(unit).results);
  const kept: Operation[] = [];
  for (const operation of [...unit.operations].reverse()) {
    if (!wanted.has(operation.outputs[0])) continue;
    for (const input of operation.inputs) wanted.add(input);
    kept.push(operation);
  }
  return kept.reverse();
}

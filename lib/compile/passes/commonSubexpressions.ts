import { opTable } from '../../ops/table';
import { bytesOf, type Graph, type Operation, type Value } from '../ir';
import { isPure, overwrittenIn } from './pure';

/** Results up to this size are kept for later whatever they cost. */
const mostKept = 1 << 16;
/** Of operations that take one way through memory. */
const cheapKinds = new Set(['create', 'unary', 'cast', 'test', 'binary', 'compare', 'where']);

/**
 * Operations that do what one before them has done are left out; the results of the first stand for theirs. The two are
 * of one name, with the same attributes and inputs, which nothing has overwritten in between. What a `checkpoint`
 * computes again stays: not to keep the first results is what it is for. So does what is large, easily computed and no
 * longer needed where it is computed again: memory that is taken for so long costs more.
 *
 * This goes before chains are made: they compute again, each for itself, what costs less than to keep it.
 */
export function mergeCommon(graph: Graph): Graph {
  const merging = new Merging(graph);
  const operations = graph.operations.flatMap((operation, at) => merging.take(operation, at));
  return { ...graph, operations, merged: graph.operations.length - operations.length };
}

class Merging {
  /** What operations have given, by what they do and read. */
  private readonly known = new Map<string, readonly Value[]>();
  private readonly standIns = new Map<Value, Value>();
  /** How often memory has been overwritten so far. */
  private readonly versions = new Map<object, number>();
  private readonly numbers = new Map<Value, number>();
  private readonly lastReads = new Map<Value, number>();
  private readonly overwritten: ReadonlySet<object>;
  /** Each is a tensor of the caller's. */
  private readonly outputs: ReadonlySet<Value>;

  constructor(graph: Graph) {
    this.overwritten = overwrittenIn(graph);
    this.outputs = new Set(graph.outputs);
    graph.operations.forEach(({ inputs }, at) => {
      for (const { root } of inputs) this.lastReads.set(root, at);
    });
  }

  /** The operation, or none where another stands for it. */
  take(operation: Operation, at: number): Operation[] {
    const kept = { ...operation, inputs: operation.inputs.map((value) => this.standIn(value)) };
    for (const { memory } of operation.writes) this.versions.set(memory, this.versionOf(memory) + 1);
    if (!isPure(operation) || operation.outputs.some(({ memory }) => this.overwritten.has(memory))) return [kept];
    const key = this.keyOf(kept);
    const first = this.known.get(key);
    if (first === undefined || !this.canReplace(operation, first, at)) {
      this.known.set(key, operation.outputs);
      return [kept];
    }
    operation.outputs.forEach((value, i) => {
      this.standIns.set(value, first[i]);
      this.lastReads.set(first[i], Math.max(this.lastReadOf(first[i]), this.lastReadOf(value)));
    });
    return [];
  }

  private canReplace({ name, outputs }: Operation, first: readonly Value[], at: number): boolean {
    if (outputs.some((value) => this.outputs.has(value))) return false;
    if (!cheapKinds.has(opTable[name].kind)) return true;
    return first.every((value) => bytesOf(value) <= mostKept || this.lastReadOf(value) >= at);
  }

  private lastReadOf(value: Value): number {
    return this.outputs.has(value) ? Infinity : (this.lastReads.get(value) ?? -1);
  }

  private standIn(value: Value): Value {
    const root = this.standIns.get(value.root);
    if (root === undefined) return value;
    return value === value.root ? root : { ...value, root, memory: root.memory };
  }

  private versionOf(memory: object): number {
    return this.versions.get(memory) ?? 0;
  }

  private keyOf({ name, inputs, outputs, ints, floats, apart }: Operation): string {
    const reads = inputs.map(({ root, offset, dtype, shape, strides, memory }) =>
      [this.numberOf(root), this.versionOf(memory), offset, dtype, shape, strides].join(' '),
    );
    const makes = outputs.map(({ dtype, shape }) => `${dtype} ${shape.join()}`);
    const attributes = [...ints, ...floats].map(exactly);
    return [name, apart ?? '', attributes.join(), ...reads, ...makes].join(';');
  }

  private numberOf(root: Value): number {
    const number = this.numbers.get(root) ?? this.numbers.size;
    this.numbers.set(root, number);
    return number;
  }
}

/** A number as text that no other number has: 0 is not -0. */
function exactly(x: number): string {
  return Object.is(x, -0) ? '-0' : String(x);
}

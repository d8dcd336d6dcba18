import type { Graph, Operation, Value } from '../ir';

/** Operations that run as one: a chain of elementwise ones, or any one alone. */
export interface Unit {
  operations: Operation[];
  readonly isChain: boolean;
  /** The place among the graph's operations. */
  readonly at: number;
}

/** What goes into a chain, and what comes out. */
export interface Interface {
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  /** Operands that are numbers known beforehand. */
  readonly numbers: readonly Value[];
}

/** Units, and who reads what. */
export class Units {
  /** Of each value with memory of its own, the units that read it or a view of it. */
  private readonly readers = new Map<Value, Set<Unit>>();
  private readonly needed: ReadonlySet<Value>;
  /** Where memory is first written in place: what reads it before stays before. */
  private readonly firstWrite = new Map<object, number>();

  constructor(
    graph: Graph,
    readonly all: readonly Unit[],
    readonly constants: ReadonlyMap<Value, number>,
  ) {
    this.needed = new Set(graph.outputs.map(({ root }) => root));
    graph.operations.forEach(({ writes }, i) => {
      for (const { memory } of writes) if (!this.firstWrite.has(memory)) this.firstWrite.set(memory, i);
    });
    for (const unit of all) this.noteReads(unit);
  }

  private noteReads(unit: Unit): void {
    for (const { inputs } of unit.operations) {
      for (const { root } of inputs) this.readers.set(root, (this.readers.get(root) ?? new Set()).add(unit));
    }
  }

  /** Gives a unit other operations. */
  change(unit: Unit, operations: Operation[]): void {
    for (const readers of this.readers.values()) readers.delete(unit);
    unit.operations = operations;
    this.noteReads(unit);
  }

  /** The other units that read what a unit makes; null where the caller of the step does. */
  readersOf(value: Value, maker: Unit): Unit[] | null {
    if (this.needed.has(value)) return null;
    return [...(this.readers.get(value) ?? [])].filter((unit) => unit !== maker);
  }

  /** Whether what an operation reads is still there at place `at`. */
  canRunAt({ inputs }: Operation, at: number): boolean {
    return inputs.every(({ memory }) => (this.firstWrite.get(memory) ?? Infinity) > at);
  }

  interfaceOf(unit: Unit): Interface {
    const made = new Set(unit.operations.map(({ outputs }) => outputs[0]));
    const operands = new Set<Value>();
    const numbers = new Set<Value>();
    for (const { name, inputs } of unit.operations) {
      inputs.forEach((value, k) => {
        if (made.has(value)) return;
        const isNumber = this.constants.has(value) && !(name === 'where' && k === 0);
        (isNumber ? numbers : operands).add(value);
      });
    }
    const results = [...made].filter((value) => this.readersOf(value, unit)?.length !== 0);
    return { operands: [...operands], results, numbers: [...numbers] };
  }
}

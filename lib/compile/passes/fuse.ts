import { tensor } from '../../tensor/creation';
import { keep } from '../../tensor/scope';
import { withRecorder } from '../../tensor/recorder';
import { sameShape } from '../../tensor/shape';
import { Op, type OpName } from '../../ops/table';
import { newValue, type Graph, type Operation, type Value } from '../ir';

/** Operations over float32 that native code can chain: those with a loop in native/cpu/elementwise_loop.h. */
const chainable = new Set<OpName>([
  ...['neg', 'abs', 'sign', 'exp', 'log', 'sqrt', 'square', 'reciprocal', 'tanh', 'sigmoid', 'rsqrt', 'expm1'],
  ...['log1p', 'log2', 'sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'erf', 'erfinv', 'softplus'],
  ...['floor', 'ceil', 'round', 'trunc', 'relu', 'add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'reluBackward'],
  ...['where'],
] as OpName[]);

/** The limits of native/cpu/fused_loop.h. */
const most = { operands: 8, constants: 16, instructions: 32, results: 4, slots: 12 };
/** Below this there is nothing to gain: a chain of few elements costs what its calls cost either way. */
const leastMembers = 2;

/** Some operations that become one, at the place of the last of them. */
interface Group {
  readonly members: number[];
  readonly shape: readonly number[];
}

/** Chains of elementwise operations become one pass over memory each, with the same arithmetic in the same order. */
export function fuseElementwise(graph: Graph): Graph {
  const fuser = new Fuser(graph);
  return fuser.run();
}

class Fuser {
  /** Of each value the operations that read it. */
  private readonly readers = new Map<Value, number[]>();
  private readonly makers = new Map<Value, number>();
  private readonly groupOf = new Map<number, Group>();
  private readonly constants = new Map<Value, number>();
  private readonly needed: ReadonlySet<Value>;
  /** Where memory is first written in place: what reads it before stays before. */
  private readonly firstWrite = new Map<object, number>();

  constructor(private readonly graph: Graph) {
    const { operations } = graph;
    operations.forEach(({ name, inputs, outputs, floats, live }, i) => {
      for (const { root } of inputs) this.readers.set(root, [...(this.readers.get(root) ?? []), i]);
      for (const value of outputs) this.makers.set(value, i);
      const isNumber = name === 'full' && live === null && outputs[0].dtype === 'float32' && sizeIsOne(outputs[0]);
      if (isNumber) this.constants.set(outputs[0], floats[0]);
    });
    this.needed = new Set(graph.outputs.map(({ root }) => root));
    operations.forEach(({ writes }, i) => {
      for (const { memory } of writes) if (!this.firstWrite.has(memory)) this.firstWrite.set(memory, i);
    });
  }

  run(): Graph {
    this.graph.operations.forEach((operation, i) => {
      if (this.canChain(operation) && this.canMove(operation, i)) this.place(operation, i);
    });
    const operations = this.graph.operations.flatMap((operation, i): Operation[] => {
      const group = this.groupOf.get(i);
      if (group === undefined || !this.isWorthwhile(group)) return [operation];
      return i === group.members[group.members.length - 1] ? [this.chain(group)] : [];
    });
    return { ...this.graph, operations };
  }

  private isWorthwhile({ members }: Group): boolean {
    return members.length >= leastMembers && this.interfaceOf(members).operands.length > 0;
  }

  private canChain({ name, inputs, outputs, live }: Operation): boolean {
    if (!chainable.has(name) || live !== null) return false;
    const [result] = outputs;
    if (result.dtype !== 'float32' || outputs.length !== 1) return false;
    return inputs.every(({ dtype }, i) => dtype === (name === 'where' && i === 0 ? 'bool' : 'float32'));
  }

  /** Whether an operation can be moved down to place `at` without seeing memory change under it. */
  private canMove({ inputs }: Operation, at: number): boolean {
    return inputs.every(({ memory }) => (this.firstWrite.get(memory) ?? Infinity) > at);
  }

  /** Puts an operation in the group of one of its operands, or in one of its own. */
  private place(operation: Operation, i: number): void {
    for (const value of operation.inputs) {
      const maker = this.makers.get(value);
      const group = maker === undefined ? undefined : this.groupOf.get(maker);
      if (group === undefined || !this.canJoin(group, operation, i)) continue;
      group.members.push(i);
      this.groupOf.set(i, group);
      return;
    }
    this.groupOf.set(i, { members: [i], shape: operation.outputs[0].shape });
  }

  private canJoin(group: Group, { inputs, outputs }: Operation, i: number): boolean {
    if (!sameShape(group.shape, outputs[0].shape)) return false;
    // A view of a member's result has other elements at a place: they may not be there yet.
    const isView = (value: Value): boolean =>
      value !== value.root && group.members.some((member) => this.graph.operations[member].outputs[0] === value.root);
    if (inputs.some(isView)) return false;
    const members = [...group.members, i];
    if (members.length > most.instructions) return false;
    // The members move down to here: nobody else may have read them on the way.
    const isMember = new Set(members);
    const isReadBefore = group.members.some((member) =>
      this.readersOf(this.graph.operations[member].outputs[0]).some((reader) => reader < i && !isMember.has(reader)),
    );
    if (isReadBefore || !group.members.every((member) => this.canMove(this.graph.operations[member], i))) return false;
    const { operands, results, numbers } = this.interfaceOf(members);
    return operands.length <= most.operands && results.length <= most.results && numbers.size <= most.constants;
  }

  private readersOf(value: Value): readonly number[] {
    return this.readers.get(value.root) ?? [];
  }

  /** What goes into a group, and what comes out. */
  private interfaceOf(members: readonly number[]): { operands: Value[]; results: Value[]; numbers: Set<Value> } {
    const isMember = new Set(members);
    const made = new Set(members.map((member) => this.graph.operations[member].outputs[0]));
    const operands = new Set<Value>();
    const numbers = new Set<Value>();
    for (const member of members) {
      const { name, inputs } = this.graph.operations[member];
      inputs.forEach((value, k) => {
        if (made.has(value)) return;
        if (this.constants.has(value) && !(name === 'where' && k === 0)) numbers.add(value);
        else operands.add(value);
      });
    }
    const results = [...made].filter(
      (value) => this.needed.has(value) || this.readersOf(value).some((reader) => !isMember.has(reader)),
    );
    return { operands: [...operands], results, numbers };
  }

  private chain(group: Group): Operation {
    const { operands, results, numbers } = this.interfaceOf(group.members);
    const code = new CodeWriter(operands, results, [...numbers], this.constants).write(
      group.members.map((member) => this.graph.operations[member]),
    );
    const words = withRecorder(null, () => keep(tensor(Int32Array.from(code))));
    const codeValue = newValue('captured', 'int32', words.shape, undefined, true, words);
    const { line } = this.graph.operations[group.members[group.members.length - 1]];
    const names = group.members.map((member) => this.graph.operations[member].name).join(' ');
    return {
      name: 'fused',
      inputs: [codeValue, ...operands],
      outputs: results,
      ints: [],
      floats: [],
      writes: [],
      live: null,
      line: `${names}${line === '' ? '' : `, ${line}`}`,
    };
  }
}

function sizeIsOne({ shape }: Value): boolean {
  return shape.every((extent) => extent === 1);
}

/** `Place` of native/cpu/fused_loop.h. */
const Place = { operand: 0, constant: 100, slot: 200, result: 300 } as const;

/** Writes the code of a chain: a slot for each value that is only passed on, given free after its last use. */
class CodeWriter {
  private readonly places = new Map<Value, number>();
  private readonly bits: readonly number[];

  constructor(
    operands: readonly Value[],
    private readonly results: readonly Value[],
    numbers: readonly Value[],
    constants: ReadonlyMap<Value, number>,
  ) {
    operands.forEach((value, i) => this.places.set(value, Place.operand + i));
    numbers.forEach((value, i) => this.places.set(value, Place.constant + i));
    results.forEach((value, i) => this.places.set(value, Place.result + i));
    this.operandCount = operands.length;
    const floats = Float32Array.from(numbers, (value) => constants.get(value) as number);
    this.bits = Array.from(new Int32Array(floats.buffer));
  }

  private readonly operandCount: number;

  write(operations: readonly Operation[]): number[] {
    const lastUse = new Map<Value, number>();
    operations.forEach(({ inputs }, i) => {
      for (const value of inputs) lastUse.set(value, i);
    });
    const free = Array.from({ length: most.slots }, (_, i) => most.slots - 1 - i);
    const body = operations.flatMap(({ name, inputs, outputs }, i) => {
      const sources = inputs.map((value) => this.places.get(value) as number);
      const target = this.places.get(outputs[0]) ?? Place.slot + (free.pop() ?? NaN);
      this.places.set(outputs[0], target);
      for (const value of new Set(inputs)) {
        const place = this.places.get(value) as number;
        if (lastUse.get(value) === i && place >= Place.slot && place < Place.result) free.push(place - Place.slot);
      }
      return [Op[name], target, ...sources, 0, 0, 0].slice(0, 5);
    });
    if (body.some(Number.isNaN)) throw new Error('compile: a chain passes too much on');
    return [this.operandCount, this.bits.length, operations.length, this.results.length, ...this.bits, ...body];
  }
}

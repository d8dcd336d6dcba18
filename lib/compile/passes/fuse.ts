import { tensor } from '../../tensor/creation';
import { keep } from '../../tensor/scope';
import { withRecorder } from '../../tensor/recorder';
import { sameShape } from '../../tensor/shape';
import { Op, type OpName } from '../../ops/table';
import { newValue, type Graph, type Operation, type Value } from '../ir';
import { Units, type Unit } from './chains';
import { Origin } from '../where';
import { most, rematerialize } from './rematerialize';

/** Operations over float32 that native code can chain: those with a loop in native/cpu/elementwise_loop.h. */
const chainable = new Set<OpName>([
  ...['neg', 'abs', 'sign', 'exp', 'log', 'sqrt', 'square', 'reciprocal', 'tanh', 'sigmoid', 'rsqrt', 'expm1'],
  ...['log1p', 'log2', 'sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'erf', 'erfinv', 'softplus'],
  ...['floor', 'ceil', 'round', 'trunc', 'relu', 'add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'reluBackward'],
  ...['where'],
] as OpName[]);

/** Chains of elementwise operations become one pass over memory each, with the same arithmetic in the same order. */
export function fuseElementwise(graph: Graph): Graph {
  const constants = constantsOf(graph);
  const units = new Units(graph, unitsOf(graph, constants), constants);
  rematerialize(units);
  const operations = units.all.flatMap((unit): Operation[] => {
    const { operands } = units.interfaceOf(unit);
    if (unit.operations.length < 2 || operands.length === 0) return unit.operations;
    return [chainOf(units, unit)];
  });
  return { ...graph, operations };
}

/** Tensors of one element with a number that is known. */
function constantsOf({ operations }: Graph): Map<Value, number> {
  const constants = new Map<Value, number>();
  for (const { name, outputs, floats, live } of operations) {
    const isNumber = name === 'full' && live === null && outputs[0].dtype === 'float32';
    if (isNumber && outputs[0].shape.every((extent) => extent === 1)) constants.set(outputs[0], floats[0]);
  }
  return constants;
}

/** Some operations that become one, at the place of the last of them. */
interface Group {
  readonly members: number[];
}

function unitsOf(graph: Graph, constants: ReadonlyMap<Value, number>): Unit[] {
  const groups = new Grouping(graph, constants).groups();
  return graph.operations.flatMap((operation, at): Unit[] => {
    const group = groups.get(at);
    if (group === undefined) return [{ operations: [operation], isChain: false, at }];
    if (at !== group.members[group.members.length - 1]) return [];
    return [{ operations: group.members.map((member) => graph.operations[member]), isChain: true, at }];
  });
}

/** Finds out which operations become one. */
class Grouping {
  private readonly readers = new Map<Value, number[]>();
  private readonly makers = new Map<Value, number>();
  private readonly groupOf = new Map<number, Group>();
  private readonly units: Units;

  constructor(
    private readonly graph: Graph,
    constants: ReadonlyMap<Value, number>,
  ) {
    this.units = new Units(graph, [], constants);
    graph.operations.forEach(({ inputs, outputs }, i) => {
      for (const { root } of inputs) this.readers.set(root, [...(this.readers.get(root) ?? []), i]);
      for (const value of outputs) this.makers.set(value, i);
    });
    this.needed = new Set(graph.outputs);
  }

  private readonly needed: ReadonlySet<Value>;

  groups(): ReadonlyMap<number, Group> {
    this.graph.operations.forEach((operation, i) => {
      if (canChain(operation) && this.units.canRunAt(operation, i)) this.place(operation, i);
    });
    return this.groupOf;
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
    this.groupOf.set(i, { members: [i] });
  }

  private canJoin({ members }: Group, { inputs, outputs }: Operation, i: number): boolean {
    const operations = members.map((member) => this.graph.operations[member]);
    if (!sameShape(operations[0].outputs[0].shape, outputs[0].shape)) return false;
    const made = new Set(operations.map((member) => member.outputs[0]));
    // A view of a member's result has other elements at a place: they may not be there yet.
    if (inputs.some((value) => value !== value.root && made.has(value.root))) return false;
    const isMember = new Set([...members, i]);
    // The members move down to here: nobody else may have read them on the way, nor what they read have changed.
    const isReadBefore = [...made].some((value) =>
      this.readersOf(value).some((reader) => reader < i && !isMember.has(reader)),
    );
    if (isReadBefore || !operations.every((member) => this.units.canRunAt(member, i))) return false;
    return this.fits([...operations, this.graph.operations[i]], isMember);
  }

  private fits(operations: Operation[], isMember: ReadonlySet<number>): boolean {
    const { operands, numbers } = this.units.interfaceOf({ operations, isChain: true, at: 0 });
    const results = operations
      .map(({ outputs }) => outputs[0])
      .filter((value) => this.needed.has(value) || this.readersOf(value).some((reader) => !isMember.has(reader)));
    return (
      operations.length <= most.instructions &&
      operands.length <= most.operands &&
      numbers.length <= most.constants &&
      results.length <= most.results
    );
  }

  private readersOf(value: Value): readonly number[] {
    return this.readers.get(value) ?? [];
  }
}

function canChain({ name, inputs, outputs, live }: Operation): boolean {
  if (!chainable.has(name) || live !== null) return false;
  if (outputs.length !== 1 || outputs[0].dtype !== 'float32') return false;
  return inputs.every(({ dtype }, i) => dtype === (name === 'where' && i === 0 ? 'bool' : 'float32'));
}

function chainOf(units: Units, unit: Unit): Operation {
  const { operands, results, numbers } = units.interfaceOf(unit);
  const code = new CodeWriter(operands, results, numbers, units.constants).write(unit.operations);
  // In the host's memory on every device: what is launched depends on the code.
  const words = withRecorder(null, () => keep(tensor(Int32Array.from(code), { device: 'cpu' })));
  const codeValue = newValue('captured', 'int32', words.shape, undefined, true, words);
  const { origin } = unit.operations[unit.operations.length - 1];
  const names = unit.operations.map(({ name }) => name).join(' ');
  return {
    name: 'fused',
    inputs: [codeValue, ...operands],
    outputs: results,
    ints: [],
    floats: [],
    writes: [],
    live: null,
    origin: new Origin(names, origin),
  };
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

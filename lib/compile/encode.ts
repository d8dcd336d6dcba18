/** A planned step as the numbers that native/core/program.cc reads. */
import { Op, opTable, type OpName } from '../ops/table';
import { maxRank } from '../native';
import { dtypeCode, type DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape';
import { elementBytes, type Graph, type Value } from './ir';
import type { Plan } from './passes/plan';

/** `Role` of native/core/program.h. */
export const Role = { captured: 0, updated: 1, result: 2, argument: 3 } as const;

/** A tensor that a program is given. */
export interface Binding {
  readonly role: (typeof Role)[keyof typeof Role];
  readonly value: Value;
}

/** Where the attributes that change from run to run are: for each live section, its operations' first number or -1. */
export type LiveLayout = readonly (readonly number[])[];

export interface Encoded {
  readonly words: Float64Array;
  readonly live: LiveLayout;
  /** The live numbers as they were traced. */
  readonly liveNumbers: readonly number[];
}

/** Appends a dtype, a shape and strides. */
function describe(to: number[], dtype: DType, shape: Shape, strides: Shape): void {
  to.push(dtypeCode[dtype], shape.length);
  for (const list of [shape, strides]) {
    for (let axis = 0; axis < maxRank; axis++) to.push(axis < list.length ? list[axis] : 0);
  }
}

/** An operation's attributes, integers first, as many as the op table says. */
export function attributesOf(name: OpName, ints: readonly number[], floats: readonly number[]): number[] {
  const filled = (list: readonly number[], count: number): number[] =>
    Array.from({ length: count }, (_, i) => (i < list.length ? list[i] : 0));
  return [...filled(ints, opTable[name].ints), ...filled(floats, opTable[name].floats)];
}

/** Of an operation that takes or gives less than the table says, the last stands in the places that are left. */
function filled(values: readonly Value[], count: number): readonly Value[] {
  return Array.from({ length: count }, (_, i) => values[Math.min(i, values.length - 1)]);
}

/** @param sections how many operations each live section recorded */
export function encode(
  graph: Graph,
  bindings: readonly Binding[],
  plan: Plan,
  sections: readonly { readonly count: number }[],
): Encoded {
  const numbers = new Map<Value, number>();
  const values: number[] = [];
  const steps: number[] = [];
  const liveNumbers: number[] = [];
  const live = sections.map(({ count }) => new Array<number>(count).fill(-1));
  const numberOf = (value: Value): number => {
    let number = numbers.get(value);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(value, number);
      const place = plan.places.get(value.root);
      if (place === undefined) throw new Error('compile: a value has no memory');
      const bytes = value.offset * elementBytes(value.dtype);
      if ('arena' in place) values.push(-1, place.arena + bytes);
      else values.push(place.binding, bytes);
      describe(values, value.dtype, value.shape, value.strides);
    }
    return number;
  };
  for (const { name, inputs, outputs, ints, floats, live: slot } of graph.operations) {
    const attributes = attributesOf(name, ints, floats);
    if (slot !== null) live[slot.section][slot.index] = liveNumbers.length;
    steps.push(Op[name], slot === null ? -1 : liveNumbers.length);
    if (slot !== null) liveNumbers.push(...attributes);
    const { inputs: operandCount, outputs: resultCount } = opTable[name];
    const places = [...filled(inputs, operandCount), ...filled(outputs, resultCount)];
    steps.push(...places.map(numberOf), ...attributes);
  }
  const bound: number[] = [];
  for (const { role, value } of bindings) {
    bound.push(role);
    describe(bound, value.dtype, value.shape, value.strides);
  }
  const header = [bindings.length, numbers.size, graph.operations.length, plan.arenaBytes, liveNumbers.length];
  return { words: Float64Array.from([...header, ...bound, ...values, ...steps]), live, liveNumbers };
}

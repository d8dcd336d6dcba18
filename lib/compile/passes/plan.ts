import { bytesOf, type Graph, type Value } from '../ir';

/** Where a value's memory is: so many bytes into the arena, or the caller's tensor number so many. */
export type Place = { readonly arena: number } | { readonly binding: number };

/** The memory of a step. */
export interface Plan {
  /** The place of each root. */
  readonly places: ReadonlyMap<Value, Place>;
  readonly arenaBytes: number;
  /** What the results would take if each had memory of its own. */
  readonly unplannedBytes: number;
}

const alignment = 64;

interface Interval {
  readonly root: Value;
  readonly bytes: number;
  /** Numbers of the operations that write it first and that use it last. */
  readonly first: number;
  last: number;
}

/**
 * Assigns memory to the results of a step: those that are never needed at the same time share it. The largest are placed
 * first, each at the lowest offset that is free for as long as it lives.
 * @param isBound roots whose memory is the caller's
 */
export function planMemory(graph: Graph, bindings: ReadonlyMap<Value, number>): Plan {
  const places = new Map<Value, Place>();
  for (const [root, binding] of bindings) places.set(root, { binding });
  const intervals = intervalsOf(graph, bindings);
  const placed: (Interval & { readonly at: number })[] = [];
  let arenaBytes = 0;
  for (const interval of [...intervals].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const at = lowestFree(interval, placed);
    // Kept in order of their offsets, for the search.
    const index = placed.findIndex((other) => other.at > at);
    placed.splice(index < 0 ? placed.length : index, 0, { ...interval, at });
    places.set(interval.root, { arena: at });
    arenaBytes = Math.max(arenaBytes, at + interval.bytes);
  }
  return { places, arenaBytes, unplannedBytes: intervals.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function intervalsOf(graph: Graph, bindings: ReadonlyMap<Value, number>): Interval[] {
  const intervals = new Map<Value, Interval>();
  graph.operations.forEach(({ inputs, outputs }, number) => {
    for (const { root } of outputs) {
      if (bindings.has(root)) continue;
      const bytes = Math.max(alignment, Math.ceil(bytesOf(root) / alignment) * alignment);
      intervals.set(root, { root, bytes, first: number, last: number });
    }
    for (const { root } of inputs) {
      const interval = intervals.get(root);
      if (interval !== undefined) interval.last = number;
    }
  });
  return [...intervals.values()];
}

function lowestFree(wanted: Interval, placed: readonly (Interval & { readonly at: number })[]): number {
  let at = 0;
  for (const other of placed) {
    if (other.last < wanted.first || other.first > wanted.last) continue;
    if (other.at >= at + wanted.bytes) break;
    at = Math.max(at, other.at + other.bytes);
  }
  return at;
}

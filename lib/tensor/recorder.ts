/**
 * The seam between operations and {@link compile}: while a recorder is active, operations are written down instead of
 * being run. Nothing here knows how; lib/compile has the recorders.
 */
import type { OpName } from '../ops/table';
import type { Shape } from './shape';
import type { AnyTensor } from './tensor';

/** Receives what operations would otherwise hand to native code. */
export interface Recorder {
  /** An operation with outputs; gives each of them its `_handle`. */
  op(
    name: OpName,
    inputs: readonly AnyTensor[],
    outputs: readonly AnyTensor[],
    ints: readonly number[],
    floats: readonly number[],
  ): void;
  /** An operation that writes to some of its inputs. */
  inPlace(name: OpName, inputs: readonly AnyTensor[], ints: readonly number[], floats: readonly number[]): void;
  /** A view; gives it its `_handle`. `offset` counts elements from the base's first. */
  view(base: AnyTensor, view: AnyTensor, strides: Shape, offset: number): void;
  /** A tensor with values from JavaScript. */
  constant(tensor: AnyTensor): void;
  /** See {@link live}. */
  live<T>(fn: () => T): T;
  /** See {@link apart}. */
  apart<T>(fn: () => T): T;
  /** See {@link onAbandon}. */
  onAbandon(undo: () => void): void;
  /** What was recorded holds as long as this is true: asked before each run. */
  guard(holds: () => boolean): void;
  /** Throws unless `x` is known to have the same values in every run. */
  checkReadable(op: string, x: AnyTensor): void;
  /** Throws: a step that does this cannot be compiled. */
  refuse(problem: string): never;
  /** Throws where a leaf has a gradient from outside that would be added to. */
  addToGrad(leaf: AnyTensor): void;
}

let active: Recorder | null = null;

/** The recorder that operations go to, if any. */
export function activeRecorder(): Recorder | null {
  return active;
}

/** Runs `fn` with another recorder, or with none: then operations run at once. */
export function withRecorder<T>(recorder: Recorder | null, fn: () => T): T {
  const before = active;
  active = recorder;
  try {
    return fn();
  } finally {
    active = before;
  }
}

/** Whether values can be read; checks of values are left out where they cannot, because a step is being compiled. */
export function valuesAreThere(): boolean {
  return active === null;
}

/**
 * Runs `fn` now and, where a step is being compiled, again before each of its runs: for what changes from run to run
 * without being a tensor (a learning rate, a count of steps, the place in a sequence of random numbers). The operations
 * in `fn` must be the same each time; only their attributes may differ.
 */
export function live<T>(fn: () => T): T {
  return active === null ? fn() : active.live(fn);
}

/**
 * Runs `fn`, whose operations have results for each other alone: no other operation's result stands for one of theirs, nor
 * the other way round, so that nothing from in here is kept for what comes much later.
 */
export function apart<T>(fn: () => T): T {
  return active === null ? fn() : active.apart(fn);
}

/** Has `undo` called if what is being recorded is given up, so that it has left no trace. */
export function onAbandon(undo: () => void): void {
  active?.onAbandon(undo);
}

/** Runs `fn` at once although operations are being recorded: for state that outlives the recording. */
export function eagerly<T>(fn: () => T): T {
  return active === null ? fn() : withRecorder(null, fn);
}

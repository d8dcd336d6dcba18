/** The state of an optimizer: what it keeps for a parameter, and what a later run needs to go on exactly. */
import { ShapeError } from '../errors';
import { checkInteger, checkNumber, describe, formatShape, sameShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';

/** What an optimizer keeps for one parameter. */
export interface Slot {
  readonly tensors: readonly Tensor[];
  /** What is not a tensor, such as NAdam's running product. */
  readonly numbers: number[];
  /** How often the parameter was updated. */
  steps: number;
}

/** The saved state of one parameter. */
export interface SavedSlot {
  readonly steps: number;
  readonly tensors: readonly AnyTensor[];
  readonly numbers: readonly number[];
}

/** What a later run needs to go on exactly: see {@link Optimizer.stateDict}. */
export interface OptimizerState {
  /** For each parameter that was updated, by its number over all groups. */
  readonly state: Readonly<Record<string, SavedSlot>>;
  /** The settings of each group; `params` is the number of its parameters. */
  readonly groups: readonly Readonly<Record<string, unknown>>[];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws unless `saved` looks like an optimizer's state. */
export function checkSaved(name: string, saved: unknown): asserts saved is OptimizerState {
  if (!isRecord(saved) || !isRecord(saved.state) || !Array.isArray(saved.groups) || !saved.groups.every(isRecord)) {
    throw new TypeError(`${name}: loadStateDict takes what stateDict gave, got ${describe(saved)}`);
  }
}

/** Throws unless what was saved for a parameter can take the place of `fresh`, the state of its first step. */
export function checkSavedSlot(name: string, number: string, saved: unknown, fresh: Slot): asserts saved is SavedSlot {
  const where = `the saved state of parameter ${number}`;
  if (!isRecord(saved) || !Array.isArray(saved.tensors) || !Array.isArray(saved.numbers)) {
    throw new TypeError(`${name}: ${where} is ${describe(saved)}`);
  }
  checkInteger(name, `${where}: steps`, saved.steps, 0, Number.MAX_SAFE_INTEGER);
  const { tensors, numbers } = saved as { tensors: unknown[]; numbers: unknown[] };
  if (tensors.length !== fresh.tensors.length || numbers.length !== fresh.numbers.length) {
    throw new ShapeError(
      `${name}: ${where} does not fit: ${tensors.length} tensors and ${numbers.length} numbers, ` +
        `expected ${fresh.tensors.length} and ${fresh.numbers.length}`,
    );
  }
  for (const value of numbers) checkNumber(name, `${where}: a number`, value);
  tensors.forEach((x, i) => {
    const wanted: AnyTensor = fresh.tensors[i];
    if (!isTensor(x)) throw new TypeError(`${name}: ${where}: ${describe(x)} is not a tensor`);
    x._check(name);
    if (x.dtype !== wanted.dtype || !sameShape(x.shape, wanted.shape)) {
      throw new ShapeError(
        `${name}: ${where} does not fit: ${x.dtype} ${formatShape(x.shape)}, ` +
          `expected ${wanted.dtype} ${formatShape(wanted.shape)}`,
      );
    }
  });
}

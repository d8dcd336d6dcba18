/** The runs that are under way, by their numbers, and what becomes of them. */
import { errorOf, native } from '../native';
import type { AnyTensor } from '../tensor/tensor';
import type { Structure } from './structure';

interface Pending {
  readonly name: string;
  readonly outputs: readonly AnyTensor[];
  readonly result: (seconds: readonly number[]) => Structure;
  readonly resolve: (result: Structure) => void;
  readonly reject: (error: unknown) => void;
  /** Why it was cancelled. */
  reason?: unknown;
}

const pending = new Map<number, Pending>();
const cancelled = 9;
let isListening = false;

function ended(run: number, status: number, message: string, seconds: readonly number[]): void {
  const one = pending.get(run);
  if (one === undefined) return;
  pending.delete(run);
  if (status === 0) {
    for (const output of one.outputs) native.track(output._handle, output);
    one.resolve(one.result(seconds));
    return;
  }
  for (const output of one.outputs) output.dispose();
  if (status === cancelled) one.reject(one.reason);
  else one.reject(errorOf(one.name, status, message));
}

/** Has native code say when runs have ended. To be called before the first run is launched. */
export function listen(): void {
  if (isListening) return;
  if (native.onRunDone(ended) === 0) throw new Error('kindling: no thread for compiled steps could be set up');
  isListening = true;
}

/** The result of a run that was launched, when it has ended. */
export function started(
  run: number,
  name: string,
  outputs: readonly AnyTensor[],
  result: (seconds: readonly number[]) => Structure,
): Promise<Structure> {
  return new Promise((resolve, reject) => {
    pending.set(run, { name, outputs, result, resolve, reject });
  });
}

/** Cancels a run that has not begun. */
export function cancel(run: number, reason: unknown): void {
  const one = pending.get(run);
  if (one === undefined) return;
  one.reason = reason;
  native.cancelRun(run);
}

/** Finding the operation that first makes a NaN. */
import { types } from 'node:util';
import { AnomalyError } from '../errors';
import type { AnyTensor } from '../tensor/tensor';

let active = false;
let backwardOf: string | null = null;
let hasNaN: (x: AnyTensor) => boolean = () => false;

/** lib/ops/reduce.ts says how; this module must not need an operation itself. */
export function setNaNTest(test: (x: AnyTensor) => boolean): void {
  hasNaN = test;
}

/** @internal Whether results are being looked at. */
export function isAnomalyDetected(): boolean {
  return active;
}

/** @internal Names the operation whose gradient rule is running; gives the name it replaces. */
export function enterBackward(name: string | null): string | null {
  const before = backwardOf;
  backwardOf = name;
  return before;
}

/** @internal Throws if a result has a NaN. */
export function checkResult(op: string, result: AnyTensor): void {
  active = false;
  try {
    if (!hasNaN(result)) return;
  } finally {
    active = true;
  }
  const where = backwardOf === null ? '' : ` in the gradient of ${backwardOf}`;
  throw new AnomalyError(`${op}: made a NaN${where}; the result has shape [${result.shape.join(',')}]`);
}

/**
 * Runs `fn` and looks at the result of every operation in it, backward passes included: the first that has a NaN throws.
 * Slow: for debugging. `fn` must be synchronous.
 * @throws AnomalyError naming the operation, and in a backward pass the one whose gradient it was.
 * @example detectAnomaly(() => loss().backward())
 */
export function detectAnomaly<T>(fn: () => T): T {
  const before = active;
  active = true;
  try {
    const result = fn();
    if (types.isPromise(result)) {
      result.catch(() => undefined);
      throw new TypeError('detectAnomaly: the function must not be async');
    }
    return result;
  } finally {
    active = before;
  }
}

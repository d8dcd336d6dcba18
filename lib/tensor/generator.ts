import { activeRecorder, onAbandon } from './recorder';
import { checkInteger } from './shape';

/**
 * A seeded source of random numbers: a Philox key and a counter. Two generators with one seed give the
 * same tensors in the same order of calls.
 */
export class Generator {
  private seedLow: number;
  private seedHigh: number;
  private offset = 0;

  /** @param seed an integer in [0, 2^53). */
  constructor(seed: number) {
    [this.seedLow, this.seedHigh] = split(checkInteger('Generator', 'seed', seed, 0, Number.MAX_SAFE_INTEGER));
  }

  /** @internal Key and counter for `count` numbers; the counter counts blocks of four. */
  take(count: number): number[] {
    const before = this.offset;
    onAbandon(() => (this.offset = before));
    const [low, high] = split(before);
    this.offset += Math.ceil(count / 4);
    return [this.seedLow, this.seedHigh, low, high];
  }

  /** @internal Whether another generator is at the same place of its sequence. */
  isAt(other: Generator): boolean {
    return this.offset === other.offset;
  }

  /** A generator that will give the numbers that this one gives next. */
  snapshot(): Generator {
    const copy = new Generator(0);
    copy.seedLow = this.seedLow;
    copy.seedHigh = this.seedHigh;
    copy.offset = this.offset;
    return copy;
  }

  /** A fresh seed for another generator, in [0, 2^32): the sequence stays reproducible. */
  fork(): number {
    activeRecorder()?.refuse(
      'a seed was drawn in JavaScript, which would be one for all runs; draw it outside of the step',
    );
    const [a, b, c] = this.take(4);
    // SplitMix32's finisher over the state, so that neighbouring forks are unrelated.
    let x = (a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c + 1, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  }
}

/** A 53-bit integer as two 32-bit patterns, signed as native code takes them. */
function split(value: number): [number, number] {
  return [value | 0, Math.floor(value / 2 ** 32) | 0];
}

let shared = new Generator(Math.floor(Math.random() * 2 ** 32));

/** The generator that random tensors, initializers and shuffling use unless told otherwise. */
export function defaultGenerator(): Generator {
  return shared;
}

/** @internal {@link defaultGenerator}, for those who restore it. */
export function currentGenerator(): Generator {
  return shared;
}

/** @internal Runs `fn` with another default generator. */
export function withGenerator<T>(generator: Generator, fn: () => T): T {
  const before = shared;
  shared = generator;
  try {
    return fn();
  } finally {
    shared = before;
  }
}

/** Seeds the default generator. Without a call, each process draws a seed of its own. */
export function manualSeed(seed: number): void {
  shared = new Generator(seed);
}

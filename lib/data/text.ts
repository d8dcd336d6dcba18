/** From texts to batches of numbers. */
import { permutation } from '../tensor/shuffle';
import { checkInteger } from '../tensor/shape';

/**
 * Words and punctuation marks of a text, in lower case. HTML tags, as film reviews have them, count as blanks.
 * @example tokenize("It's great!") // ["it's", 'great', '!']
 */
export function tokenize(text: string): string[] {
  return (
    text
      .toLowerCase()
      .replace(/<[^>]*>/g, ' ')
      .match(/[\p{L}\p{N}]+(?:'[\p{L}]+)?|[!?.,;:()"]/gu) ?? []
  );
}

/** Options of {@link Vocabulary.build}. */
export interface VocabularyOptions {
  /** At most so many tokens, the most frequent ones. Default no limit. */
  maxSize?: number;
  /** Tokens that are rarer are left out. Default 1. */
  minCount?: number;
}

/** Tokens with numbers: 0 is padding, 1 stands for every unknown token, then the tokens by frequency. */
export class Vocabulary {
  static readonly padding = 0;
  static readonly unknown = 1;
  private readonly numbers = new Map<string, number>();

  /** @param tokens in the order of their numbers, from 2 */
  constructor(readonly tokens: readonly string[]) {
    tokens.forEach((token, i) => this.numbers.set(token, i + 2));
  }

  /** The vocabulary of some texts. Equally frequent tokens stand in alphabetical order. */
  static build(texts: Iterable<readonly string[]>, options: VocabularyOptions = {}): Vocabulary {
    const { maxSize = 2 ** 31 - 3, minCount = 1 } = options;
    checkInteger('Vocabulary', 'maxSize', maxSize, 0, 2 ** 31 - 3);
    checkInteger('Vocabulary', 'minCount', minCount, 1, 2 ** 31 - 1);
    const counts = new Map<string, number>();
    for (const text of texts) for (const token of text) counts.set(token, (counts.get(token) ?? 0) + 1);
    const frequent = [...counts].filter(([, count]) => count >= minCount);
    frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return new Vocabulary(frequent.slice(0, maxSize).map(([token]) => token));
  }

  /** Numbers in use: the tokens, padding and unknown. */
  get size(): number {
    return this.tokens.length + 2;
  }

  /** The numbers of a text's tokens. */
  encode(tokens: readonly string[]): Int32Array {
    return Int32Array.from(tokens, (token) => this.numbers.get(token) ?? Vocabulary.unknown);
  }
}

/** Sequences of different lengths as one matrix. */
export interface Padded {
  /** [count, the longest length], row by row, filled up with 0. */
  readonly values: Int32Array;
  readonly shape: readonly [number, number];
  readonly lengths: Int32Array;
}

/** Pads sequences at their ends to the longest of them. */
export function padSequences(sequences: readonly Int32Array[], padding = 0): Padded {
  const longest = sequences.reduce((most, sequence) => Math.max(most, sequence.length), 0);
  const values = new Int32Array(sequences.length * longest).fill(padding);
  sequences.forEach((sequence, i) => {
    values.set(sequence, i * longest);
  });
  return {
    values,
    shape: [sequences.length, longest],
    lengths: Int32Array.from(sequences, (sequence) => sequence.length),
  };
}

/** Options of {@link lengthBatches}. */
export interface LengthBatchOptions {
  /** Default 32. */
  batchSize?: number;
  /** An integer in [0, 2^53). */
  seed: number;
  /** For a new order each epoch. Default 0. */
  epoch?: number;
}

/**
 * Batches of sequences of similar length, so that little is padded: the order is shuffled, sorted by length within
 * stretches of 50 batches, and the batches are shuffled again.
 * @returns the positions in each batch
 */
export function lengthBatches(lengths: ArrayLike<number>, options: LengthBatchOptions): Int32Array[] {
  const { batchSize = 32, seed, epoch = 0 } = options;
  checkInteger('lengthBatches', 'batchSize', batchSize, 1, 2 ** 31 - 1);
  const order = permutation(lengths.length, seed, epoch);
  const batches: Int32Array[] = [];
  const stretch = 50 * batchSize;
  for (let start = 0; start < order.length; start += stretch) {
    const part = order.slice(start, start + stretch).sort((a, b) => lengths[b] - lengths[a]);
    for (let i = 0; i < part.length; i += batchSize) batches.push(part.slice(i, i + batchSize));
  }
  return Array.from(permutation(batches.length, seed, epoch), (i) => batches[i]);
}

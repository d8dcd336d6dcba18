import { checkInteger } from './shape';

/** SplitMix32's finisher: every bit of the input reaches every bit of the output. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** xoshiro128** 1.1 (Blackman and Vigna, 2018), seeded from two numbers. */
function generator(seed: number, stream: number): () => number {
  let state = mix(seed | 0) ^ mix(Math.floor(seed / 2 ** 32) + 0x9e3779b9) ^ mix(stream + 0x85ebca6b);
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state) | 0;
  };
  let [a, b, c, d] = [next(), next(), next(), next() | 1];
  return () => {
    const scaled = Math.imul(b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  };
}

/**
 * The numbers 0 to n - 1 in random order, every order as likely (Fisher and Yates; Durstenfeld, 1964).
 * @param n how many, below 2^31
 * @param seed an integer in [0, 2^53); the same seed and epoch give the same order everywhere
 * @param epoch a second number, for a new order each epoch. Default 0.
 */
export function permutation(n: number, seed: number, epoch = 0): Int32Array {
  checkInteger('permutation', 'n', n, 0, 2 ** 31 - 1);
  checkInteger('permutation', 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('permutation', 'epoch', epoch, 0, 2 ** 31 - 1);
  const random = generator(seed, epoch);
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    // Draws beyond the last whole multiple of the range would favour small numbers: draw again.
    const range = i + 1;
    const fair = 2 ** 32 - (2 ** 32 % range);
    let draw = random();
    while (draw >= fair) draw = random();
    const j = draw % range;
    const kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  return order;
}

import { data } from '../../lib';

const { permutation } = data;

test('every number once', () => {
  for (const n of [0, 1, 2, 1000]) {
    expect(Array.from(permutation(n, 3)).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  }
});

test('follows seed and epoch', () => {
  expect(permutation(50, 1)).toEqual(permutation(50, 1));
  expect(permutation(50, 1)).not.toEqual(permutation(50, 2));
  expect(permutation(50, 1, 0)).not.toEqual(permutation(50, 1, 1));
  expect(permutation(50, 2 ** 40)).not.toEqual(permutation(50, 0));
});

test('all orders are as likely', () => {
  const counts = new Map<string, number>();
  const draws = 24_000;
  for (let seed = 0; seed < draws; seed++) {
    const key = permutation(4, seed).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const expected = draws / 24;
  const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(counts.size).toBe(24);
  // 23 degrees of freedom: above 58 with probability 0.0001. The seeds are fixed, so is the outcome.
  expect(chiSquared).toBeLessThan(58);
});

test.each([[-1], [1.5], [NaN], [2 ** 31]])('refuses %p numbers', (n) => {
  expect(() => permutation(n, 0)).toThrow(/n must be an integer/);
});

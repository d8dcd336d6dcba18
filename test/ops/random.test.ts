/** The distributions of random choices, within five standard errors. */
import { bernoulli, categorical, full, Generator, multinomial, permutation, tensor } from '../../lib';

const n = 20000;

test('bernoulli', () => {
  for (const p of [0.1, 0.5, 0.9]) {
    const mean = bernoulli(full([n], p), { generator: new Generator(1) })
      .mean()
      .item();
    expect(Math.abs(mean - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));
  }
});

test.each([
  ['categorical', (g: Generator) => categorical(tensor([0.1, 0.2, 0.7]).log().expand([n, 3]), { generator: g })],
  ['multinomial', (g: Generator) => multinomial(tensor([1, 2, 7]), n, { replacement: true, generator: g })],
])('%s', (_, draw) => {
  const values = draw(new Generator(2)).dataSync();
  [0.1, 0.2, 0.7].forEach((p, k) => {
    const share = values.filter((value) => value === k).length / n;
    expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));
  });
});

test('multinomial without replacement draws each class once, likely ones first', () => {
  const draws = multinomial(tensor([1, 2, 7]).expand([2000, 3]), 3, {
    generator: new Generator(3),
  }).toArray() as number[][];
  expect(draws.every((row) => [...row].sort().join() === '0,1,2')).toBe(true);
  const first = draws.filter(([k]) => k === 2).length / 2000;
  expect(Math.abs(first - 0.7)).toBeLessThan(0.06);
});

test('permutation', () => {
  const order = permutation(100, { generator: new Generator(4) }).toArray() as number[];
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(order).not.toEqual([...order].sort((a, b) => a - b));
  expect(permutation(100, { generator: new Generator(4) }).toArray()).toEqual(order);
});

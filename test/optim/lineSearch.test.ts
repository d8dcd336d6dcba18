/** The strong Wolfe search beside PyTorch's: every length that it tries, and the one that it takes. */
import { strongWolfe, type Trial } from '../../lib/optim/lineSearch';
import { load, valuesOf } from './fixtures';
import { lineSearches } from './trajectories';

const saved = load<number[]>('lineSearches');
test.each(Object.entries(lineSearches))('%s', (name, { torch, loss, slope, first }) => {
  const wanted = valuesOf(saved, name, torch);
  const tried: number[] = [];
  const at = (t: number): Trial => ({ t, loss: loss(t), grad: Float64Array.of(slope(t)), slope: slope(t) });
  const taken = strongWolfe(
    (t) => {
      tried.push(t);
      return at(t);
    },
    at(0),
    first,
    1,
    1e-9,
  );
  expect(taken.loss).toBeLessThanOrEqual(loss(0));
  const found = [...tried, taken.t];
  expect(found).toHaveLength(wanted.length);
  found.forEach((t, i) => {
    expect(Math.abs(t - wanted[i])).toBeLessThanOrEqual(1e-7 * Math.abs(wanted[i]));
  });
});

test('a loss that is not a number is stepped back from', () => {
  const loss = (t: number): number => (t > 1 ? NaN : (t - 0.5) ** 2);
  const at = (t: number): Trial => ({ t, loss: loss(t), grad: new Float64Array(1), slope: 2 * (t - 0.5) });
  const taken = strongWolfe(at, at(0), 8, 1, 1e-9);
  expect(taken.loss).toBeLessThan(0.05);
});

test('a loss that overflows is stepped back from', () => {
  const at = (t: number): Trial => ({
    t,
    loss: Math.exp(5 * t) - 20 * t,
    grad: new Float64Array(1),
    slope: 5 * Math.exp(5 * t) - 20,
  });
  expect(strongWolfe(at, at(0), 300, 1, 1e-9).t).toBeCloseTo(Math.log(4) / 5, 1);
});

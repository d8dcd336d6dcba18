/** Moving averages of weights, gradient accumulation, and clipping beside the formulas. */
import { memoryStats, nn, optim, tensor, tidy, type Tensor } from '../../lib';
import { countTensors } from '../tensorCount';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });

test.each([
  ['constant', false],
  ['warming up', true],
])('the average follows its formula: %s', (_, useNumUpdates) => {
  for (const dtype of ['float32', 'float64'] as const) {
    const start = Array.from({ length: 37 }, (_, i) => Math.sin(i));
    const p = tensor(start, { dtype, requiresGrad: true }) as Tensor;
    const average = new optim.ExponentialMovingAverage([p], { decay: 0.6, useNumUpdates });
    const expected = [...p.dataSync()];
    for (let n = 1; n <= 8; n++) {
      p.grad = tensor(
        start.map((x) => x + n),
        { dtype },
      ) as Tensor;
      optim.sgd([p], { lr: 0.1 }).step();
      average.update();
      const decay = useNumUpdates ? Math.min(0.6, (1 + n) / (10 + n)) : 0.6;
      p.dataSync().forEach((x, i) => (expected[i] = decay * expected[i] + (1 - decay) * x));
    }
    average.averages[0].dataSync().forEach((x, i) => {
      expect(Math.abs(x - expected[i])).toBeLessThan(dtype === 'float32' ? 1e-5 : 1e-13);
    });
    average.dispose();
  }
});

test('an average that has arrived stays exactly', () => {
  const p = leaf(0.1, 1 / 3, 1e-30);
  const average = new optim.ExponentialMovingAverage([p], { decay: 0.7 });
  for (let i = 0; i < 50; i++) average.update();
  expect(average.averages[0].toArray()).toEqual(p.toArray());
});

test('store, apply to these or others, restore; saved state; no memory left', () => {
  const before = countTensors();
  const [p, q] = [leaf(1, 2), leaf(0, 0)];
  const average = new optim.ExponentialMovingAverage([p], { decay: 0.5 });
  p.grad = tensor([2, 2]);
  optim.sgd([p], { lr: 1 }).step();
  average.update();
  average.applyTo([q]);
  expect(q.toArray()).toEqual([0, 1]);
  average.store();
  average.applyTo();
  expect(p.toArray()).toEqual([0, 1]);
  average.restore();
  expect(p.toArray()).toEqual([-1, 0]);
  const other = new optim.ExponentialMovingAverage([q]);
  other.loadStateDict(average.stateDict());
  expect(other.stateDict()).toMatchObject({ decay: 0.5, updates: 1 });
  expect(other.averages[0].toArray()).toEqual([0, 1]);
  const count = countTensors();
  for (let i = 0; i < 3; i++) {
    average.update();
    average.apply();
    average.restore();
  }
  expect(memoryStats().tensors).toBe(count);
  average.dispose();
  other.dispose();
  p.grad.dispose();
  p.dispose();
  q.dispose();
  expect(memoryStats().tensors).toBe(before);
});

test('bad averages', () => {
  const average = new optim.ExponentialMovingAverage([leaf(1, 2)]);
  expect(() => new optim.ExponentialMovingAverage([leaf(1)], { decay: 1.5 })).toThrow(/decay must be a number in/);
  expect(() => new optim.ExponentialMovingAverage([3 as never])).toThrow(/parameter 0 is not a tensor/);
  expect(() => new optim.ExponentialMovingAverage([tensor([1], { dtype: 'int32' }) as never])).toThrow(
    /must be float32/,
  );
  expect(() => {
    average.applyTo([leaf(1)]);
  }).toThrow(/float32 \[2\] does not fit float32 \[1\]/);
  expect(() => {
    average.applyTo([]);
  }).toThrow(/1 averages for 0 parameters/);
  for (const bad of [
    null,
    {},
    { averages: [leaf(1)], decay: 0.5, updates: 1 },
    { averages: [leaf(1, 2)], decay: 2, updates: 1 },
  ]) {
    expect(() => {
      average.loadStateDict(bad as optim.AverageState);
    }).toThrow(/loadStateDict takes|does not fit|decay must/);
  }
});

describe('gradient accumulation', () => {
  const x = Array.from({ length: 12 }, (_, i) => [Math.sin(i), Math.cos(2 * i)]);
  const rows = (from: number, to: number): Tensor => tensor(x.slice(from, to));

  function train(step: (layer: nn.Linear, optimizer: optim.Adam) => void): number[] {
    const layer = nn.linear(2, 1);
    layer.loadStateDict({ weight: tensor([[0.3, -0.7]]), bias: tensor([0.1]) });
    step(layer, optim.adam(layer.parameters(), { lr: 0.1 }));
    return layer.parameters().flatMap((p) => [...p.dataSync()]);
  }
  const lossOf = (layer: nn.Linear, part: Tensor): Tensor => layer.forward(part).sub(1).square().mean();

  function whole(sizes: readonly number[]): number[] {
    return train((layer, optimizer) => {
      let from = 0;
      for (const size of sizes) {
        optimizer.zeroGrad();
        lossOf(layer, rows(from, (from += size))).backward();
        optimizer.step();
      }
    });
  }

  function accumulated(steps: number, size: number): number[] {
    return train((layer, optimizer) => {
      const accumulator = new optim.GradientAccumulator(optimizer, steps);
      for (let from = 0; from < 12; from += size) {
        tidy(() => {
          accumulator.backward(lossOf(layer, rows(from, from + size)));
        });
        if (accumulator.isFull) accumulator.step();
      }
      accumulator.step();
      accumulator.step();
      expect(layer.weight.grad).toBeNull();
    });
  }

  test.each([
    ['3 of 2 samples are as one of 6', 3, 2, [6, 6]],
    ['4 of 1 sample are as one of 4', 4, 1, [4, 4, 4]],
    ['what is left over counts by itself', 4, 2, [8, 4]],
  ])('%s', (_, steps, size, sizes) => {
    const expected = whole(sizes);
    accumulated(steps, size).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 5);
    });
  });

  test('bad calls', () => {
    const p = leaf(1);
    expect(() => new optim.GradientAccumulator(optim.sgd([p]), 0)).toThrow(/steps must be an integer/);
    expect(() => new optim.GradientAccumulator(null as never, 1)).toThrow(/expected an optimizer, got null/);
    const accumulator = new optim.GradientAccumulator(optim.sgd([p]), 1);
    accumulator.backward(p.sum());
    expect(() => {
      accumulator.backward(p.sum());
    }).toThrow(/1 losses were added; call step/);
  });
});

test('norms of any order', () => {
  const [a, b] = [leaf(0, 0), leaf(0)];
  const set = (): void => {
    a.grad = tensor([3, -4]);
    b.grad = tensor([12]);
  };
  for (const [normType, norm] of [
    [1, 19],
    [2, 13],
    [3, (27 + 64 + 1728) ** (1 / 3)],
    [Infinity, 12],
  ]) {
    set();
    expect(optim.clipGradNorm([a, b], 1, { normType })).toBeCloseTo(norm, 4);
    expect(optim.clipGradNorm([a, b], 1, { normType })).toBeCloseTo(1, 5);
  }
  a.grad = tensor([NaN, 1]);
  expect(optim.clipGradNorm([a, b], 1)).toBeNaN();
  expect(() => optim.clipGradNorm([a], 1, { normType: 0 })).toThrow(/normType/);
});

test('clipping leaves no tensor behind', () => {
  const p = leaf(1, 2);
  p.grad = tensor([30, 40]);
  const before = countTensors();
  optim.clipGradNorm([p], 1);
  optim.clipGradValue([p], 0.1);
  expect(memoryStats().tensors).toBe(before);
});

import { data, manualSeed, nn, numThreads, optim, tensor, type AnyTensor, type Tensor } from '../../lib';
import { testOfHost } from '../ofHost';

/** Points in a plane, labelled by the quadrant they are in. */
function quadrants(count: number): data.TensorDataset {
  const points = Array.from({ length: count }, (_, i) => {
    const angle = i * 2.399963; // the golden angle: even coverage without a generator
    return [Math.cos(angle) * (0.3 + (i % 7) / 7), Math.sin(angle) * (0.3 + (i % 7) / 7)];
  });
  const labels = Int32Array.from(points, ([x, y]) => Number(x > 0) + 2 * Number(y > 0));
  return new data.TensorDataset(tensor(points), tensor(labels));
}

function network(): nn.Sequential {
  return nn.sequential(nn.linear(2, 16), nn.relu(), nn.linear(16, 4));
}

const settings = { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] } as const;

describe('fit', () => {
  test('learns, and reports what it learned', async () => {
    manualSeed(0);
    const model = network().compile({ optimizer: (p) => new optim.Adam(p, { lr: 0.02 }), ...settings });
    const seen: number[] = [];
    const { epoch, history } = await model.fit(quadrants(400), {
      epochs: 20,
      batchSize: 32,
      validation: quadrants(101),
      verbose: 0,
      onEpochEnd: (n, logs) => seen.push(n + logs.loss * 0),
    });
    expect(epoch).toHaveLength(20);
    expect(seen).toEqual([...epoch]);
    expect(Object.keys(history).sort()).toEqual(['accuracy', 'loss', 'val_accuracy', 'val_loss']);
    expect(history.loss[19]).toBeLessThan(history.loss[0] / 3);
    expect(history.val_accuracy[19]).toBeGreaterThan(0.95);
    const { accuracy, loss } = await model.evaluate(quadrants(101));
    expect([accuracy, loss]).toEqual([history.val_accuracy[19], history.val_loss[19]]);
  });

  test('the same seed gives the same weights to the bit', async () => {
    const run = async (): Promise<unknown[]> => {
      manualSeed(11);
      const model = network().compile({ optimizer: 'adam', ...settings });
      await model.fit(quadrants(300), { epochs: 3, verbose: 0 });
      return model.parameters().map((p) => p.toArray());
    };
    expect(numThreads()).toBeGreaterThan(0);
    const first = await run();
    expect(await run()).toEqual(first);
  });

  test.each(['sgd', 'rmsprop', 'adamw'] as const)('optimizer %s lowers the loss', async (optimizer) => {
    manualSeed(3);
    const model = network().compile({ optimizer, ...settings });
    const { history } = await model.fit(quadrants(200), { epochs: 5, verbose: 0 });
    expect(history.loss[4]).toBeLessThan(history.loss[0]);
  });

  test('a loss of one’s own', async () => {
    manualSeed(2);
    const x = tensor([[0], [1], [2], [3]]);
    const y = tensor([[1], [3], [5], [7]]);
    const model = nn.linear(1, 1).compile({
      optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
      loss: (output: AnyTensor, target: AnyTensor) =>
        (output as Tensor)
          .sub(target as Tensor)
          .square()
          .mean(),
    });
    await model.fit({ x, y }, { epochs: 300, batchSize: 4, verbose: 0 });
    expect(model.weight.item()).toBeCloseTo(2, 2);
    expect(model.bias?.item()).toBeCloseTo(1, 1);
    const predicted = await model.predict(tensor([[10]]));
    expect(predicted.item()).toBeCloseTo(21, 0);
  });

  test('a final softmax trains on its logits', async () => {
    const train = async (withSoftmax: boolean): Promise<number[]> => {
      manualSeed(5);
      const layers = [nn.linear(2, 8), nn.relu(), nn.linear(8, 4)];
      const model = nn.sequential(...layers, ...(withSoftmax ? [nn.softmax()] : []));
      model.compile({ optimizer: 'adam', ...settings });
      const { history } = await model.fit(quadrants(100), { epochs: 2, verbose: 0 });
      if (withSoftmax) {
        const total = (await model.predict(quadrants(3).x)).sum(1).toArray() as number[];
        for (const value of total) expect(value).toBeCloseTo(1, 5);
      }
      return [...history.loss];
    };
    expect(await train(true)).toEqual(await train(false));
  });

  testOfHost(
    'leaves the event loop free',
    async () => {
      manualSeed(1);
      const model = nn
        .sequential(nn.linear(2, 256), nn.relu(), nn.linear(256, 4))
        .compile({ optimizer: 'adam', ...settings });
      // The best of some: on a busy machine the loop waits for a core, too.
      let msPerTurn = Infinity;
      for (let i = 0; i < 8 && msPerTurn > 20; i++) {
        let turns = 0;
        const timer = setInterval(() => turns++, 1);
        const start = performance.now();
        try {
          await model.fit(quadrants(4000), { epochs: 40, batchSize: 16, verbose: 0 });
        } finally {
          clearInterval(timer);
        }
        msPerTurn = (performance.now() - start) / turns;
      }
      expect(msPerTurn).toBeLessThan(20);
    },
    60_000,
  );

  test('stops at a signal and keeps the weights', async () => {
    const model = network().compile({ optimizer: 'adam', ...settings });
    const controller = new AbortController();
    const training = model.fit(quadrants(1000), {
      epochs: 100_000,
      verbose: 0,
      signal: controller.signal,
      onEpochEnd: (epoch) => {
        if (epoch === 1) controller.abort(new Error('enough'));
      },
    });
    await expect(training).rejects.toThrow('enough');
    expect(model.training).toBe(true);
    expect(model.parameters().every((p) => !p.isDisposed)).toBe(true);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no compile', async () => network().fit(quadrants(4)), /call compile/],
    [
      'an unknown loss',
      async () =>
        network()
          .compile({ optimizer: 'adam', loss: 'hinge' as 'mse' })
          .fit(quadrants(4)),
      /unknown loss "hinge"/,
    ],
    [
      'an unknown optimizer',
      async () =>
        network()
          .compile({ optimizer: 'sophia' as 'adam', loss: 'mse' })
          .fit(quadrants(4)),
      /unknown optimizer "sophia"/,
    ],
    [
      'an unknown metric',
      async () =>
        network()
          .compile({ optimizer: 'adam', loss: 'mse', metrics: ['f1' as 'accuracy'] })
          .fit(quadrants(4)),
      /unknown metric "f1"/,
    ],
    [
      'no data',
      async () =>
        network()
          .compile({ optimizer: 'adam', ...settings })
          .fit(quadrants(0)),
      /empty|as many/,
    ],
    [
      'half a sample a batch',
      async () =>
        network()
          .compile({ optimizer: 'adam', ...settings })
          .fit(quadrants(4), { batchSize: 0.5 }),
      /batchSize must be an integer/,
    ],
    [
      'counts that differ',
      async () =>
        network()
          .compile({ optimizer: 'adam', ...settings })
          .fit({ x: tensor([[1, 2]]), y: tensor(new Int32Array(2)) }),
      /as many entries/,
    ],
    [
      'labels out of range',
      async () =>
        network()
          .compile({ optimizer: 'adam', ...settings })
          .fit({ x: tensor([[1, 2]]), y: tensor(new Int32Array([4])) }, { verbose: 0 }),
      /label 4/,
    ],
  ])('refuses %s', async (_, attempt, message) => {
    await expect(async () => attempt()).rejects.toThrow(message);
  });
});

test('predict joins its batches', async () => {
  const model = network();
  const { x } = quadrants(50);
  const whole = await model.predict(x, { batchSize: 50 });
  const parts = await model.predict(x, { batchSize: 7 });
  expect(parts.shape).toEqual([50, 4]);
  expect(parts.sub(whole).abs().max().item()).toBeLessThan(1e-6);
  expect(whole.requiresGrad).toBe(false);
});

test('summary counts parameters', () => {
  const text = nn
    .sequential(nn.flatten(), nn.linear(784, 128), nn.relu(), nn.linear(128, 10))
    .summary({ print: false });
  expect(text).toContain('Linear(784, 128)');
  expect(text).toContain('100,480');
  expect(text).toContain('Parameters: 101,770');
});

import { assign, compile, data, manualSeed, memoryStats, nn, optim, tensor, type Tensor } from '../../lib';
import { countTensors } from '../tensorCount';

const features = 3;
const settings = { loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] } as const;

/** Numbers that tell nobody anything, the same each time. */
function samples(count: number): { xs: Float32Array; ys: Int32Array } {
  const xs = Float32Array.from({ length: count * features }, (_, i) => Math.sin(i * 12.9898) * 2);
  return { xs, ys: Int32Array.from({ length: count }, (_, i) => (i * 7) % 4) };
}

function dataset(count: number): data.TensorDataset {
  const { xs, ys } = samples(count);
  return new data.TensorDataset(tensor(xs, { shape: [count, features] }), tensor(ys));
}

function model(runEagerly = false): nn.Sequential {
  manualSeed(4);
  const layers = [nn.linear(features, 8), nn.relu(), nn.linear(8, 4)];
  return nn
    .sequential(...layers)
    .compile({ optimizer: (p) => new optim.Adam(p, { lr: 0.01 }), runEagerly, ...settings });
}

function weights(trained: nn.Module): unknown[] {
  return trained.parameters().map((p) => p.toArray());
}

/** The batches of a dataset in order, made new each time. */
function* batches(count: number, batchSize: number): Generator<{ x: Tensor; y: Tensor<'int32'> }, void, undefined> {
  const { xs, ys } = samples(count);
  for (let start = 0; start < count; start += batchSize) {
    const end = Math.min(start + batchSize, count);
    const x = tensor(xs.slice(start * features, end * features), { shape: [end - start, features] });
    yield { x, y: tensor(ys.slice(start, end)) };
  }
}

const later = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the same weights to the bit as with a dataset in the same order', () => {
  // 50 samples in batches of 8: the last batch has another size.
  const [count, batchSize, epochs] = [50, 8, 3];
  const expected = async (seed?: number, runEagerly = false): Promise<unknown[]> => {
    const trained = model(runEagerly);
    const order = seed === undefined ? { shuffle: false } : { seed };
    const { history } = await trained.fit(dataset(count), { epochs, batchSize, verbose: 0, ...order });
    return [...weights(trained), history];
  };
  const { xs, ys } = samples(count);
  const sample = (i: number): [Float32Array, number] => [xs.subarray(i * features, (i + 1) * features), ys[i]];
  const dtypes = { y: 'int32' } as const;

  const sources: [string, () => Parameters<nn.Module['fit']>[0]][] = [
    ['a generator function', () => () => batches(count, batchSize)],
    ['an array', () => [...batches(count, batchSize)]],
    [
      'an async generator function of pairs',
      () =>
        async function* () {
          for (const { x, y } of batches(count, batchSize)) {
            await later();
            yield [x, y];
          }
        },
    ],
    [
      'batches that are disposed as soon as the next one is asked for',
      () =>
        function* () {
          for (const { x, y } of batches(count, batchSize)) {
            yield { x, y };
            x.dispose();
            y.dispose();
          }
        },
    ],
    [
      'one array that is filled again for each batch',
      () =>
        function* () {
          const buffer = new Float32Array(batchSize);
          for (const { x, y } of batches(count, batchSize)) {
            buffer.set(y.dataSync());
            const labels = Int32Array.from(buffer.subarray(0, y.size));
            yield [x.toArray(), labels];
            labels.fill(99);
          }
        },
    ],
    ['a loader of tensors', () => new data.DataLoader(dataset(count), { batchSize })],
    [
      'a loader of a dataset with get',
      () =>
        new data.DataLoader(
          { length: count, get: async (i: number) => later().then(() => sample(i)) },
          { batchSize, dtypes },
        ),
    ],
    [
      'a loader of an iterable',
      () =>
        new data.DataLoader(
          function* () {
            for (let i = 0; i < count; i++) yield sample(i);
          },
          { batchSize, dtypes },
        ),
    ],
  ];
  test.each(sources)('%s', async (_, source) => {
    for (const runEagerly of [false, true]) {
      const trained = model(runEagerly);
      const { history, fallbackReason } = await trained.fit(source(), { epochs, verbose: 0 });
      expect(fallbackReason).toBeNull();
      expect([...weights(trained), history]).toEqual(await expected(undefined, runEagerly));
    }
  });

  test('a loader that shuffles', async () => {
    const reference = await expected(5);
    const loaders = [
      new data.DataLoader(dataset(count), { batchSize, shuffle: true, seed: 5 }),
      new data.DataLoader({ length: count, get: sample }, { batchSize, shuffle: true, seed: 5, dtypes }),
    ];
    for (const loader of loaders) {
      const trained = model();
      const { history } = await trained.fit(loader as never, { epochs, verbose: 0 });
      expect([...weights(trained), history]).toEqual(reference);
    }
  });

  test('a step that cannot be compiled', async () => {
    const trained = model().compile({
      optimizer: (p) => new optim.Adam(p, { lr: 0.01 }),
      loss: (output, target) => {
        // Not of the first batches: those have been compiled.
        if (output.shape[0] < batchSize) output.dataSync();
        return nn.functional.crossEntropy(output, target as Tensor<'int32'>);
      },
      metrics: ['accuracy'],
    });
    const { history, fallbackReason } = await trained.fit(() => batches(count, batchSize), { epochs, verbose: 0 });
    expect(fallbackReason?.message).toMatch(/values/);
    const eager = await expected();
    const last = history.loss[epochs - 1];
    expect(last).toBeCloseTo((eager[eager.length - 1] as { loss: number[] }).loss[epochs - 1], 5);
  });
});

describe('evaluate and predict', () => {
  test('take iterables and loaders', async () => {
    const trained = model();
    const { x, y } = dataset(20);
    const whole = await trained.evaluate({ x, y }, { batchSize: 8 });
    const outputs = (await trained.predict(x, { batchSize: 8 })).toArray();
    for (const source of [
      () => batches(20, 8),
      [...batches(20, 8)],
      new data.DataLoader({ x, y }, { batchSize: 8 }),
    ] as const) {
      expect(await trained.evaluate(source)).toEqual(whole);
      expect((await trained.predict(source)).toArray()).toEqual(outputs);
    }
    expect((await trained.predict([x.slice([0, 8]), x.slice([8, 16]), x.slice([16, 20])])).toArray()).toEqual(outputs);
    expect((await trained.predict(new data.TensorDataset(x, y), { batchSize: 8 })).toArray()).toEqual(outputs);
    expect(trained.training).toBe(true);
  });

  test('validation takes them too', async () => {
    const trained = model();
    const { history } = await trained.fit(dataset(20), { epochs: 2, verbose: 0, validation: () => batches(20, 8) });
    const { loss, accuracy } = await trained.evaluate(dataset(20), { batchSize: 8 });
    expect([history.val_loss[1], history.val_accuracy[1]]).toEqual([loss, accuracy]);
  });
});

describe('prefetching', () => {
  /** What happened, in order: `next n` when batch n is asked for, `end n` when its step has ended. */
  async function recorded(prefetch: number, isAsync: boolean): Promise<string[]> {
    const events: string[] = [];
    let ended = 0;
    async function* source(): AsyncGenerator<unknown, void, undefined> {
      let n = 0;
      events.push(`next ${n}`);
      for (const batch of batches(80, 8)) {
        if (isAsync) await later();
        yield batch;
        events.push(`next ${++n}`);
      }
    }
    const metric = (): number => {
      events.push(`end ${ended++}`);
      return 0;
    };
    const trained = model().compile({ optimizer: 'sgd', loss: settings.loss, metrics: { metric } });
    await trained.fit(source as never, { prefetch, verbose: 0 });
    return events;
  }

  test.each([
    [0, false],
    [1, false],
    [2, false],
    [2, true],
    [4, true],
  ])('%i ahead (async %p)', async (prefetch, isAsync) => {
    const events = await recorded(prefetch, isAsync);
    // The 10 batches and the end.
    expect(events.filter((event) => event.startsWith('next'))).toHaveLength(11);
    let [asked, ended, most] = [0, 0, 0];
    for (const event of events) {
      if (event.startsWith('end')) ended++;
      else asked++;
      most = Math.max(most, asked - ended - 1);
    }
    expect(ended).toBe(10);
    expect(most).toBeLessThanOrEqual(prefetch);
    // The source that is quick is as far ahead as it may be, each time.
    if (!isAsync) expect(most).toBe(prefetch);
    // The results of a step come by the event loop, which has not had a turn since the step was queued.
    for (let n = 1; n <= (isAsync ? 1 : prefetch); n++) {
      if (prefetch > 0) expect(events.indexOf(`next ${n}`)).toBeLessThan(events.indexOf('end 0'));
    }
  });

  test('a loader fetches ahead of a loop', async () => {
    const asked: number[] = [];
    const get = async (i: number): Promise<number[]> => {
      asked.push(i);
      await later();
      return [i, i];
    };
    const loader = new data.DataLoader({ length: 6, get }, { batchSize: 2, prefetch: 1 });
    expect(loader.length).toBe(3);
    const seen: unknown[] = [];
    for await (const { x, y } of loader) {
      if (seen.length === 0) {
        await later();
        await later();
        expect(asked).toEqual([0, 1, 2, 3]);
      }
      seen.push(x.toArray(), y.toArray());
    }
    expect(seen).toEqual([
      [0, 1],
      [0, 1],
      [2, 3],
      [2, 3],
      [4, 5],
      [4, 5],
    ]);
  });
});

/** A source that records what becomes of it. */
function watched(fail = -1): {
  source: () => AsyncGenerator<unknown, void, undefined>;
  returned: () => number;
  asked: () => number;
} {
  let [returned, asked] = [0, 0];
  return {
    returned: () => returned,
    asked: () => asked,
    source: async function* () {
      let isOver = false;
      try {
        for (;;) {
          for (const batch of batches(80, 8)) {
            await later();
            if (asked++ === fail) {
              isOver = true;
              throw new Error('the disk is gone');
            }
            yield batch;
          }
        }
      } finally {
        if (!isOver) returned++;
      }
    },
  };
}

describe('ending early', () => {
  test('an error of the source rejects, after the steps before it', async () => {
    const { source, returned } = watched(5);
    const trained = model();
    await expect(trained.fit(source as never, { verbose: 0 })).rejects.toThrow('the disk is gone');
    const reference = model();
    await reference.fit(dataset(40), { batchSize: 8, shuffle: false, verbose: 0 });
    expect(weights(trained)).toEqual(weights(reference));
    expect(returned()).toBe(0);
    expect(trained.training).toBe(true);
  });

  test('stepsPerEpoch', async () => {
    const { source, returned, asked } = watched();
    const trained = model();
    await trained.fit(source as never, { stepsPerEpoch: 3, epochs: 2, verbose: 0 });
    expect([returned(), asked()]).toEqual([2, 6]);
  });

  test('a generator goes on in the next epoch', async () => {
    const { source, returned, asked } = watched();
    const trained = model();
    await trained.fit(source() as never, { stepsPerEpoch: 5, epochs: 2, verbose: 0 });
    expect([returned(), asked()]).toEqual([1, 10]);
    const reference = model();
    await reference.fit(dataset(80), { batchSize: 8, shuffle: false, verbose: 0 });
    expect(weights(trained)).toEqual(weights(reference));
  });

  test('stepsPerEpoch limits a dataset, too', async () => {
    const [trained, reference] = [model(), model()];
    await trained.fit(dataset(80), { batchSize: 8, shuffle: false, stepsPerEpoch: 5, verbose: 0 });
    await reference.fit(dataset(40), { batchSize: 8, shuffle: false, verbose: 0 });
    expect(weights(trained)).toEqual(weights(reference));
  });

  test('a signal', async () => {
    const { source, returned } = watched();
    const controller = new AbortController();
    let steps = 0;
    const metric = (): number => {
      if (++steps === 4) controller.abort(new Error('enough'));
      return 0;
    };
    const trained = model().compile({ optimizer: 'sgd', loss: settings.loss, metrics: { metric } });
    const fitting = trained.fit(source as never, { signal: controller.signal, verbose: 0 });
    await expect(fitting).rejects.toThrow('enough');
    await later();
    await later();
    expect(returned()).toBe(1);
    expect(trained.parameters().every((p) => !p.isDisposed)).toBe(true);
  });

  test('a signal does not wait for a source that never answers', async () => {
    const controller = new AbortController();
    let returned = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => new Promise<IteratorResult<never>>(() => undefined),
        return: async () => {
          returned++;
          return new Promise<IteratorResult<never>>(() => undefined);
        },
      }),
    };
    setImmediate(() => {
      controller.abort(new Error('enough'));
    });
    await expect(model().fit(source, { signal: controller.signal, verbose: 0 })).rejects.toThrow('enough');
    expect(returned).toBe(1);
  });

  test('a step that fails', async () => {
    let returned = 0;
    const source = function* (): Generator<unknown, void, undefined> {
      try {
        yield { x: tensor([[1, 2, 3]]), y: tensor(new Int32Array([0])) };
        for (;;) yield { x: tensor([[1, 2, 3]]), y: tensor(new Int32Array([4])) };
      } finally {
        returned++;
      }
    };
    const trained = model();
    await expect(trained.fit(source as never, { verbose: 0 })).rejects.toThrow(/label 4/);
    expect(returned).toBe(1);
    const reference = model();
    await reference.fit([{ x: tensor([[1, 2, 3]]), y: tensor(new Int32Array([0])) }], { verbose: 0 });
    expect(weights(trained)).toEqual(weights(reference));
  });

  test('a loop over a loader that is left', async () => {
    let returned = 0;
    const before = countTensors();
    const loader = new data.DataLoader(
      function* () {
        try {
          for (let i = 0; ; i++) yield [i, i];
        } finally {
          returned++;
        }
      },
      { batchSize: 4 },
    );
    for await (const { x, y } of loader) {
      x.dispose();
      y.dispose();
      break;
    }
    expect(returned).toBe(1);
    // Without a collection: what was fetched ahead has been disposed.
    expect(memoryStats().tensors).toBeLessThanOrEqual(before);
  });

  test('what has thrown is not asked to return', async () => {
    let returned = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => Promise.reject<IteratorResult<never>>(new Error('the disk is gone')),
        return: async () => {
          returned++;
          return Promise.resolve({ done: true, value: undefined } as const);
        },
      }),
    };
    await expect(model().fit(source, { verbose: 0 })).rejects.toThrow('the disk is gone');
    expect(returned).toBe(0);
  });
});

describe('memory', () => {
  test('of batches that are arrays, and of a loader, does not grow', async () => {
    const trained = model();
    const { xs, ys } = samples(64);
    const rows = Array.from({ length: 64 }, (_, i) => [...xs.subarray(i * features, (i + 1) * features)]);
    const arrays = function* (): Generator<[number[][], Int32Array], void, undefined> {
      for (let start = 0; start < 64; start += 8) yield [rows.slice(start, start + 8), ys.slice(start, start + 8)];
    };
    const sample = (i: number): [number[], number] => [rows[i], ys[i]];
    const loader = new data.DataLoader({ length: 64, get: sample }, { batchSize: 8, dtypes: { y: 'int32' } });
    const held = dataset(64);
    const all = [arrays, loader, new data.DataLoader(held, { batchSize: 8, shuffle: true })] as const;
    const go = async (): Promise<void> => {
      for (const source of all) {
        await trained.fit(source, { epochs: 3, verbose: 0 });
        await trained.evaluate(source);
        (await trained.predict(source)).dispose();
      }
    };
    await go();
    // Not a tensor is left to the garbage collector: none is alive that was not before.
    const before = countTensors();
    await go();
    expect(memoryStats().tensors).toBeLessThanOrEqual(before);
  });

  test('of an iterable is its own: nothing of it is disposed', async () => {
    const trained = model();
    const given = [...batches(24, 8)];
    await trained.fit(given, { epochs: 2, verbose: 0 });
    await trained.evaluate(given);
    expect(given.flatMap(({ x, y }) => [x.isDisposed, y.isDisposed])).not.toContain(true);
    const before = countTensors();
    await trained.fit(given, { epochs: 2, verbose: 0 });
    // Fetching has made none; what fit held of them has been disposed.
    expect(memoryStats().tensors).toBeLessThanOrEqual(before);
  });

  test('of what is fetched when it ends is given back', async () => {
    const get = async (i: number): Promise<number[][]> => {
      await later();
      if (i === 20) throw new Error('the disk is gone');
      return [
        [i, 1, 2],
        [0, 0, 0],
      ];
    };
    const trained = nn.linear(3, 3).compile({ optimizer: 'sgd', loss: 'mse' });
    const go = async (): Promise<void> => {
      const loader = new data.DataLoader({ length: 40, get }, { batchSize: 2 });
      await expect(trained.fit(loader, { verbose: 0 })).rejects.toThrow('disk');
    };
    await go();
    const before = countTensors();
    await go();
    expect(memoryStats().tensors).toBeLessThanOrEqual(before);
  });
});

test('a tensor that is changed in place before its turn is an error', async () => {
  const x = tensor([[1, 2, 3]]);
  const y = tensor(new Int32Array([1]));
  const source = function* (): Generator<[Tensor, Tensor], void, undefined> {
    for (;;) {
      yield [x, y as never];
      assign(x, tensor([[1, 1, 1]]));
    }
  };
  await expect(model(true).fit(source, { stepsPerEpoch: 4, verbose: 0 })).rejects.toThrow(/changed in place/);
  await model(true).fit(source, { stepsPerEpoch: 4, verbose: 0, prefetch: 0 });
});

test.each<[string, unknown, object, RegExp]>([
  ['no batches', [], {}, /gave no batches/],
  ['a generator for two epochs', batches(8, 8), { epochs: 2 }, /no batches in epoch 2; a generator .* once/],
  ['tensors without targets', [tensor([[1, 2, 3]])], {}, /batch 1: expected \[x, y\] or { x, y }, got a tensor/],
  ['counts that differ', [[tensor([[1, 2, 3]]), tensor(new Int32Array(2))]], {}, /batch 1: \[1,3\] and \[2\]/],
  ['an empty batch', [[tensor([]), tensor([])]], {}, /there must be samples/],
  ['a scalar', [[1, 2]], {}, /there must be samples/],
  ['a batch size', [], { batchSize: 3 }, /batchSize is for samples in memory/],
  ['an order', [], { shuffle: true }, /shuffle is for samples in memory/],
  ['half a batch ahead', [], { prefetch: 0.5 }, /prefetch must be an integer/],
  ['no step', [], { stepsPerEpoch: 0 }, /stepsPerEpoch must be an integer/],
  ['a function that gives none', () => 3, {}, /iterable|iterator/],
])('fit refuses %s', async (_, source, options, message) => {
  await expect(model().fit(source as never, { verbose: 0, ...options })).rejects.toThrow(message);
});

test('a step of one’s own takes the batches of a loader', async () => {
  const loader = new data.DataLoader(dataset(20), { batchSize: 8, dropLast: true });
  const step = compile((x: Tensor, y: Tensor<'int32'>) => nn.functional.crossEntropy(model().forward(x), y));
  const sizes: number[] = [];
  for await (const { x, y } of loader) {
    sizes.push(x.shape[0]);
    expect((await step(x as Tensor, y as Tensor<'int32'>)).item()).toBeGreaterThan(0);
  }
  expect(sizes).toEqual([8, 8]);
});

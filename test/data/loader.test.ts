import { data, manualSeed, tensor, type AnyTensor, type Tensor } from '../../lib';

const { DataLoader } = data;

/** What a loader gives in one go: x and y of each batch as arrays. */
async function all(loader: AsyncIterable<data.Samples>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const { x, y } of loader) seen.push([x.toArray(), y.toArray()]);
  return seen;
}

function numbers(count: number): data.TensorDataset {
  const x = tensor(Float32Array.from({ length: count }, (_, i) => i));
  return new data.TensorDataset(x, tensor(Int32Array.from({ length: count }, (_, i) => 10 * i)));
}

describe('batches', () => {
  const expected = [
    [
      [0, 1],
      [0, 10],
    ],
    [
      [2, 3],
      [20, 30],
    ],
    [[4], [40]],
  ];
  const { x, y } = numbers(5);
  const pairs = Array.from({ length: 5 }, (_, i) => [i, 10 * i]);
  test.each<[string, data.Dataset]>([
    ['tensors', { x, y }],
    ['a TensorDataset', numbers(5)],
    ['an array', pairs],
    ['a dataset with get', { length: 5, get: (i) => ({ x: i, y: 10 * i }) }],
    ['a dataset of promises', { length: 5, get: async (i) => Promise.resolve([i, 10 * i]) }],
    ['a dataset that gathers', { length: 5, gather: (index) => numbers(5).gather(index) }],
    ['a generator function', () => pairs.values()],
    ['a set of promises', new Set(pairs.map(async (pair) => Promise.resolve(pair)))],
  ])('of %s', async (_, dataset) => {
    for (const prefetch of [0, 1, 5]) {
      const loader = new DataLoader(dataset, { batchSize: 2, prefetch });
      expect(await all(loader)).toEqual(expected);
      expect(await all(loader)).toEqual(expected);
      const whole = new DataLoader(dataset, { batchSize: 2, prefetch, dropLast: true });
      expect(await all(whole)).toEqual(expected.slice(0, 2));
    }
  });

  test('their number', () => {
    expect(new DataLoader(numbers(5), { batchSize: 2 }).length).toBe(3);
    expect(new DataLoader(numbers(5), { batchSize: 2, dropLast: true }).length).toBe(2);
    expect(new DataLoader(() => pairs.values()).length).toBeUndefined();
    expect(new DataLoader(numbers(0)).length).toBe(0);
  });
});

test('shuffling visits everything once, in a new order each time, the same for the same seed', async () => {
  const order = async (loader: AsyncIterable<data.Samples>): Promise<number[]> =>
    (await all(loader)).flatMap((batch) => (batch as number[][])[0]);
  const loader = new DataLoader(numbers(50), { batchSize: 8, shuffle: true, seed: 3 });
  const [first, second] = [await order(loader), await order(loader)];
  expect(second).not.toEqual(first);
  for (const one of [first, second]) {
    expect([...one].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  }
  const again = new DataLoader({ length: 50, get: (i) => [i, i] }, { batchSize: 7, shuffle: true, seed: 3 });
  expect([await order(again), await order(again)]).toEqual([first, second]);
  // Which samples are left out differs from time to time.
  const cut = new DataLoader(numbers(50), { batchSize: 8, shuffle: true, seed: 3, dropLast: true });
  expect(await order(cut)).toEqual(first.slice(0, 48));
  manualSeed(1);
  const drawn = await order(new DataLoader(numbers(50), { shuffle: true }));
  manualSeed(1);
  expect(await order(new DataLoader(numbers(50), { shuffle: true }))).toEqual(drawn);
});

describe('one tensor of many samples', () => {
  const batch = async (samples: readonly data.Pair[], dtypes = {}): Promise<{ x: AnyTensor; y: AnyTensor }> => {
    for await (const one of new DataLoader(samples, { batchSize: samples.length, dtypes })) return one;
    throw new Error('no batch');
  };

  test('of typed arrays, numbers, nested arrays and tensors', async () => {
    const typed = await batch([
      [new Float32Array([1, 2]), new Uint8Array([3])],
      [new Float32Array([4, 5]), new Uint8Array([6])],
    ]);
    expect([typed.x.dtype, typed.x.toArray(), typed.y.dtype, typed.y.toArray()]).toEqual([
      'float32',
      [
        [1, 2],
        [4, 5],
      ],
      'uint8',
      [[3], [6]],
    ]);
    const mixed = await batch([
      [[[1], [2]], 3],
      [[[4], [5]], 6],
    ]);
    expect([mixed.x.shape, mixed.y.dtype, mixed.y.toArray()]).toEqual([[2, 2, 1], 'float32', [3, 6]]);
    const labelled = await batch(
      [
        [[1], 3],
        [[2], 4],
      ],
      { x: 'float64', y: 'int32' },
    );
    expect([labelled.x.dtype, labelled.y.dtype]).toEqual(['float64', 'int32']);
    const samples = Array.from({ length: 40 }, (_, i) => [tensor([[i, -i]]), tensor(new Int32Array([i])).slice(0)]);
    const stacked = await batch(samples);
    expect([stacked.x.shape, stacked.y.shape, stacked.y.dtype]).toEqual([[40, 1, 2], [40], 'int32']);
    expect((stacked.x as Tensor).slice(39).toArray()).toEqual([[39, -39]]);
    expect(samples.flat().some((one) => one.isDisposed)).toBe(false);
  });

  test.each<[string, readonly unknown[], RegExp]>([
    [
      'typed arrays of different lengths',
      [
        [new Float32Array(2), 1],
        [new Float32Array(3), 1],
      ],
      /x of sample 1 .* length/,
    ],
    [
      'typed arrays of different kinds',
      [
        [1, new Int8Array(2)],
        [1, new Uint8Array(2)],
      ],
      /y of sample 1 .* kind/,
    ],
    [
      'tensors and numbers',
      [
        [tensor([1]), 1],
        [[1], 1],
      ],
      /only some x of a batch are tensors/,
    ],
    [
      'tensors of different shapes',
      [
        [tensor([1]), 1],
        [tensor([1, 2]), 1],
      ],
      /stack/,
    ],
    ['samples without targets', [[1], [2]], /sample: expected \[x, y\] or { x, y }, got an array of 1/],
    ['nothing', [undefined, undefined], /got undefined/],
  ])('not of %s', async (_, samples, message) => {
    await expect(async () => batch(samples as data.Pair[])).rejects.toThrow(message);
  });

  test('by a function of one’s own', async () => {
    const texts = ['a', 'bcd', 'ef'];
    const loader = new DataLoader(texts, { batchSize: 2, collate: (some) => some.join('|') });
    const seen: string[] = [];
    for await (const one of loader) seen.push(one);
    expect(seen).toEqual(['a|bcd', 'ef']);
  });
});

test('an error of the dataset reaches the loop in its turn', async () => {
  const get = (i: number): number[] => {
    if (i === 3) throw new Error('no such file');
    return [i, i];
  };
  const seen: unknown[] = [];
  const go = async (): Promise<void> => {
    for await (const { x } of new DataLoader({ length: 6, get }, { prefetch: 4 })) seen.push(x.item());
  };
  await expect(go()).rejects.toThrow('no such file');
  expect(seen).toEqual([0, 1, 2]);
});

test.each<[string, unknown, object, RegExp]>([
  ['an iterable in random order', () => [], { shuffle: true }, /cannot be shuffled/],
  ['no dataset', 3, {}, /the dataset must be/],
  ['null', null, {}, /the dataset must be/],
  ['no samples in a batch', [], { batchSize: 0 }, /batchSize must be an integer/],
  ['half a batch ahead', [], { prefetch: 0.5 }, /prefetch must be an integer/],
  ['a collate for tensors', numbers(3), { collate: () => 3 }, /takes no collate/],
  ['counts that differ', { x: tensor([1]), y: tensor([1, 2]) }, {}, /as many entries/],
])('a loader refuses %s', (_, dataset, options, message) => {
  expect(() => new DataLoader(dataset as never, options)).toThrow(message);
});

import { data } from '../../lib';

test('tokens are words and marks in lower case', () => {
  expect(data.tokenize("It's GREAT!<br />Don't miss  it, 10/10")).toEqual([
    "it's",
    'great',
    '!',
    "don't",
    'miss',
    'it',
    ',',
    '10',
    '10',
  ]);
  expect(data.tokenize('')).toEqual([]);
});

test('a vocabulary numbers tokens by frequency', () => {
  const vocabulary = data.Vocabulary.build(
    [
      ['b', 'a', 'b'],
      ['c', 'a', 'd'],
    ],
    { maxSize: 3 },
  );
  expect(vocabulary.tokens).toEqual(['a', 'b', 'c']);
  expect(vocabulary.size).toBe(5);
  expect([...vocabulary.encode(['b', 'x', 'a'])]).toEqual([3, 1, 2]);
  expect(data.Vocabulary.build([['b', 'a', 'b']], { minCount: 2 }).tokens).toEqual(['b']);
  expect(() => data.Vocabulary.build([], { minCount: 0 })).toThrow(/minCount must be an integer/);
});

test('sequences are padded to the longest', () => {
  const { values, shape, lengths } = data.padSequences([Int32Array.of(5), Int32Array.of(1, 2, 3), new Int32Array(0)]);
  expect(shape).toEqual([3, 3]);
  expect([...values]).toEqual([5, 0, 0, 1, 2, 3, 0, 0, 0]);
  expect([...lengths]).toEqual([1, 3, 0]);
});

test('batches of similar length hold every sample once', () => {
  const lengths = Array.from({ length: 1000 }, (_, i) => (i * 37) % 100);
  const batches = data.lengthBatches(lengths, { batchSize: 10, seed: 1 });
  expect([...batches.flatMap((batch) => [...batch])].sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
  const waste = batches.map((batch) => {
    const own = [...batch].map((i) => lengths[i]);
    return Math.max(...own) - Math.min(...own);
  });
  expect(waste.reduce((a, b) => a + b, 0) / waste.length).toBeLessThan(10);
  expect(data.lengthBatches(lengths, { batchSize: 10, seed: 1, epoch: 1 })).not.toEqual(batches);
});

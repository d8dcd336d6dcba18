/** The sentiment example on a few sentences that say plainly what they mean; on real ones where a folder is named. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defaults, readReviews, trainSentiment, type Review } from '../../examples/sentiment';

const things = ['film', 'plot', 'cast', 'music', 'ending', 'story', 'camera', 'script'];
const good = ['lovely', 'great', 'moving', 'funny', 'clever'];
const bad = ['dull', 'awful', 'boring', 'silly', 'clumsy'];

function reviews(count: number): Review[] {
  return Array.from({ length: count }, (_, i) => {
    const positive = i % 2 === 0;
    const filler = Array.from({ length: i % 9 }, (__, j) => things[(i + j) % things.length]).join(' ');
    const word = (positive ? good : bad)[(i >> 1) % 5];
    return { text: `${filler} the ${things[i % 8]} is ${word} ${filler}`, positive };
  });
}

const quiet = (): void => undefined;

test('it learns what plain words mean', () => {
  const settings = { ...defaults, epochs: 4, batchSize: 16, learningRate: 5e-3 };
  const accuracies = trainSentiment({ train: reviews(400), test: reviews(100) }, settings, quiet);
  expect(accuracies[3]).toBeGreaterThan(0.95);
});

test('both kinds of places are read', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-reviews-'));
  try {
    for (const part of ['train', 'test']) {
      for (const label of ['pos', 'neg']) {
        mkdirSync(path.join(folder, part, label), { recursive: true });
        writeFileSync(path.join(folder, part, label, '0_1.txt'), `${part} ${label}`);
      }
    }
    const { train, test: held } = readReviews([folder], 0);
    expect(train).toEqual([
      { text: 'train pos', positive: true },
      { text: 'train neg', positive: false },
    ]);
    expect(held.length).toBe(2);
    const [p, n] = [path.join(folder, 'p.txt'), path.join(folder, 'n.txt')];
    writeFileSync(p, Array.from({ length: 30 }, (_, i) => `good ${String(i)}`).join('\n'));
    writeFileSync(n, Array.from({ length: 30 }, (_, i) => `bad ${String(i)}`).join('\n'));
    const split = readReviews([p, n], 3);
    expect([split.train.length, split.test.length]).toEqual([54, 6]);
    expect(new Set([...split.train, ...split.test].map(({ text }) => text)).size).toBe(60);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

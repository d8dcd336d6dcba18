/** The sentiment example on sentences that say plainly what they mean; on real reviews where a variable names them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defaults, readReviews, trainSentiment, type Review } from '../../examples/sentiment';

const things = ['film', 'plot', 'cast', 'music', 'ending', 'story', 'camera', 'script'];
const good = ['lovely', 'great', 'moving', 'funny', 'clever'];
const bad = ['dull', 'awful', 'boring', 'silly', 'clumsy'];

/** The word that counts is somewhere in the middle, in reviews of 5 to 21 words. */
function reviews(count: number): Review[] {
  return Array.from({ length: count }, (_, i) => {
    const positive = i % 2 === 0;
    const filler = Array.from({ length: i % 9 }, (__, j) => things[(i + j) % things.length]).join(' ');
    const word = (positive ? good : bad)[(i >> 1) % 5];
    return { text: `${filler} the ${things[i % 8]} is ${word} ${filler}`, positive };
  });
}

const quiet = (): void => undefined;
/** The compiled example; `npm test` builds it first. */
const program = path.resolve(__dirname, '../../dist/examples/sentiment.js');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kindling-reviews-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test.each([false, true])('it learns what plain words mean, bidirectional %s', (bidirectional) => {
  const settings = { ...defaults, epochs: 4, batchSize: 16, learningRate: 5e-3, bidirectional };
  const accuracies = trainSentiment({ train: reviews(400), test: reviews(100) }, settings, quiet);
  expect(accuracies).toHaveLength(4);
  expect(accuracies[3]).toBeGreaterThan(0.95);
});

test('a seed gives the same results again', () => {
  const settings = { ...defaults, epochs: 1, batchSize: 16, seed: 3 };
  const run = (): string[] => {
    const lines: string[] = [];
    trainSentiment({ train: reviews(100), test: reviews(20) }, settings, (line) => lines.push(line));
    return lines.map((line) => line.replace(/, [\d.]+ s/, ''));
  };
  const lines = run();
  expect(lines[1]).toMatch(/^epoch 1: loss 0\.\d{4}, test accuracy \d+\.\d\d %$/);
  expect(run()).toEqual(lines);
});

test('a folder is read', () => {
  for (const part of ['train', 'test']) {
    for (const label of ['pos', 'neg', 'unsup']) {
      mkdirSync(path.join(folder, part, label), { recursive: true });
      writeFileSync(path.join(folder, part, label, '0_1.txt'), `${part} ${label}`);
    }
  }
  expect(readReviews([folder], 0)).toEqual({
    train: [
      { text: 'train neg', positive: false },
      { text: 'train pos', positive: true },
    ],
    test: [
      { text: 'test neg', positive: false },
      { text: 'test pos', positive: true },
    ],
  });
});

function twoFiles(count: number): string[] {
  return [true, false].map((positive) => {
    const file = path.join(folder, positive ? 'good.txt' : 'bad.txt');
    const own = reviews(2 * count).filter((review) => review.positive === positive);
    writeFileSync(file, own.map(({ text }, i) => `${text} number ${String(i)}`).join('\n'));
    return file;
  });
}

test('two files are read, a tenth held out by the seed', () => {
  const places = twoFiles(30);
  const { train, test: held } = readReviews(places, 3);
  expect([train.length, held.length]).toEqual([54, 6]);
  const all = [...train, ...held];
  expect(new Set(all.map(({ text }) => text)).size).toBe(60);
  expect(all.every(({ text, positive }) => good.some((word) => text.includes(word)) === positive)).toBe(true);
  expect(readReviews(places, 3)).toEqual({ train, test: held });
  expect(readReviews(places, 4).test).not.toEqual(held);
});

test('the program trains on what it is given, and explains what it needs', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  const trained = run(...twoFiles(100), '--epochs=1');
  expect(trained.stderr).toBe('');
  expect(trained.stdout).toMatch(/^180 reviews to learn from, 20 to test, \d+ words\nepoch 1: .* test accuracy/);
  expect(trained.status).toBe(0);
  const lost = run();
  expect(lost.status).toBe(1);
  expect(lost.stderr).toMatch(/Give a folder of reviews/);
  expect(run('--hidden=3', folder).stderr).toMatch(/unknown option --hidden=3; known are epochs, batchSize/);
  expect(run(path.join(folder, 'missing')).stderr).toMatch(/missing.*: cannot be read/);
});

// The folder of the Large Movie Review Dataset, or the two files of the sentence polarity dataset.
const real = process.env.KINDLING_REVIEWS?.split(path.delimiter);
if (real === undefined) {
  console.log(
    `The sentiment example was not tried on real reviews: KINDLING_REVIEWS names no folder (nor two files, with a ` +
      `"${path.delimiter}" between them).`,
  );
} else {
  test('real reviews', () => {
    const accuracies = trainSentiment(readReviews(real, 0));
    expect(accuracies[accuracies.length - 1]).toBeGreaterThanOrEqual(real.length === 1 ? 0.84 : 0.75);
  }, 1_800_000);
}

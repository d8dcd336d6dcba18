/**
 * Film reviews: good or bad? An LSTM reads the words, as in PyTorch's text tutorials.
 *
 *   npm run example:sentiment -- path/to/aclImdb                 a folder with train/pos/*.txt, train/neg/*.txt, test/…
 *   npm run example:sentiment -- positive.txt negative.txt       two files, one sentence a line; a tenth is held out
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { data, manualSeed, nn, noGrad, optim, tensor, tidy, type Tensor } from '../lib';

export interface Review {
  text: string;
  positive: boolean;
}

export interface Settings {
  epochs: number;
  batchSize: number;
  maxLength: number;
  vocabularySize: number;
  learningRate: number;
  dropout: number;
  bidirectional: boolean;
  seed: number;
}

export const defaults: Settings = {
  epochs: 4,
  batchSize: 64,
  maxLength: 256,
  vocabularySize: 20000,
  learningRate: 2e-3,
  dropout: 0.5,
  bidirectional: false,
  seed: 0,
};

function readFolder(folder: string): Review[] {
  const read = (label: string): Review[] =>
    readdirSync(path.join(folder, label))
      .filter((name) => name.endsWith('.txt'))
      .sort()
      .map((name) => ({ text: readFileSync(path.join(folder, label, name), 'utf8'), positive: label === 'pos' }));
  return [...read('pos'), ...read('neg')];
}

function readLines(file: string, positive: boolean): Review[] {
  const lines = readFileSync(file, 'latin1').split('\n');
  return lines.filter((line) => line.trim() !== '').map((text) => ({ text, positive }));
}

/** Training and test reviews from what the command line names. */
export function readReviews(places: readonly string[], seed: number): { train: Review[]; test: Review[] } {
  if (places.length === 1 && statSync(places[0]).isDirectory()) {
    return { train: readFolder(path.join(places[0], 'train')), test: readFolder(path.join(places[0], 'test')) };
  }
  const all = [...readLines(places[0], true), ...readLines(places[1], false)];
  const order = data.permutation(all.length, seed);
  const shuffled = Array.from(order, (i) => all[i]);
  const held = Math.round(all.length / 10);
  return { train: shuffled.slice(held), test: shuffled.slice(0, held) };
}

/** Embedding → LSTM → one number: above 0 is a good review. */
export class SentimentClassifier extends nn.Module {
  readonly embedding: nn.Embedding;
  readonly lstm: nn.LSTM;
  readonly output: nn.Linear;
  readonly dropout: nn.Dropout;

  constructor(vocabularySize: number, { bidirectional, dropout }: Pick<Settings, 'bidirectional' | 'dropout'>) {
    super();
    this.embedding = nn.embedding(vocabularySize, 100, { paddingIndex: data.Vocabulary.padding });
    this.lstm = nn.lstm(100, 128, { batchFirst: true, bidirectional });
    this.output = nn.linear(bidirectional ? 256 : 128, 1);
    this.dropout = nn.dropout(dropout);
  }

  /** @param tokens int32 [n, steps]; @param lengths int32 [n]; @returns [n] */
  override forward(tokens: Tensor<'int32'>, lengths: Tensor<'int32'>): Tensor {
    const words = this.dropout.forward(this.embedding.forward(tokens));
    // The lengths matter: at the padded end of a short review the LSTM has long forgotten it.
    const { state } = this.lstm.run(words, { lengths });
    const last = state.h.transpose(0, 1).flatten(1);
    return this.output.forward(this.dropout.forward(last)).squeeze(1);
  }
}

interface Sample {
  tokens: Int32Array;
  label: number;
}

function batchOf(samples: readonly Sample[], index: Int32Array) {
  const chosen = Array.from(index, (i) => samples[i]);
  const { values, shape, lengths } = data.padSequences(chosen.map(({ tokens }) => tokens));
  return {
    tokens: tensor(values, { shape }),
    lengths: tensor(lengths),
    labels: tensor(Float32Array.from(chosen, ({ label }) => label)),
  };
}

/** The share of reviews that the model judges rightly. */
export function accuracyOf(model: SentimentClassifier, samples: readonly Sample[], batchSize: number): number {
  model.eval();
  const batches = data.lengthBatches(
    samples.map(({ tokens }) => tokens.length),
    { batchSize, seed: 0 },
  );
  let right = 0;
  for (const index of batches) {
    right += noGrad(() =>
      tidy(() => {
        const { tokens, lengths, labels } = batchOf(samples, index);
        return model.forward(tokens, lengths).greater(0).cast('float32').equal(labels).sum().item();
      }),
    );
  }
  model.train();
  return right / samples.length;
}

/** Trains a model and gives its accuracy on the test reviews after each epoch. */
export function trainSentiment(
  reviews: { train: readonly Review[]; test: readonly Review[] },
  settings: Settings = defaults,
  log: (line: string) => void = console.log,
): number[] {
  manualSeed(settings.seed);
  const words = reviews.train.map(({ text }) => data.tokenize(text));
  const vocabulary = data.Vocabulary.build(words, { maxSize: settings.vocabularySize, minCount: 2 });
  const sampleOf = (tokens: readonly string[], positive: boolean): Sample => ({
    tokens: vocabulary.encode(tokens.slice(-settings.maxLength)),
    label: Number(positive),
  });
  const train = reviews.train.map(({ positive }, i) => sampleOf(words[i], positive));
  const test = reviews.test.map(({ text, positive }) => sampleOf(data.tokenize(text), positive));
  log(
    `${String(train.length)} reviews to learn from, ${String(test.length)} to test, ${String(vocabulary.size)} words`,
  );

  const model = new SentimentClassifier(vocabulary.size, settings);
  const optimizer = new optim.Adam(model.parameters(), { lr: settings.learningRate });
  const lengths = train.map(({ tokens }) => tokens.length);
  const accuracies: number[] = [];
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    const start = performance.now();
    const batches = data.lengthBatches(lengths, { batchSize: settings.batchSize, seed: settings.seed, epoch });
    let total = 0;
    for (const index of batches) {
      total += tidy(() => {
        const batch = batchOf(train, index);
        const loss = nn.functional.binaryCrossEntropyWithLogits(
          model.forward(batch.tokens, batch.lengths),
          batch.labels,
        );
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
        return loss.item();
      });
    }
    accuracies.push(accuracyOf(model, test, settings.batchSize));
    const seconds = (performance.now() - start) / 1000;
    const mean = total / batches.length;
    log(
      `epoch ${String(epoch + 1)}: loss ${mean.toFixed(4)}, test accuracy ${(100 * accuracies[epoch]).toFixed(2)} %, ${seconds.toFixed(1)} s`,
    );
  }
  optimizer.dispose();
  model.dispose();
  return accuracies;
}

if (require.main === module) {
  const places = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  if (places.length === 0 || places.length > 2) {
    console.error(
      'Give a folder of reviews (train/pos/*.txt, train/neg/*.txt, test/…), as the Large Movie Review Dataset has them,\n' +
        'or two files of sentences: the good ones, then the bad ones.',
    );
    process.exit(1);
  }
  const option = (name: keyof Settings): Partial<Settings> => {
    const given = process.argv.find((argument) => argument.startsWith(`--${name}=`));
    const value = given?.split('=')[1];
    return value === undefined ? {} : { [name]: name === 'bidirectional' ? value === 'true' : Number(value) };
  };
  // Sentences are few and short: they need more rounds than whole reviews.
  const rounds: Partial<Settings> = places.length === 2 ? { epochs: 6 } : {};
  const settings = Object.assign(
    {},
    defaults,
    rounds,
    ...(Object.keys(defaults) as (keyof Settings)[]).map(option),
  ) as Settings;
  trainSentiment(readReviews(places, settings.seed), settings);
}

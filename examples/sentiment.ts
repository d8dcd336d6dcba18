/**
 * Film reviews: good or bad? An LSTM reads the words.
 *
 *   npm run example:sentiment -- path/to/aclImdb              a folder with train/pos/*.txt, train/neg/*.txt, test/…
 *   npm run example:sentiment -- good.txt bad.txt             two files, one sentence a line; a tenth is held out
 *
 * Options: --bidirectional, --epochs=6, --seed=1 and the other numbers of `defaults`.
 */
import path from 'node:path';
import { data, manualSeed, nn, noGrad, optim, tensor, tidy, type Tensor } from '../lib';

export interface Review {
  text: string;
  positive: boolean;
}

export const defaults = {
  epochs: 5,
  batchSize: 64,
  /** Words of a review that are read: its last ones, where the verdict is. */
  maxLength: 256,
  vocabularySize: 20000,
  learningRate: 2e-3,
  dropout: 0.5,
  bidirectional: false,
  seed: 0,
};
export type Settings = typeof defaults;

/** Training and test reviews from a folder, or from two files. */
export function readReviews(places: readonly string[], seed: number): { train: Review[]; test: Review[] } {
  if (places.length === 1) {
    const read = (part: string): Review[] => {
      const { texts, labels } = data.readTextFolder(path.join(places[0], part), { classes: ['neg', 'pos'] });
      return texts.map((text, i) => ({ text, positive: labels[i] === 1 }));
    };
    return { train: read('train'), test: read('test') };
  }
  const [good, bad] = places.map(data.readLines);
  const all = [...good.map((text) => ({ text, positive: true })), ...bad.map((text) => ({ text, positive: false }))];
  const shuffled = Array.from(data.permutation(all.length, seed), (i) => all[i]);
  const held = Math.round(all.length / 10);
  return { train: shuffled.slice(held), test: shuffled.slice(0, held) };
}

/** Embedding → LSTM → one number: above 0 is a good review. */
class SentimentClassifier extends nn.Module {
  readonly embedding: nn.Embedding;
  readonly lstm: nn.LSTM;
  readonly output: nn.Linear;
  readonly dropout: nn.Dropout;

  constructor(words: number, { bidirectional, dropout }: Settings) {
    super();
    this.embedding = nn.embedding(words, 100);
    // Smaller than usual: the LSTM's gates are then open at first, and it learns in half the time.
    this.embedding.loadStateDict({ weight: nn.init.normal([words, 100], { std: 0.3 }) });
    this.lstm = nn.lstm(100, 128, { batchFirst: true, bidirectional });
    this.output = nn.linear(bidirectional ? 256 : 128, 1);
    this.dropout = nn.dropout(dropout);
  }

  /** @param words int32 [n, steps]; @param lengths int32 [n]; @returns [n] */
  override forward(words: Tensor<'int32'>, lengths: Tensor<'int32'>): Tensor {
    const vectors = this.dropout.forward(this.embedding.forward(words));
    // The lengths matter: at the padded end of a short review the LSTM has long forgotten it.
    const { state } = this.lstm.run(vectors, { lengths });
    const last = state.h.transpose(0, 1).flatten(1);
    return this.output.forward(this.dropout.forward(last)).squeeze(1);
  }
}

interface Sample {
  words: Int32Array;
  label: number;
}

interface Batch extends data.Padded {
  labels: Float32Array;
}

/** Every sample once, in batches of similar length. */
function* batchesOf(samples: readonly Sample[], { batchSize, seed }: Settings, epoch = 0): Generator<Batch> {
  const lengths = samples.map(({ words }) => words.length);
  for (const index of data.lengthBatches(lengths, { batchSize, seed, epoch })) {
    const chosen = Array.from(index, (i) => samples[i]);
    const padded = data.padSequences(chosen.map(({ words }) => words));
    yield { ...padded, labels: Float32Array.from(chosen, ({ label }) => label) };
  }
}

function predict(model: SentimentClassifier, { values, shape, lengths }: Batch): Tensor {
  return model.forward(tensor(values, { shape }), tensor(lengths));
}

/** The share of reviews that the model judges rightly. */
function accuracyOf(model: SentimentClassifier, samples: readonly Sample[], settings: Settings): number {
  model.eval();
  let right = 0;
  for (const batch of batchesOf(samples, settings)) {
    const scores = tidy(() => noGrad(() => predict(model, batch).dataSync()));
    right += scores.filter((score, i) => Number(score > 0) === batch.labels[i]).length;
  }
  model.train();
  return right / samples.length;
}

function trainEpoch(model: SentimentClassifier, optimizer: optim.Optimizer, batches: Iterable<Batch>): number {
  let total = 0;
  let count = 0;
  for (const batch of batches) {
    total += tidy(() => {
      const logits = predict(model, batch);
      const loss = nn.functional.binaryCrossEntropyWithLogits(logits, tensor(batch.labels));
      optimizer.zeroGrad();
      loss.backward();
      // Over hundreds of steps gradients explode now and then.
      optim.clipGradNorm(model.parameters(), 1);
      optimizer.step();
      return loss.item();
    });
    count++;
  }
  return total / count;
}

/** Trains a model and gives its accuracy on the test reviews after each epoch. */
export function trainSentiment(
  reviews: { train: readonly Review[]; test: readonly Review[] },
  settings: Settings = defaults,
  log: (line: string) => void = console.log,
): number[] {
  manualSeed(settings.seed);
  const tokens = (part: readonly Review[]): string[][] => part.map(({ text }) => data.tokenize(text));
  const [trainTokens, testTokens] = [tokens(reviews.train), tokens(reviews.test)];
  const vocabulary = data.Vocabulary.build(trainTokens, { maxSize: settings.vocabularySize, minCount: 2 });
  const samplesOf = (texts: readonly string[][], part: readonly Review[]): Sample[] =>
    texts.map((text, i) => ({
      words: vocabulary.encode(text.slice(-settings.maxLength)),
      label: Number(part[i].positive),
    }));
  const [train, test] = [samplesOf(trainTokens, reviews.train), samplesOf(testTokens, reviews.test)];
  log(`${train.length} reviews to learn from, ${test.length} to test, ${vocabulary.size} words`);

  const model = new SentimentClassifier(vocabulary.size, settings);
  const optimizer = new optim.Adam(model.parameters(), { lr: settings.learningRate });
  const accuracies: number[] = [];
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    const start = performance.now();
    const loss = trainEpoch(model, optimizer, batchesOf(train, settings, epoch));
    const seconds = (performance.now() - start) / 1000;
    const accuracy = accuracyOf(model, test, settings);
    log(
      `epoch ${epoch + 1}: loss ${loss.toFixed(4)}, ${seconds.toFixed(1)} s, ` +
        `test accuracy ${(100 * accuracy).toFixed(2)} %`,
    );
    accuracies.push(accuracy);
  }
  optimizer.dispose();
  model.dispose();
  return accuracies;
}

/** The options of the command line, by the names of the settings. */
function settingsFrom(given: readonly string[]): Settings {
  const settings: Record<string, number | boolean> = { ...defaults };
  for (const option of given) {
    const [name, value] = option.slice(2).split('=');
    if (!(name in settings)) throw new Error(`unknown option ${option}; known are ${Object.keys(defaults).join(', ')}`);
    settings[name] = name === 'bidirectional' ? value !== 'false' : Number(value);
  }
  return settings as Settings;
}

if (require.main === module) {
  const given = process.argv.slice(2);
  const places = given.filter((argument) => !argument.startsWith('--'));
  const settings = settingsFrom(given.filter((argument) => argument.startsWith('--')));
  if (places.length === 0 || places.length > 2) {
    console.error(
      'Give a folder of reviews (train/pos/*.txt, train/neg/*.txt, test/…), as the Large Movie Review Dataset has them,\n' +
        'or two files of sentences: the good ones, then the bad ones.',
    );
    process.exit(1);
  }
  trainSentiment(readReviews(places, settings.seed), settings);
}

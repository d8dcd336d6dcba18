/** The first program: a small network learns to read handwritten digits. */
import { data, manualSeed, nn } from '../lib';

async function main(): Promise<void> {
  const seed = Number(process.env.SEED ?? 0);
  manualSeed(seed);
  const { train, test } = data.mnist({ dir: process.argv[2] });
  // The network of the Keras tutorial, which starts from Glorot's weights.
  const init = 'keras';
  const model = nn.sequential(nn.flatten(), nn.linear(784, 128, { init }), nn.relu(), nn.linear(128, 10, { init }));
  model.summary();
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  const start = performance.now();
  await model.fit(train, { epochs: 5, batchSize: 32 });
  const seconds = (performance.now() - start) / 1000;
  const { accuracy, loss } = await model.evaluate(test);
  const speed = Math.round((5 * train.length) / seconds).toLocaleString('en');
  console.log(`Trained in ${seconds.toFixed(1)} s (${speed} samples/s), seed ${String(seed)}`);
  console.log(`Test accuracy: ${(100 * accuracy).toFixed(2)} % (loss ${loss.toFixed(4)})`);
}

void main();

/** `kindling train mnist`: the first program of every deep-learning library, on the reader's own files. */
import { data, manualSeed, nn } from '..';

/** Trains the Keras tutorial's network and prints its accuracy on the test files. */
export async function trainMnist(options: {
  dir: string;
  epochs: number;
  batchSize: number;
  seed: number;
}): Promise<number> {
  const { dir, epochs, batchSize, seed } = options;
  manualSeed(seed);
  const { train, test } = data.mnist({ dir });
  const init = 'keras';
  const model = nn.sequential(nn.flatten(), nn.linear(784, 128, { init }), nn.relu(), nn.linear(128, 10, { init }));
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  const start = performance.now();
  await model.fit(train, { epochs, batchSize });
  const seconds = (performance.now() - start) / 1000;
  const { accuracy } = await model.evaluate(test);
  const speed = Math.round((epochs * train.length) / seconds).toLocaleString('en');
  console.log(`Trained in ${seconds.toFixed(1)} s (${speed} samples/s), seed ${String(seed)}`);
  console.log(`Test accuracy: ${(100 * accuracy).toFixed(2)} %`);
  return 0;
}

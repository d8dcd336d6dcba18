/** MLP 784-128-10, Adam, batch 32, on MNIST through `fit`: Kindling's side of the training benchmark. */
import { data, isa, manualSeed, nn, numThreads, setNumThreads } from '../../lib';
import { serve } from './protocol';

const batchSize = 32;

async function main(): Promise<void> {
  const [dir, threads] = process.argv.slice(2);
  setNumThreads(Number(threads));
  manualSeed(0);
  const { train } = data.mnist({ dir });
  const model = nn.sequential(nn.flatten(), nn.linear(784, 128), nn.relu(), nn.linear(128, 10));
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  await serve({ name: `Kindling (${isa()})`, version: '0.1.0', threads: numThreads() }, async (steps) => {
    const samples = Math.min(steps * batchSize, train.length);
    const part = new data.TensorDataset(train.x.slice([0, samples]), train.y.slice([0, samples]));
    const start = performance.now();
    const { history } = await model.fit(part, { epochs: 1, batchSize, verbose: 0 });
    const seconds = (performance.now() - start) / 1000;
    part.dispose();
    return { samples, seconds, loss: history.loss[0] };
  });
}

void main();

/**
 * Handwritten digits with a convolutional network: above 99.2 % in 8 epochs.
 *
 *   npm run example:mnist-cnn                     SEED=1 for another run
 */
import { data, manualSeed, nn, optim } from '../lib';

/** Two convolutions, each followed by pooling; dropout before and between the dense layers. */
export function network(): nn.Sequential {
  return nn.sequential(
    nn.conv2d(1, 32, 5), // [n, 32, 24, 24]
    nn.relu(),
    nn.maxPool2d(2),
    nn.conv2d(32, 64, 5), // [n, 64, 8, 8]
    nn.relu(),
    nn.maxPool2d(2),
    nn.flatten(), // [n, 1024]
    nn.dropout(0.5),
    nn.linear(1024, 128),
    nn.relu(),
    nn.dropout(0.5),
    nn.linear(128, 10),
  );
}

/** Images [n, 28, 28] get the channel axis that a convolution wants. */
export function withChannel({ x, y }: data.TensorDataset): data.TensorDataset {
  return new data.TensorDataset(x.unsqueeze(1), y);
}

/** Trains with Adam; the learning rate falls from 0.001 to 0 along half a cosine, epoch by epoch. */
export async function train(model: nn.Module, samples: data.TensorDataset, epochs: number): Promise<void> {
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });
  model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  await model.fit(samples, {
    epochs,
    batchSize: 64,
    onEpochEnd: (epoch) => (optimizer.lr = (1e-3 * (1 + Math.cos((Math.PI * (epoch + 1)) / epochs))) / 2),
  });
}

async function main(): Promise<void> {
  const seed = Number(process.env.SEED ?? 0);
  manualSeed(seed);
  const mnist = data.mnist({ dir: process.argv[2] });
  const model = network();
  model.summary();
  const start = performance.now();
  await train(model, withChannel(mnist.train), 8);
  const seconds = (performance.now() - start) / 1000;
  const { accuracy, loss } = await model.evaluate(withChannel(mnist.test));
  console.log(`Trained in ${seconds.toFixed(1)} s, seed ${String(seed)}`);
  console.log(`Test accuracy: ${(100 * accuracy).toFixed(2)} % (loss ${loss.toFixed(4)})`);
}

if (require.main === module) void main();

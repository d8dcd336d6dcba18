/** A short training on MNIST on the emulated device, beside the CPU. */
import './emulator';
import { data, manualSeed, nn, type Device } from '../../lib';

/** The first digits of each set. */
function digits(set: data.TensorDataset, count: number): data.TensorDataset {
  const { x, y } = set.range(0, count);
  return new data.TensorDataset(x.reshape([count, 784]), y);
}

async function trained(device: Device): Promise<{ losses: readonly number[]; accuracy: number }> {
  const { train, test: unseen } = data.mnist();
  manualSeed(0);
  const model = nn.sequential(nn.linear(784, 64), nn.relu(), nn.linear(64, 10)).to(device);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  const { history } = await model.fit(digits(train, 1280), { epochs: 3, batchSize: 32, seed: 3, verbose: 0 });
  const { accuracy } = await model.evaluate(digits(unseen, 500));
  return { losses: history.loss, accuracy };
}

test('MNIST: a thousand digits, learned on the device as on the CPU', async () => {
  const [there, here] = [await trained('cuda'), await trained('cpu')];
  there.losses.forEach((loss, i) => {
    expect(Math.abs(loss - here.losses[i])).toBeLessThan(1e-3 * here.losses[i]);
  });
  expect(there.losses[2]).toBeLessThan(0.6 * there.losses[0]);
  expect(there.accuracy).toBeGreaterThan(0.8);
  expect(Math.abs(there.accuracy - here.accuracy)).toBeLessThan(0.01);
}, 120_000);

/** The convolutional example on a small share of its data. */
import { network, train, withChannel } from '../../examples/mnist-cnn';
import { data, manualSeed } from '../../lib';

const mnist = data.mnist();

const part = ({ x, y }: data.TensorDataset, count: number): data.TensorDataset =>
  withChannel(new data.TensorDataset(x.slice([0, count]), y.slice([0, count])));

async function trained(count: number, epochs: number): Promise<{ accuracy: number; loss: number }> {
  manualSeed(0);
  const model = network();
  await train(model, part(mnist.train, count), epochs);
  const { accuracy, loss } = await model.evaluate(part(mnist.test, 1000));
  model.dispose();
  return { accuracy, loss };
}

test('learns digits from 3000 images', async () => {
  const { accuracy, loss } = await trained(3000, 4);
  expect(accuracy).toBeGreaterThan(0.92);
  expect(loss).toBeLessThan(0.3);
}, 120_000);

test('the same seed gives the same network', async () => {
  expect(await trained(320, 1)).toEqual(await trained(320, 1));
}, 60_000);

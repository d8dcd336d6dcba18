/** Ten steps of every optimizer and fifty of every schedule, beside PyTorch's. */
import { optim, tensor, tidy, type Tensor } from '../../lib';
import { spread } from '../ops/reference';
import { load, valuesOf } from './fixtures';
import { lossAt, optimizers, schedules } from './trajectories';

type Float = 'float32' | 'float64';

function leaf(
  shape: readonly number[],
  low: number,
  high: number,
  dtype: Float = 'float32',
  requiresGrad = true,
): Tensor {
  const values = Float64Array.from(spread(shape, low, high).data);
  return tensor(values, { shape, dtype, requiresGrad }) as Tensor;
}

/** A smooth loss with a minimum that is not at 0. */
function loss(a: Tensor, b: Tensor): Tensor {
  const x = leaf([5, 4], -1, 2, a.dtype, false);
  return x.matmul(a).add(b).tanh().sub(0.3).square().mean().add(b.square().mean().mul(0.1));
}

const trajectories = load<number[][]>('optimizers');
const runs = Object.entries(optimizers).flatMap(([name, row]) =>
  (row.dtypes ?? (['float32', 'float64'] as const)).map((dtype) => ({ name, dtype, ...row })),
);
test.each(runs)('$name, $dtype', ({ name, dtype, torch, make }) => {
  const wanted = valuesOf(trajectories, name, torch);
  const tolerance = dtype === 'float32' ? 1e-5 : 1e-8;
  const [a, b] = [leaf([4, 3], -1, 1, dtype), leaf([3], 0, 1, dtype)];
  const optimizer = make([a, b]);
  for (let step = 0; step < 10; step++) {
    tidy(() => {
      optimizer.step(() => {
        optimizer.zeroGrad();
        const value = loss(a, b);
        value.backward();
        return value;
      });
    });
    const values = [...a.dataSync(), ...b.dataSync()];
    values.forEach((value, i) => {
      if (!(Math.abs(value - wanted[step][i]) <= tolerance * (1 + Math.abs(wanted[step][i])))) {
        throw new Error(
          `step ${String(step)}, element ${String(i)}: ${String(value)}, PyTorch's ${String(wanted[step][i])}`,
        );
      }
    });
  }
  optimizer.dispose();
});

const rates = load<number[]>('schedules');
test.each(Object.entries(schedules))('%s', (name, { torch, make }) => {
  const wanted = valuesOf(rates, name, torch);
  const optimizer = new optim.SGD([leaf([2], 0, 1)], { lr: 0.1, momentum: 0.9 });
  const schedule = make(optimizer);
  const found = [optimizer.lr];
  for (let step = 0; step < 50; step++) {
    if (schedule instanceof optim.LRScheduler) schedule.step();
    else schedule.step(lossAt(step));
    found.push(optimizer.lr, optimizer.paramGroups[0].momentum);
  }
  found.forEach((rate, i) => {
    expect(Math.abs(rate - wanted[i])).toBeLessThanOrEqual(1e-9 + 1e-7 * Math.abs(wanted[i]));
  });
});

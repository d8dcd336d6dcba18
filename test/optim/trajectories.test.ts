/** Ten steps of every optimizer and fifty of every schedule, beside PyTorch's. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { optim, tensor, tidy, type Tensor } from '../../lib';
import { fingerprintOf } from '../ops/fixture';
import { spread } from '../ops/reference';
import { lossAt, optimizers, schedules } from './trajectories';

interface Made<T> {
  readonly made: string;
  readonly values: T;
}

function load<T>(name: string): Readonly<Record<string, Made<T> | undefined>> {
  const file = path.join(__dirname, '../fixtures/optim', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Made<T>>;
}

function valuesOf<T>(all: Readonly<Record<string, Made<T> | undefined>>, name: string, torch: string): T {
  const entry = all[name];
  if (entry === undefined || entry.made !== fingerprintOf(torch)) {
    throw new Error(`${name}: no values of this row; run \`npm run references\``);
  }
  return entry.values;
}

const leaf = (shape: readonly number[], low: number, high: number): Tensor =>
  tensor(Float32Array.from(spread(shape, low, high).data), { shape, requiresGrad: true });

/** A smooth loss with a minimum that is not at 0. */
function loss(a: Tensor, b: Tensor): Tensor {
  const x = tensor(Float32Array.from(spread([5, 4], -1, 2).data), { shape: [5, 4] });
  return x.matmul(a).add(b).tanh().sub(0.3).square().mean().add(b.square().mean().mul(0.1));
}

const trajectories = load<number[][]>('optimizers');
test.each(Object.entries(optimizers))('%s', (name, { torch, make }) => {
  const wanted = valuesOf(trajectories, name, torch);
  const [a, b] = [leaf([4, 3], -1, 1), leaf([3], 0, 1)];
  const optimizer = make([a, b]);
  const closure = (): Tensor => {
    optimizer.zeroGrad();
    const value = loss(a, b);
    value.backward();
    return value;
  };
  for (let step = 0; step < 10; step++) {
    tidy(() => {
      if (optimizer instanceof optim.LBFGS) optimizer.step(closure);
      else {
        closure();
        optimizer.step();
      }
    });
    const values = [...a.dataSync(), ...b.dataSync()];
    values.forEach((value, i) => {
      if (!(Math.abs(value - wanted[step][i]) <= 1e-5 + 1e-5 * Math.abs(wanted[step][i]))) {
        throw new Error(
          `step ${String(step)}, element ${String(i)}: ${String(value)}, PyTorch's ${String(wanted[step][i])}`,
        );
      }
    });
  }
});

const rates = load<number[]>('schedules');
test.each(Object.entries(schedules))('%s', (name, { torch, make }) => {
  const wanted = valuesOf(rates, name, torch);
  const optimizer = new optim.SGD([leaf([2], 0, 1)], { lr: 0.1, momentum: 0.9 });
  const schedule = make(optimizer);
  const found = [optimizer.lr];
  for (let step = 0; step < 50; step++) {
    schedule.step(lossAt(step));
    found.push(optimizer.lr, optimizer.paramGroups[0].momentum);
  }
  found.forEach((rate, i) => {
    expect(Math.abs(rate - wanted[i])).toBeLessThanOrEqual(1e-9 + 1e-7 * Math.abs(wanted[i]));
  });
});

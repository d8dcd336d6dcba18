/** `kindling bench`: what this machine does, in a table. */
import * as k from '..';
import { facts } from './info';

interface Case {
  readonly name: string;
  /** Of one run, in units of 1e9 or in samples. */
  readonly work: number;
  readonly unit: 'GFLOP/s' | 'GB/s' | 'samples/s' | 'calls/s';
  /** Makes what a run needs. */
  readonly prepare: () => () => unknown;
}

/** A training step in eager mode; the optimizer is Adam. */
function trainingStep(model: k.nn.Module, x: k.Tensor, y: k.Tensor<'int32'>): () => unknown {
  const optimizer = new k.optim.Adam(model.parameters());
  const step = k.compile((input: k.Tensor, target: k.Tensor<'int32'>) => {
    const loss = k.nn.functional.crossEntropy(model.forward(input), target);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  return () => step(x, y);
}

const cases: readonly Case[] = [
  ...[256, 1024].map((n): Case => ({
    name: `matrix product ${String(n)}³`,
    work: (2 * n ** 3) / 1e9,
    unit: 'GFLOP/s',
    prepare: () => {
      const [a, b] = [k.randn([n, n]), k.randn([n, n])];
      return () => k.matmul(a, b);
    },
  })),
  {
    name: 'convolution 3×3, 64 → 64 channels, 16 × 32²',
    work: (2 * 16 * 64 * 64 * 9 * 32 * 32) / 1e9,
    unit: 'GFLOP/s',
    prepare: () => {
      const [layer, x] = [k.nn.conv2d(64, 64, 3, { padding: 1 }), k.randn([16, 64, 32, 32])];
      return () => k.noGrad(() => layer.forward(x));
    },
  },
  {
    name: 'sum of two arrays of 16 Mi floats',
    work: (3 * 4 * 2 ** 24) / 1e9,
    unit: 'GB/s',
    prepare: () => {
      const [a, b] = [k.randn([2 ** 24]), k.randn([2 ** 24])];
      return () => a.add(b);
    },
  },
  {
    name: 'call on 4 elements',
    work: 1,
    unit: 'calls/s',
    prepare: () => {
      const [a, b] = [k.randn([4]), k.randn([4])];
      return () => a.add(b);
    },
  },
  {
    name: 'training: 784-128-10, batch 32',
    work: 32,
    unit: 'samples/s',
    prepare: () => {
      const model = k.nn.sequential(k.nn.linear(784, 128), k.nn.relu(), k.nn.linear(128, 10));
      return trainingStep(model, k.randn([32, 784]), k.zeros([32]).cast('int32'));
    },
  },
  {
    name: 'training: LeNet, batch 64',
    work: 64,
    unit: 'samples/s',
    prepare: () => {
      const model = k.nn.sequential(
        k.nn.conv2d(1, 32, 3, { padding: 1 }),
        k.nn.relu(),
        k.nn.maxPool2d(2),
        k.nn.conv2d(32, 64, 3, { padding: 1 }),
        k.nn.relu(),
        k.nn.maxPool2d(2),
        k.nn.flatten(),
        k.nn.linear(64 * 49, 128),
        k.nn.relu(),
        k.nn.linear(128, 10),
      );
      return trainingStep(model, k.randn([64, 1, 28, 28]), k.zeros([64]).cast('int32'));
    },
  },
];

/** Seconds of one run: the median of rounds of at least a millisecond, for about `seconds`. */
async function measure(run: () => unknown, seconds: number): Promise<number> {
  const once = async (runs: number): Promise<number> => {
    const start = performance.now();
    const results: unknown[] = [];
    // Compiled steps are queued and run on a thread of their own.
    for (let i = 0; i < runs; i++) results.push(run());
    const last = await results[runs - 1];
    const elapsed = (performance.now() - start) / 1000;
    for (const result of await Promise.all([...results, last])) if (k.isTensor(result)) result.dispose();
    return elapsed;
  };
  await once(1);
  let runs = 1;
  while ((await once(runs)) < 1e-3) runs *= 2;
  const rounds: number[] = [];
  const end = performance.now() + seconds * 1000;
  do rounds.push((await once(runs)) / runs);
  while (performance.now() < end);
  rounds.sort((a, b) => a - b);
  return rounds[rounds.length >> 1];
}

function formatted(rate: number): string {
  return rate >= 1000 ? Math.round(rate).toLocaleString('en') : rate.toPrecision(3);
}

/** Measures all cases in about `seconds` and prints a table. */
export async function bench(seconds: number): Promise<number> {
  for (const [name, value] of facts()) if (name !== 'CUDA') console.log(`${name}: ${value}`);
  const width = Math.max(...cases.map(({ name }) => name.length));
  console.log(`\n${'case'.padEnd(width)}  ${'median'.padStart(12)}`);
  for (const { name, work, unit, prepare } of cases) {
    const rate = work / (await measure(prepare(), seconds / cases.length));
    console.log(`${name.padEnd(width)}  ${formatted(rate).padStart(12)} ${unit}`);
  }
  return 0;
}

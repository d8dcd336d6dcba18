/** Modules, optimizers, compiled steps and fit on a device, beside the CPU. */
import './emulator';
import {
  assign,
  compile,
  crossEntropy,
  data,
  Generator,
  manualSeed,
  nn,
  ones,
  optim,
  rand,
  randn,
  tensor,
  zeros,
  type Device,
  type Tensor,
} from '../../lib';

const small = (seed = 1): nn.Sequential => {
  manualSeed(seed);
  // No bias before batch norm: its gradient is nothing but rounding, which Adam makes steps of.
  return nn.sequential(
    nn.linear(6, 16, { bias: false }),
    nn.batchNorm1d(16),
    nn.relu(),
    nn.dropout(0.25),
    nn.linear(16, 3),
  );
};

const closeTo = (a: readonly number[], b: readonly number[], digits = 5): void => {
  expect(a).toHaveLength(b.length);
  a.forEach((value, i) => {
    expect(value).toBeCloseTo(b[i], digits);
  });
};

describe('Module.to', () => {
  test('moves parameters, buffers and gradients, and keeps the objects', () => {
    const model = small();
    const before = [...model.parameters(), ...[...model.namedBuffers()].map(([, x]) => x)];
    const values = before.map((x) => x.toArray());
    model
      .forward(rand([4, 6]))
      .sum()
      .backward();
    expect(model.to('cuda')).toBe(model);
    const after = [...model.parameters(), ...[...model.namedBuffers()].map(([, x]) => x)];
    expect(after.every((x, i) => x === before[i] && x.device === 'cuda:0')).toBe(true);
    expect(model.parameters().every(({ grad }) => grad?.device === 'cuda:0')).toBe(true);
    model.to('cpu');
    expect(model.parameters()[0].toArray()).toEqual(values[0]);
    model.dispose();
  });

  test('optimizers go on, with their state on the new device', () => {
    const losses = (move: boolean): number[] => {
      const model = small();
      model.eval();
      const optimizer = new optim.Adam(model.parameters(), { lr: 0.05 });
      const generator = new Generator(5);
      const [x, y] = [rand([8, 6], { generator }), tensor(Int32Array.from({ length: 8 }, (_, i) => i % 3))];
      return Array.from({ length: 6 }, (_, i) => {
        if (move && i === 3) model.to('cuda');
        const at = model.parameters()[0].device;
        optimizer.zeroGrad();
        const loss = crossEntropy(model.forward(x.to(at)), y.to(at));
        loss.backward();
        optimizer.step();
        return loss.item();
      });
    };
    closeTo(losses(true), losses(false));
  });

  test('state goes across devices', () => {
    const [there, here] = [small(1).to('cuda'), small(2)];
    here.loadStateDict(there.stateDict());
    expect(here.parameters()[0].device).toBe('cpu');
    expect(here.parameters()[0].toArray()).toEqual(there.parameters()[0].toArray());
    const [a, b] = [there, here].map((model) => new optim.Adam(model.parameters()));
    there
      .forward(ones([2, 6], { device: 'cuda' }))
      .sum()
      .backward();
    a.step();
    b.loadStateDict(a.stateDict());
    expect(b.stateDict().state['0'].tensors[0].device).toBe('cpu');
  });
});

describe('compiled steps', () => {
  /** The losses of some steps on other batches each, at a falling learning rate. */
  async function losses(device: Device, compiled: boolean, make: (p: Tensor[]) => optim.Optimizer): Promise<number[]> {
    const model = small().to(device);
    const optimizer = make(model.parameters());
    const schedule = new optim.StepLR(optimizer, 2, { gamma: 0.5 });
    const train = (x: Tensor, y: Tensor<'int32'>): Tensor => {
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    };
    const step = compiled ? compile(train) : train;
    const generator = new Generator(9);
    const result: number[] = [];
    for (let i = 0; i < 7; i++) {
      const x = rand([8, 6], { generator }).to(device);
      const y = tensor(
        Int32Array.from({ length: 8 }, (_, j) => (i + j) % 3),
        { device },
      );
      const loss = await step(x, y);
      expect(loss.device).toBe(device);
      result.push(loss.item());
      schedule.step();
    }
    return result;
  }

  test.each<[string, (p: Tensor[]) => optim.Optimizer]>([
    ['SGD', (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 })],
    ['Adam', (p) => new optim.Adam(p, { lr: 0.05 })],
  ])('train as eager ones do, with their own numbers at each run: %s', async (_, make) => {
    const eager = await losses('cpu', false, make);
    closeTo(await losses('cuda:0', false, make), eager, 4);
    closeTo(await losses('cuda:0', true, make), eager, 4);
    closeTo(await losses('cuda:1', true, make), eager, 4);
  });

  test('results of one run are left alone by the next', async () => {
    const step = compile((x: Tensor) => x.mul(2).add(1).exp().sqrt());
    const inputs = [0, 1, 2, 3, 4].map((value) => tensor([value, value + 0.5], { device: 'cuda' }));
    const results = [];
    for (const x of inputs) results.push(await step(x));
    results.forEach((result, i) => {
      closeTo(Array.from(result.dataSync()), [i, i + 0.5].map((value) => Math.exp(value + 0.5)), 3); // prettier-ignore
    });
  });

  test('many repetitions in one call', async () => {
    const total = zeros([3], { device: 'cuda' });
    const step = compile((x: Tensor) => {
      assign(total, total.add(x.mul(2)));
      return total.mul(1);
    });
    const x = rand([6, 3], { generator: new Generator(2), device: 'cuda' });
    for (let round = 1; round <= 3; round++) {
      const out = await step.scan(x);
      const sums = x.cpu().mul(2).cumsum(0);
      const all = sums.slice(-1).mul(round - 1).add(sums); // prettier-ignore
      closeTo(Array.from(out.dataSync()), Array.from(all.dataSync()), 4);
    }
  });

  test('a bad index fails the run, which has updated nothing', async () => {
    const table = rand([5, 2], { device: 'cuda', generator: new Generator(1) });
    const step = compile((index: Tensor<'int32'>) => {
      const rows = table.indexSelect(index);
      assign(table, table.add(rows.sum()));
      return rows;
    });
    const at = (i: number): Tensor<'int32'> => tensor([i], { dtype: 'int32', device: 'cuda' });
    await step(at(1));
    await step(at(2));
    const before = table.toArray();
    await expect(step(at(8))).rejects.toThrow(
      /indexSelect: index 8 at position 0 is outside \[0, 5\); nothing was updated/,
    );
    expect(table.toArray()).toEqual(before);
    await step(at(0));
    expect(table.toArray()).not.toEqual(before);
  });

  test('are made anew where a module has moved', async () => {
    const model = nn.linear(2, 2);
    const step = compile((x: Tensor) => model.forward(x));
    const x = ones([1, 2]);
    const here = Array.from((await step(x)).dataSync());
    model.to('cuda');
    const there = await step(x.cuda());
    expect(there.device).toBe('cuda:0');
    closeTo(Array.from(there.dataSync()), here);
    await expect(step(x)).rejects.toThrow(/operands are on/);
  });

  test('stay on one device', async () => {
    const x = ones([2], { device: 'cuda' });
    await expect(compile((a: Tensor) => a.cpu())(x)).rejects.toThrow(/to: a compiled step stays on one device/);
    await expect(compile((a: Tensor, b: Tensor) => [a.neg(), b.neg()])(x, ones([2]))).rejects.toThrow(
      /a step stays on one device, but this one works on cuda:0 and cpu/,
    );
  });
});

describe('fit', () => {
  const samples = (): data.TensorDataset => {
    const generator = new Generator(4);
    const x = randn([96, 6], { generator });
    return new data.TensorDataset(x, x.slice(null, [0, 3]).argmax(1));
  };

  async function history(device: Device, options: { eager?: boolean; stream?: boolean }): Promise<readonly number[]> {
    const model = small().to(device);
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', runEagerly: options.eager ?? false });
    const dataset = samples();
    const batches = [0, 1, 2].map((i) => dataset.range(32 * i, 32 * i + 32));
    const given = options.stream === true ? (): data.Samples[] => batches : dataset;
    const settings = options.stream === true ? { epochs: 3 } : { epochs: 3, batchSize: 32, seed: 1 };
    const { history: logs } = await model.fit(given as data.TensorDataset, { ...settings, verbose: 0 });
    const { loss } = await model.evaluate(dataset);
    const predicted = await model.predict(dataset.x);
    expect(predicted.device).toBe(device);
    return [...logs.loss, loss];
  }

  test.each([
    ['compiled', {}],
    ['eager', { eager: true }],
    ['a stream', { stream: true }],
  ])('of data on the CPU, as on the CPU: %s', async (_, options) => {
    closeTo(await history('cuda:0', options), await history('cpu', options), 4);
  });
});

/** Compiled steps: what they update, return, refuse, and leave alone. */
import {
  assign,
  checkpoint,
  compile,
  crossEntropy,
  manualSeed,
  memoryStats,
  nn,
  noGrad,
  optim,
  permutation,
  rand,
  randn,
  tensor,
  tidy,
  TraceError,
  zeros,
  type AnyTensor,
  type CompiledStep,
  type Tensor,
} from '../../lib';
import { testOfHost } from '../ofHost';

const labels = (n: number, classes = 3): Tensor =>
  tensor(Int32Array.from({ length: n }, (_, i) => i % classes)) as never;

interface Trainee {
  readonly model: nn.Module;
  readonly optimizer: optim.Optimizer;
  readonly step: (x: Tensor, y: Tensor) => Tensor;
}

function trainee(make: (parameters: Tensor[]) => optim.Optimizer = (p) => new optim.Adam(p, { lr: 0.01 })): Trainee {
  manualSeed(3);
  const model = nn.sequential(nn.linear(6, 8), nn.batchNorm1d(8), nn.relu(), nn.dropout(0.25), nn.linear(8, 3));
  const optimizer = make(model.parameters());
  const step = (x: Tensor, y: Tensor): Tensor => {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(x), y);
    loss.backward();
    optimizer.step();
    return loss;
  };
  return { model, optimizer, step };
}

const stateOf = (model: nn.Module): number[][] =>
  Object.values(model.stateDict()).map((x) => Array.from(x.dataSync(), Number));

function batches(count: number): Tensor[] {
  manualSeed(11);
  return Array.from({ length: count }, () => randn([5, 6]));
}

describe('training', () => {
  const optimizers: Record<string, (parameters: Tensor[]) => optim.Optimizer> = {
    SGD: (p) => new optim.SGD(p, { lr: 0.1 }),
    'SGD with momentum': (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
    Adam: (p) => new optim.Adam(p),
    'Adam with amsgrad': (p) => new optim.Adam(p, { amsgrad: true }),
    AdamW: (p) => new optim.AdamW(p),
    RMSprop: (p) => new optim.RMSprop(p, { momentum: 0.5, centered: true }),
    NAdam: (p) => new optim.NAdam(p),
    RAdam: (p) => new optim.RAdam(p),
    Adagrad: (p) => new optim.Adagrad(p),
    Adadelta: (p) => new optim.Adadelta(p),
    AdaMax: (p) => new optim.AdaMax(p),
    Lion: (p) => new optim.Lion(p),
  };

  test.each(Object.entries(optimizers))('%s: ten steps are to the bit the eager ones', async (_, make) => {
    const xs = batches(10);
    const y = labels(5);
    const results = [];
    for (const compiled of [false, true]) {
      const { model, optimizer, step } = trainee(make);
      const run: (x: Tensor, y: Tensor) => Tensor | Promise<Tensor> = compiled ? compile(step) : step;
      const losses: number[] = [];
      manualSeed(7);
      for (const x of xs) {
        losses.push((await run(x, y)).item());
        optimizer.lr *= 0.9;
      }
      results.push([losses, stateOf(model), Array.from({ length: 2 }, () => rand([2]).toArray())]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(new Set((results[0] as number[][][])[0]).size).toBe(10);
  });

  test('calls under way run in their order', async () => {
    const xs = batches(12);
    const results = [];
    for (const together of [false, true]) {
      const { model, step } = trainee();
      const compiled = compile(step);
      manualSeed(7);
      const losses: Tensor[] = [];
      if (together) losses.push(...(await Promise.all(xs.map((x) => compiled(x, labels(5))))));
      else for (const x of xs) losses.push(await compiled(x, labels(5)));
      results.push([losses.map((loss) => loss.item()), stateOf(model)]);
    }
    expect(results[1]).toEqual(results[0]);
  });

  test('scan is as many calls in one', async () => {
    const xs = batches(6);
    const all = tensor(Float32Array.from(xs.flatMap((x) => [...x.dataSync()])), { shape: [6, 5, 6] });
    const ys = tensor(
      Int32Array.from({ length: 30 }, (_, i) => (i % 5) % 3),
      { shape: [6, 5] },
    ) as never as Tensor;
    const one = trainee();
    const each = compile(one.step);
    manualSeed(7);
    const losses: number[] = [];
    for (const x of xs) losses.push((await each(x, labels(5))).item());
    const other = trainee();
    const scanned = compile(other.step);
    manualSeed(7);
    const loss = await scanned.scan(all, ys);
    expect(loss.toArray()).toEqual(losses);
    expect(stateOf(other.model)).toEqual(stateOf(one.model));
    await expect(scanned.scan(all, labels(5))).rejects.toThrow(/same number of entries/);
  });

  test('what is under way is waited for where its memory is read or written', async () => {
    const weight = zeros([300, 300], { requiresGrad: true });
    const step = compile((x: Tensor) => {
      assign(weight, weight.detach().add(x.matmul(x).mul(0).add(1)));
    });
    const x = rand([300, 300]);
    const runs = [step(x), step(x), step(x)];
    expect(weight.mean().item()).toBe(3);
    runs.push(step(x));
    noGrad(() => {
      assign(weight, weight.mul(10));
    });
    await Promise.all(runs);
    expect(weight.mean().item()).toBe(40);
  });

  test('an argument may be disposed right after the call', async () => {
    const double = compile((x: Tensor) => x.mul(2));
    const x = tensor([1, 2, 3]);
    const result = double(x);
    x.dispose();
    expect((await result).toArray()).toEqual([2, 4, 6]);
    await expect(double(x)).rejects.toThrow(/disposed/);
  });

  test('gradients do not outlive the step', async () => {
    const { model, step } = trainee();
    await compile(step)(randn([5, 6]), labels(5));
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
  });

  test('gradients can be returned', async () => {
    const w = tensor([1, 2, 3], { requiresGrad: true });
    const step = compile((x: Tensor) => {
      w.mul(x).square().sum().backward();
      return { grad: w.grad as Tensor };
    });
    expect((await step(tensor([1, 2, 3]))).grad.toArray()).toEqual([2, 16, 54]);
    expect(w.grad).toBeNull();
  });
});

describe('results', () => {
  test('structures, plain values, and tensors that no operation made whole', async () => {
    const captured = tensor([5, 6]);
    const step = compile((x: Tensor, flag: boolean) => {
      const y = x.add(1);
      return {
        same: [x, x],
        captured,
        view: y.slice([0, 2]),
        transposed: y.reshape([3, 1]).T,
        y,
        again: y,
        flag,
        n: 3,
      };
    });
    const x = tensor([1, 2, 3]);
    const result = await step(x, true);
    expect(result.same.map((t) => t.toArray())).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(result.captured.toArray()).toEqual([5, 6]);
    expect(result.view.toArray()).toEqual([2, 3]);
    expect(result.transposed.toArray()).toEqual([[2, 3, 4]]);
    expect([result.y.toArray(), result.again.toArray(), result.flag, result.n]).toEqual([
      [2, 3, 4],
      [2, 3, 4],
      true,
      3,
    ]);
    result.same[0].dispose();
    expect([x.toArray(), result.same[1].toArray()]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  test('other shapes, dtypes and plain values are compiled anew', async () => {
    let traced = 0;
    const step = compile((x: AnyTensor, factor: number) => {
      traced++;
      return x.mul(factor);
    });
    expect((await step(tensor([1, 2]), 2)).toArray()).toEqual([2, 4]);
    expect((await step(tensor([3, 4]), 2)).toArray()).toEqual([6, 8]);
    expect(traced).toBe(1);
    expect((await step(tensor([3, 4]), 3)).toArray()).toEqual([9, 12]);
    expect((await step(tensor([1, 2, 3]), 3)).toArray()).toEqual([3, 6, 9]);
    expect((await step(tensor(Int32Array.of(1)), 3)).toArray()).toEqual([3]);
    expect(traced).toBe(4);
    expect(step.explain().split('\n\n').length).toBe(4);
  });

  test('arguments of any layout', async () => {
    const step = compile((x: Tensor) => x.sum(0));
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect((await step(x)).toArray()).toEqual([5, 7, 9]);
    expect((await step(x.T)).toArray()).toEqual([6, 15]);
    expect((await step(x.expand([2, 3]))).toArray()).toEqual([5, 7, 9]);
  });

  test('a model that changes between training and evaluation is compiled for both', async () => {
    const drop = nn.dropout(0.5);
    const step = compile((x: Tensor) => drop.forward(x));
    const x = tensor(new Float32Array(1000).fill(1));
    const zerosIn = async (): Promise<number> => (await step(x)).equal(0).sum().item();
    expect(await zerosIn()).toBeGreaterThan(300);
    drop.eval();
    expect(await zerosIn()).toBe(0);
    drop.train();
    expect(await zerosIn()).toBeGreaterThan(300);
  });

  test('random numbers are new in each run', async () => {
    const step = compile(() => rand([4]));
    manualSeed(1);
    const runs = [await step(), await step()].map((x) => x.toArray());
    manualSeed(1);
    expect(runs).toEqual([rand([4]).toArray(), rand([4]).toArray()]);
  });
});

describe('updates', () => {
  test('what is read after its update is the updated', async () => {
    const count = zeros([2]);
    const step = compile((x: Tensor) => {
      assign(count, count.add(x));
      const first = count.mul(10);
      assign(count, count.add(1));
      return [first, count.mul(100)];
    });
    const [first, second] = await step(tensor([1, 2]));
    expect([first.toArray(), second.toArray(), count.toArray()]).toEqual([
      [10, 20],
      [200, 300],
      [2, 3],
    ]);
  });

  test('an update by what a later update changes', async () => {
    const a = tensor([1]);
    const b = tensor([10]);
    const step = compile(() => {
      assign(a, b.add(1));
      assign(b, a.add(100));
      return b.mul(2);
    });
    expect([(await step()).toArray(), a.toArray(), b.toArray()]).toEqual([[222], [11], [111]]);
  });

  test('a failure anywhere leaves everything as it was', async () => {
    const { model, step, optimizer } = trainee();
    const table = rand([4, 2]);
    const both = compile((x: Tensor, y: Tensor, index: Tensor<'int32'>) => {
      const loss = step(x, y);
      // After the update: an index that may be out of range.
      return [loss, table.indexSelect(index), model.parameters()[0].sum()];
    });
    const x = randn([5, 6]);
    await both(x, labels(5), tensor(Int32Array.of(1)));
    const before = [stateOf(model), stateOf(model.eval().train())];
    const moments = Object.values(optimizer.stateDict().state).flatMap(({ tensors }) =>
      tensors.map((t) => t.toArray()),
    );
    await expect(both(x, labels(5), tensor(Int32Array.of(9)))).rejects.toThrow(/9 .*nothing was updated/);
    expect(stateOf(model)).toEqual(before[0]);
    expect(
      Object.values(optimizer.stateDict().state).flatMap(({ tensors }) => tensors.map((t) => t.toArray())),
    ).toEqual(moments);
    await both(x, labels(5), tensor(Int32Array.of(3)));
    expect(stateOf(model)).not.toEqual(before[0]);
  });

  test('a failure in a scan says how far it came', async () => {
    const total = zeros([1]);
    const table = tensor([1, 2, 3]);
    const step = compile((index: Tensor<'int32'>) => {
      assign(total, total.add(table.indexSelect(index)));
      return total;
    });
    const index = tensor(Int32Array.of(0, 1, 7, 2), { shape: [4, 1] });
    await expect(step.scan(index)).rejects.toThrow(/(2|the) steps before it were done/);
    expect(total.toArray()).toEqual([3]);
  });
});

describe('signals', () => {
  test('calls that have not begun are cancelled', async () => {
    const controller = new AbortController();
    const total = zeros([1]);
    const slow = compile(
      (x: Tensor) => {
        let y = x;
        for (let i = 0; i < 40; i++) y = y.matmul(x).mul(1e-3);
        assign(total, total.add(y.sum().mul(0)).add(1));
        return total;
      },
      { signal: controller.signal },
    );
    const x = rand([400, 400]);
    await slow(x);
    const runs = Array.from({ length: 6 }, () => slow(x));
    controller.abort(new Error('enough'));
    const results = await Promise.allSettled(runs);
    const done = results.filter(({ status }) => status === 'fulfilled').length;
    expect(done).toBeLessThan(6);
    for (const result of results) {
      if (result.status === 'rejected') expect((result.reason as Error).message).toBe('enough');
    }
    expect(total.item()).toBe(1 + done);
    await expect(slow(x)).rejects.toThrow('enough');
  });
});

describe('refusals', () => {
  const line = /step\.test\.ts:\d+/;

  test('values cannot be read, and the error names the operation and the line', async () => {
    const step = compile((x: Tensor) => (x.sum().item() > 0 ? x : x.neg()), { name: 'signed' });
    const error = await step(tensor([1])).catch((e: unknown) => e as Error);
    expect(error).toBeInstanceOf(TraceError);
    expect((error as Error).message).toMatch(/signed: item: .*read/);
    expect((error as Error).message).toMatch(line);
    await expect(compile((x: Tensor) => x.dataSync()[0])(tensor([1]))).rejects.toThrow(/data: .*read/);
  });

  test('with fallback the function runs as it is', async () => {
    const step = compile((x: Tensor) => (x.sum().item() > 0 ? x.mul(2) : x.neg()), { fallback: true });
    expect((await step(tensor([1]))).toArray()).toEqual([2]);
    expect((await step(tensor([-1]))).toArray()).toEqual([1]);
    expect(step.fallbackReason?.message).toMatch(/item/);
    expect((await step.scan(tensor([1, -1]))).toArray()).toEqual([2, 1]);
  });

  test('what was counted before the refusal is taken back', async () => {
    const { optimizer, step } = trainee();
    const twice = [];
    for (const refuse of [true, false]) {
      manualSeed(5);
      if (refuse) {
        const attempt = compile((x: Tensor, y: Tensor) => step(x, y).item());
        await expect(attempt(randn([5, 6]), labels(5))).rejects.toThrow(TraceError);
        expect(Object.values(optimizer.stateDict().state).map(({ steps }) => steps)).toEqual([0, 0, 0, 0, 0, 0]);
        manualSeed(5);
        randn([5, 6]);
        twice.push(rand([3]).toArray());
      } else {
        randn([5, 6]);
        twice.push(rand([3]).toArray());
      }
    }
    expect(twice[0]).toEqual(twice[1]);
  });

  const bad: [string, () => Promise<unknown>, RegExp][] = [
    [
      'an argument changed in place',
      () =>
        compile((x: Tensor) => {
          assign(x, x.add(1));
        })(tensor([1])),
      /argument .*in place/,
    ],
    [
      'a gradient from outside',
      () => {
        const w = tensor([1], { requiresGrad: true });
        w.square().sum().backward();
        return compile(() => {
          w.square().sum().backward();
        })();
      },
      /gradient from outside .*zeroGrad/,
    ],
    [
      'a graph from outside',
      () => {
        const y = tensor([1], { requiresGrad: true }).square();
        return compile(() => y.add(1))();
      },
      /computed outside/,
    ],
    ['a seed drawn in JavaScript', () => compile(() => permutation(5))(), /seed was drawn/],
    [
      'a checkpoint that draws random numbers',
      () => {
        const w = rand([4], { requiresGrad: true });
        return compile(() => {
          checkpoint((x: Tensor) => nn.functional.dropout(x, 0.5), w)
            .sum()
            .backward();
        })();
      },
      /checkpoint: .*random/,
    ],
    ['a promise', () => compile(async (x: Tensor) => Promise.resolve(x))(tensor([1])), /must not be async/],
    ['a result of another kind', () => compile(() => new Map())(), /plain objects/],
    ['an argument of another kind', () => compile((x: Map<string, Tensor>) => x.size)(new Map()), /plain objects/],
    [
      'a parameter that was disposed',
      async () => {
        const w = tensor([1]);
        const step = compile((x: Tensor) => x.add(w));
        await step(tensor([1]));
        w.dispose();
        return step(tensor([1]));
      },
      /disposed/,
    ],
  ];
  test.each(bad)('%s', async (_, attempt, message) => {
    await expect(attempt()).rejects.toThrow(message);
  });

  test('not a function', () => {
    expect(() => compile(3 as never)).toThrow(/must be a function/);
  });

  test('a tensor of the trace has no values elsewhere', async () => {
    let leaked: Tensor | undefined;
    await compile((x: Tensor) => {
      leaked = x.add(1);
      return leaked.mul(2);
    })(tensor([1]));
    const stray = leaked as unknown as Tensor;
    expect(() => stray.add(1)).toThrow(/disposed|compiled/);
    await expect(compile((x: Tensor) => x.add(stray))(tensor([1]))).rejects.toThrow(/disposed|another compiled step/);
  });

  test('a step that was disposed is compiled anew', async () => {
    const step = compile((x: Tensor) => x.add(1));
    await step(tensor([1]));
    step.dispose();
    expect((await step(tensor([1]))).toArray()).toEqual([2]);
  });
});

test('a thousand runs leave no memory behind, and buffers are shared', async () => {
  const { step } = trainee();
  const compiled: CompiledStep<[Tensor, Tensor], Tensor> = compile(step);
  const x = randn([5, 6]);
  const y = labels(5);
  (await compiled(x, y)).dispose();
  const before = memoryStats();
  for (let i = 0; i < 1000; i++) (await compiled(x, y)).dispose();
  const after = memoryStats();
  expect(after.allocatedBytes).toBeLessThanOrEqual(before.allocatedBytes);
  const [, planned, unplanned] = /buffers ([\d.]+) KiB, ([\d.]+) KiB/.exec(compiled.explain()) as unknown as string[];
  expect(Number(planned)).toBeLessThan(0.7 * Number(unplanned));
  tidy(() => undefined);
});

/** The delay of the event loop that 99 % of its turns stay below, in ms, and how many turns there were. */
async function loopDelay(work: () => Promise<unknown>): Promise<{ p99: number; turns: number }> {
  const delays: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    delays.push(now - last);
    last = now;
  }, 2);
  await work();
  clearInterval(timer);
  delays.sort((a, b) => a - b);
  return { p99: delays[Math.floor(delays.length * 0.99)], turns: delays.length };
}

testOfHost(
  'the event loop is free while steps run',
  async () => {
    const model = nn.sequential(nn.linear(700, 700), nn.relu(), nn.linear(700, 700), nn.relu(), nn.linear(700, 10));
    const optimizer = new optim.Adam(model.parameters());
    const step = compile((x: Tensor, y: Tensor) => {
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const x = rand([1024, 700]);
    const y = labels(1024, 10);
    await step(x, y);
    // The best of some: a machine that is busy with something else delays the loop, too. A loop that
    // the steps hold is never free: with steps on the main thread this finds 0 turns.
    const tries: { p99: number; turns: number }[] = [];
    const isFree = ({ p99, turns }: { p99: number; turns: number }) => p99 < 20 && turns > 50;
    while (tries.length < 8 && !tries.some(isFree))
      tries.push(await loopDelay(() => Promise.all(Array.from({ length: 30 }, () => step(x, y)))));
    expect(tries.filter(isFree)).not.toEqual([]);
  },
  120_000,
);

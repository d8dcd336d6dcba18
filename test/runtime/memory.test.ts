import {
  emptyCache,
  memoryStats,
  ones,
  OutOfMemoryError,
  setMemoryLimit,
  tensor,
  tidy,
  keep,
  zeros,
  type Tensor,
} from '../../lib';
import { childJson } from './child';
import { countTensors } from '../tensorCount';

const megabyte = 2 ** 20;

describe('loops that dispose nothing and never yield', () => {
  test.each([
    [1_000_000, 4],
    [200_000, 1000],
    [20_000, 65_536],
    [2_000, 262_144],
  ])('%i ops on %i elements stay below 300 MB', (count, size) => {
    const peak = childJson(`
      const a = k.zeros([${size}]);
      let peak = 0;
      for (let i = 0; i < ${count}; i++) {
        a.add(a);
        if (i % 100 === 0) peak = Math.max(peak, process.memoryUsage.rss());
      }
      console.log(JSON.stringify(peak));
    `) as number;
    expect(peak).toBeLessThan(300e6);
    expect(peak).toBeGreaterThan(10e6);
  });

  test('graphs and their gradients too', () => {
    const { peak, grad } = childJson(`
      const w = k.ones([256, 256], { requiresGrad: true });
      const x = k.ones([64, 256]);
      let peak = 0;
      for (let i = 0; i < 3000; i++) {
        w.grad = null;
        x.matmul(w).relu().square().mean().backward();
        if (i % 20 === 0) peak = Math.max(peak, process.memoryUsage.rss());
      }
      console.log(JSON.stringify({ peak, grad: w.grad.mean().item() }));
    `) as { peak: number; grad: number };
    expect(peak).toBeLessThan(300e6);
    // d mean(y²) / dw with y = 256 everywhere: 2 · 256 · 64 / (64 · 256).
    expect(grad).toBeCloseTo(2, 4);
  });
});

test('10,000 training steps do not grow', () => {
  const { before, after, tensors } = childJson(`
    k.manualSeed(0);
    const data = new k.data.TensorDataset(k.rand([3200, 196]), k.zeros([3200], { dtype: 'int32' }));
    const model = k.nn.sequential(k.nn.linear(196, 64), k.nn.relu(), k.nn.linear(64, 10));
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
    (async () => {
      await model.fit(data, { epochs: 20, verbose: 0 });
      const before = process.memoryUsage.rss();
      const count = k.memoryStats().tensors;
      await model.fit(data, { epochs: 100, verbose: 0 });
      const after = process.memoryUsage.rss();
      console.log(JSON.stringify({ before, after, tensors: k.memoryStats().tensors - count }));
    })();
  `) as { before: number; after: number; tensors: number };
  expect(after - before).toBeLessThan(10 * megabyte);
  expect(tensors).toBe(0);
});

describe('tidy', () => {
  test('disposes all but what is returned or kept', () => {
    const before = countTensors();
    let inner: Tensor | undefined;
    let kept: Tensor | undefined;
    const result = tidy(() => {
      inner = ones([3]);
      kept = keep(ones([2]));
      return { list: [inner.add(1)], map: new Map([['x', inner.mul(2)]]) };
    });
    expect(inner?.isDisposed).toBe(true);
    expect(kept?.isDisposed).toBe(false);
    expect(result.list[0].toArray()).toEqual([2, 2, 2]);
    expect(result.map.get('x')?.toArray()).toEqual([2, 2, 2]);
    expect(memoryStats().tensors).toBe(before + 3);
  });

  test('nests: what an inner scope returns belongs to the outer', () => {
    let middle: Tensor | undefined;
    const out = tidy(() => {
      middle = tidy(() => ones([1]).add(1));
      return middle.add(1);
    });
    expect(middle?.isDisposed).toBe(true);
    expect(out.item()).toBe(3);
  });

  test('cleans up after an error', () => {
    const before = countTensors();
    expect(() =>
      tidy(() => {
        ones([4]).add(1);
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(memoryStats().tensors).toBe(before);
  });

  test('frees a graph that nothing returned belongs to', () => {
    const w = tensor([1, 2], { requiresGrad: true });
    const before = countTensors();
    for (let i = 0; i < 3; i++) tidy(() => w.exp().square().sum().item());
    expect(memoryStats().tensors).toBe(before);
    const loss = tidy(() => w.square().sum());
    loss.backward();
    expect(w.grad?.toArray()).toEqual([2, 4]);
  });

  test('refuses async functions', () => {
    expect(() => tidy(async () => Promise.resolve(1))).toThrow(/must not be async/);
  });
});

describe('the limit', () => {
  afterEach(() => {
    setMemoryLimit(0);
  });

  test('gives a catchable error and leaves everything usable', () => {
    emptyCache();
    setMemoryLimit(memoryStats().reservedBytes + 64 * megabyte);
    const a = ones([4 * megabyte]); // 16 MB
    // More than earlier tests can have left in the cache or to the garbage collector.
    expect(() => zeros([1024 * megabyte])).toThrow(OutOfMemoryError);
    expect(() => zeros([1024 * megabyte])).toThrow(/full: no memory for 4294967296 bytes/);
    expect(a.add(1).sum().item()).toBe(8 * megabyte);
    setMemoryLimit(0);
    const big = zeros([64 * megabyte]);
    expect(big.size).toBe(64 * megabyte);
    big.dispose();
    emptyCache();
  });

  test('makes room by sweeping dead tensors first', () => {
    const made = childJson(`
      k.setMemoryLimit(k.memoryStats().reservedBytes + 128 * 2 ** 20);
      let made = 0;
      for (let i = 0; i < 400; i++) { k.ones([2 ** 20]); made++; }
      console.log(JSON.stringify(made));
    `);
    expect(made).toBe(400);
  });

  test.each([[-1], [1.5], [NaN], [Infinity]])('%p is no limit', (bytes) => {
    expect(() => {
      setMemoryLimit(bytes);
    }).toThrow(/bytes must be an integer/);
  });
});

test('statistics count what is alive', () => {
  const before = memoryStats();
  const x = zeros([1000]);
  const view = x.slice([0, 10]);
  const during = memoryStats();
  expect(during.tensors).toBe(before.tensors + 2);
  expect(during.allocatedBytes - before.allocatedBytes).toBe(4096);
  x.dispose();
  expect(memoryStats().allocatedBytes).toBe(during.allocatedBytes);
  view.dispose();
  expect(memoryStats().allocatedBytes).toBe(before.allocatedBytes);
});

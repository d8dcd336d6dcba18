/** What trajectories do not show of layers: blocks of attention, sparse gradients, buffers, modes, errors. */
import {
  gradients,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  tensor,
  tidy,
  zeros,
  Generator,
  resetPeakMemory,
  memoryStats,
  type AnyTensor,
  type Tensor,
} from '../../lib';
import { testOfHost } from '../ofHost';

const f = nn.functional;
const generator = new Generator(11);
const draw = (...shape: number[]): Tensor => randn(shape, { generator });

describe('attention over long sequences', () => {
  const [heads, length, width] = [2, 1500, 8];
  const parts = [draw(heads, length, width), draw(heads, length, width), draw(heads, length, width)];

  test.each([
    ['plain', {}],
    ['causal', { causal: true }],
    ['masked', { mask: tensor(Float32Array.from({ length }, (_, i) => (i % 7 === 0 ? -3 : 0))) }],
  ])('blocks of queries agree with all at once, %s', (_, options) => {
    const run = (split: boolean): Float32Array[] => {
      const leaves = parts.map((x) => {
        const leaf = x.detach();
        leaf.requiresGrad = true;
        return leaf;
      });
      const [q, k, v] = leaves;
      // Halves of the heads are below the size from which on blocks are used.
      const out = split
        ? f.scaledDotProductAttention(q, k, v, options)
        : f.scaledDotProductAttention(q.slice([0, 1], [0, 700]), k.slice([0, 1]), v.slice([0, 1]), options);
      const seen = out.slice([0, 1], [0, 700]);
      const grads = gradients(seen.square().sum(), leaves);
      return [seen, ...grads].map((x) => x.dataSync());
    };
    const [blocks, whole] = [run(true), run(false)];
    blocks.forEach((values, i) => {
      values.forEach((value, j) => {
        expect(Math.abs(value - whole[i][j])).toBeLessThan(2e-5 + 2e-5 * Math.abs(whole[i][j]));
      });
    });
  });

  test.each([
    [
      [3, 4],
      [5, 4],
      [5, 2],
    ],
    [
      [2, 6, 4],
      [5, 4],
      [2, 5, 3],
    ],
    [
      [2, 3, 6, 4],
      [2, 3, 5, 4],
      [2, 3, 5, 4],
    ],
    [
      [2, 1, 2, 3, 4],
      [2, 2, 3, 4],
      [2, 2, 2, 3, 4],
    ],
  ])('the kernel agrees with ordinary operations to second order, queries %p', (...shapes) => {
    const drawn = shapes.map((shape) => draw(...shape));
    for (const causal of [false, true]) {
      const run = (mask: Tensor | null): Float32Array[] => {
        const leaves = drawn.map((x) => {
          const leaf = x.detach();
          leaf.requiresGrad = true;
          return leaf;
        });
        const out = f.scaledDotProductAttention(leaves[0], leaves[1], leaves[2], { causal, mask });
        const plain = gradients(out.square().sum(), leaves);
        const again = f.scaledDotProductAttention(leaves[0], leaves[1], leaves[2], { causal, mask });
        const firsts = gradients(again.square().sum(), leaves, { createGraph: true });
        const slope = firsts.map((g) => g.square().sum()).reduce((a, b) => a.add(b) as Tensor);
        return [out, ...plain, ...firsts, ...gradients(slope, leaves)].map((x) => x.dataSync());
      };
      // Any mask, even one of zeros, is left to ordinary operations.
      const [kernel, ordinary] = [run(null), run(zeros([1]))];
      kernel.forEach((values, i) => {
        values.forEach((value, j) => {
          expect(Math.abs(value - ordinary[i][j])).toBeLessThan(1e-4 + 1e-4 * Math.abs(ordinary[i][j]));
        });
      });
    }
  });

  testOfHost('memory grows with the length, not with its square', () => {
    const peak = (n: number): number =>
      tidy(() => {
        const x = zeros([1, n, 4], { requiresGrad: true });
        resetPeakMemory();
        const before = memoryStats().allocatedBytes;
        f.scaledDotProductAttention(x, x, x).sum().backward();
        return memoryStats().peakAllocatedBytes - before;
      });
    const [small, large] = [peak(2000), peak(8000)];
    expect(large).toBeLessThan(2 * small);
    expect(large).toBeLessThan(8000 * 8000 * 4);
  });
});

describe('sparse embeddings', () => {
  const index = tensor(new Int32Array([3, 1, 3, 0]));

  test('collect each row once', () => {
    const table = nn.embedding(5, 2, { sparse: true });
    table.forward(index).sum().backward();
    table
      .forward(tensor(new Int32Array([4, 3])))
      .mul(2)
      .sum()
      .backward();
    expect(table.weight.grad).toBeNull();
    expect(table.weight.sparseGrad?.indices.toArray()).toEqual([0, 1, 3, 4]);
    expect(table.weight.sparseGrad?.values.toArray()).toEqual([
      [1, 1],
      [1, 1],
      [4, 4],
      [2, 2],
    ]);
  });

  test.each<[string, (ps: Tensor[]) => { step(): void; zeroGrad(): void }]>([
    ['SGD', (ps) => new optim.SGD(ps, { lr: 0.1 })],
    ['Adam', (ps) => new optim.Adam(ps, { lr: 0.1 })],
    ['Adagrad', (ps) => new optim.Adagrad(ps, { lr: 0.1 })],
  ])('%s moves the rows as the dense gradient would, and no other', (_, make) => {
    manualSeed(1);
    const [sparse, dense] = [nn.embedding(5, 2, { sparse: true }), nn.embedding(5, 2)];
    dense.loadStateDict(sparse.stateDict());
    const start = sparse.weight.toArray() as number[][];
    for (const table of [sparse, dense]) {
      const optimizer = make(table.parameters());
      for (let step = 0; step < 3; step++) {
        optimizer.zeroGrad();
        table.forward(index).square().sum().backward();
        optimizer.step();
      }
    }
    const [a, b] = [sparse.weight.toArray() as number[][], dense.weight.toArray() as number[][]];
    expect(a).toEqual(b);
    expect(a[2]).toEqual(start[2]);
    expect(a[3]).not.toEqual(start[3]);
  });

  test('need a leaf', () => {
    const weight = ones([3, 2], { requiresGrad: true }).mul(2);
    expect(() => f.embedding(index, weight, { sparse: true })).toThrow(/needs a weight that is a leaf/);
  });
});

test('a padding row starts as zeros and stays', () => {
  const table = nn.embedding(4, 3, { paddingIndex: 2 });
  expect(table.weight.slice(2).toArray()).toEqual([0, 0, 0]);
  table
    .forward(tensor(new Int32Array([2, 1])))
    .sum()
    .backward();
  expect((table.weight.grad as Tensor).toArray()).toEqual([
    [0, 0, 0],
    [1, 1, 1],
    [0, 0, 0],
    [0, 0, 0],
  ]);
});

test('buffers are saved, not trained', () => {
  const layer = nn.batchNorm1d(2);
  expect(Object.keys(layer.stateDict())).toEqual([
    'weight',
    'bias',
    'running_mean',
    'running_var',
    'num_batches_tracked',
  ]);
  expect(layer.parameters().length).toBe(2);
  layer.forward(
    tensor([
      [1, 2],
      [3, 6],
    ]),
  );
  const [mean, variance] = [layer.runningMean as Tensor, layer.runningVar as Tensor];
  [0.2, 0.4].forEach((value, i) => {
    expect((mean.toArray() as number[])[i]).toBeCloseTo(value, 6);
  });
  [1.1, 1.7].forEach((value, i) => {
    expect((variance.toArray() as number[])[i]).toBeCloseTo(value, 5);
  });
  expect(layer.numBatchesTracked?.item()).toBe(1);
  layer.eval();
  layer.forward(
    tensor([
      [1, 2],
      [3, 6],
    ]),
  );
  expect(layer.numBatchesTracked?.item()).toBe(1);
});

test('dropout drops in training only, and keeps the mean', () => {
  manualSeed(4);
  const layer = nn.dropout(0.25);
  const x = ones([100, 100]);
  const dropped = layer.forward(x);
  expect(dropped.mean().item()).toBeCloseTo(1, 1);
  expect(dropped.equal(0).cast('float32').mean().item()).toBeCloseTo(0.25, 1);
  expect(layer.eval().forward(x)).toBe(x);
  const channels = new nn.Dropout2d(0.5).forward(ones([4, 50, 3, 3]));
  const sums = channels.sum([2, 3]).toArray() as number[][];
  expect(sums.flat().every((sum) => sum === 0 || sum === 18)).toBe(true);
});

test('attention weights: each query shares out 1', () => {
  const layer = nn.multiheadAttention(4, 2, { batchFirst: true });
  const x = draw(2, 5, 4);
  const { output, weights } = layer.attend(x, x, x, { needWeights: true, causal: true });
  expect(output.shape).toEqual([2, 5, 4]);
  const rows = (weights as Tensor).sum(-1).toArray() as number[][];
  rows.flat().forEach((sum) => {
    expect(sum).toBeCloseTo(1, 5);
  });
  expect((weights as Tensor).slice(0, 0).toArray()).toEqual([1, 0, 0, 0, 0]);
});

test('containers', () => {
  const block = nn.residual(nn.linear(3, 3));
  const x = draw(2, 3);
  const inner = block.inner.forward(x);
  expect(block.forward(x).toArray()).toEqual(inner.add(x).toArray());
  const list = nn.moduleList([nn.linear(2, 2), nn.relu()]).push(nn.linear(2, 1));
  expect(list.length).toBe(3);
  expect(Object.keys(list.stateDict())).toContain('2.weight');
  expect(() => list.at(3)).toThrow(/position 3 of 3/);
  expect(
    nn
      .lambda((y) => y.mul(2))
      .forward(ones([2]))
      .toArray(),
  ).toEqual([2, 2]);
});

test('positions: the sines of the paper', () => {
  const table = nn.sinusoids(3, 4).toArray() as number[][];
  [0, 1, 0, 1].forEach((value, i) => {
    expect(table[0][i]).toBeCloseTo(value, 6);
  });
  expect(table[2][0]).toBeCloseTo(Math.sin(2), 6);
  expect(table[2][3]).toBeCloseTo(Math.cos(2 / 100), 6);
  const x = zeros([1, 3, 4]);
  expect(nn.positionalEncoding(4).forward(x).slice(0).toArray()).toEqual(table);
});

test.each<[string, () => unknown, RegExp]>([
  ['heads that do not divide', () => nn.multiheadAttention(4, 3), /4 features are no multiple of 3 heads/],
  [
    'a query of another width',
    () => nn.multiheadAttention(4, 2).forward(zeros([2, 2, 3])),
    /query must be \[length, n, 4\], got \[2,2,3\]/,
  ],
  [
    'a padding mask of another shape',
    () =>
      nn
        .multiheadAttention(4, 2)
        .attend(zeros([2, 1, 4]), undefined, undefined, { keyPaddingMask: zeros([2, 2], { dtype: 'bool' }) }),
    /keyPaddingMask must be bool \[1,2\]/,
  ],
  [
    'an image for BatchNorm1d',
    () => nn.batchNorm1d(3).forward(zeros([2, 3, 4, 4])),
    /BatchNorm1d\(3\): expected an input of rank 2 or 3/,
  ],
  [
    'other channels',
    () => nn.batchNorm2d(3).forward(zeros([2, 4, 4, 4])),
    /with 3 channels at axis 1, got \[2,4,4,4\]/,
  ],
  ['groups that do not divide', () => nn.groupNorm(2, 3), /3 channels are no multiple of 2 groups/],
  ['a probability above 1', () => nn.dropout(2), /Dropout: p must be a number in \[0, 1\]/],
  ['no rows', () => nn.embedding(0, 3), /Embedding: count must be an integer in/],
  ['no function', () => nn.lambda(3 as unknown as (x: Tensor) => Tensor), /lambda: needs a function/],
  ['a list as a layer', () => nn.moduleList([]).forward(), /a list has no forward/],
  ['a scalar initializer', () => nn.init.xavierUniform([3]), /has no fans/],
])('refuses %s', (_, attempt, message) => {
  expect(attempt).toThrow(message);
});

describe('initial values', () => {
  const spreadOf = (x: AnyTensor): { mean: number; std: number; top: number } =>
    noGrad(() => ({ mean: x.mean().item(), std: x.std().item(), top: x.abs().max().item() }));
  test.each<[string, () => Tensor, number, number]>([
    ['xavierUniform', () => nn.init.xavierUniform([200, 100]), Math.sqrt(2 / 300), Math.sqrt(6 / 300)],
    ['xavierNormal', () => nn.init.xavierNormal([200, 100]), Math.sqrt(2 / 300), Infinity],
    [
      'kaimingUniform',
      () => nn.init.kaimingUniform([200, 100], { nonlinearity: 'relu' }),
      Math.sqrt(2 / 100),
      Math.sqrt(6 / 100),
    ],
    ['kaimingNormal', () => nn.init.kaimingNormal([200, 100], { mode: 'fanOut' }), Math.sqrt(2 / 200), Infinity],
    ['lecunNormal', () => nn.init.lecunNormal([200, 100]), 0.1, Infinity],
    ['truncatedNormal', () => nn.init.truncatedNormal([200, 100]), 0.8796, 2],
  ])('%s has the deviation and the bound of its paper', (_, make, std, bound) => {
    manualSeed(2);
    const found = spreadOf(make());
    expect(Math.abs(found.mean)).toBeLessThan(0.02 * Math.max(std, 1));
    expect(Math.abs(found.std / std - 1)).toBeLessThan(0.02);
    expect(found.top).toBeLessThanOrEqual(bound * (1 + 1e-6));
  });

  test.each([[[6, 4]], [[4, 6]], [[3, 2, 2]]])('orthogonal %s', (shape) => {
    const q = nn.init.orthogonal(shape).reshape([shape[0], -1]);
    const product = q.shape[0] <= q.shape[1] ? q.matmul(q.T) : q.T.matmul(q);
    const n = product.shape[0];
    (product.toArray() as number[][]).forEach((row, i) => {
      row.forEach((value, j) => {
        expect(Math.abs(value - Number(i === j))).toBeLessThan(1e-5);
      });
    });
    expect(n).toBe(Math.min(q.shape[0], q.shape[1]));
  });
});

/** What the operator table does not show of the losses: extreme inputs, modules, memory. */
import { gradients, keep, logSoftmax, memoryStats, nn, tensor, tidy, zeros, type Tensor } from '../../lib';
import { countTensors } from '../tensorCount';

const F = nn.functional;
const labels = (...values: number[]): Tensor<'int32'> => tensor(Int32Array.from(values));
const leaf = (values: number[] | number[][]): Tensor => tensor(values, { requiresGrad: true });

function gradientOf(fn: (x: Tensor) => Tensor, x: Tensor): number[] {
  return Array.from(gradients(fn(x).sum(), [x])[0].dataSync());
}

const extremes = [-1e4, -100, 0, 100, 1e4];

describe('extreme logits', () => {
  test.each([0, 1, 0.5])('binaryCrossEntropyWithLogits, target %p', (target) => {
    const x = leaf(extremes);
    const t = tensor(extremes.map(() => target));
    const call = (z: Tensor): Tensor => F.binaryCrossEntropyWithLogits(z, t, { reduction: 'none' });
    const expected = extremes.map((z) => Math.max(z, 0) - z * target + Math.log1p(Math.exp(-Math.abs(z))));
    Array.from(call(x).dataSync()).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 4);
    });
    gradientOf(call, x).forEach((value, i) => {
      expect(value).toBeCloseTo(1 / (1 + Math.exp(-extremes[i])) - target, 6);
    });
  });

  test('the gradient of binaryCrossEntropyWithLogits at 0 is 1/2 - target', () => {
    const t = tensor([0, 1]);
    expect(gradientOf((z) => F.binaryCrossEntropyWithLogits(z, t), leaf([0, 0]))).toEqual([0.25, -0.25]);
  });

  const finite: readonly (readonly [string, (x: Tensor, t: Tensor) => Tensor])[] = [
    ['posWeight', (x, t) => F.binaryCrossEntropyWithLogits(x, t, { posWeight: tensor([3]) })],
    ['multilabelSoftMarginLoss', (x, t) => F.multilabelSoftMarginLoss(x, t)],
    ['softMarginLoss', (x, t) => F.softMarginLoss(x, t.mul(2).sub(1))],
    ['sigmoidFocalLoss', (x, t) => F.sigmoidFocalLoss(x, t)],
    ['sigmoidFocalLoss, gamma 0.5', (x, t) => F.sigmoidFocalLoss(x, t, { gamma: 0.5 })],
    ['sigmoidFocalLoss, gamma 1', (x, t) => F.sigmoidFocalLoss(x, t, { gamma: 1 })],
    ['huberLoss', (x, t) => F.huberLoss(x, t)],
    ['smoothL1Loss', (x, t) => F.smoothL1Loss(x, t)],
    ['binaryCrossEntropy of a sigmoid', (x, t) => F.binaryCrossEntropy(x.sigmoid(), t)],
    ['diceLoss', (x, t) => F.diceLoss(x.reshape([1, 1, -1]), t.reshape([1, 1, -1]), { activation: 'sigmoid' })],
  ];
  test.each(finite)('%s has finite first and second derivatives', (_, call) => {
    for (const target of [0, 1]) {
      const x = leaf(extremes);
      const value = call(x, tensor(extremes.map(() => target)));
      expect(Number.isFinite(value.item())).toBe(true);
      const [first] = gradients(value, [x], { createGraph: true });
      const [second] = gradients(first.sum(), [x]);
      for (const entry of [...first.dataSync(), ...second.dataSync()]) expect(Number.isFinite(entry)).toBe(true);
    }
  });

  const overClasses: readonly (readonly [string, (x: Tensor, y: Tensor<'int32'>) => Tensor])[] = [
    ['crossEntropy', (x, y) => F.crossEntropy(x, y)],
    ['crossEntropy, smoothed', (x, y) => F.crossEntropy(x, y, { labelSmoothing: 0.1 })],
    ['crossEntropy, weighted', (x, y) => F.crossEntropy(x, y, { weight: tensor([1, 2, 3]) })],
    ['softmaxFocalLoss', (x, y) => F.softmaxFocalLoss(x, y)],
    ['softmaxFocalLoss, gamma 0.5', (x, y) => F.softmaxFocalLoss(x, y, { gamma: 0.5 })],
    ['nllLoss', (x, y) => F.nllLoss(logSoftmax(x), y)],
    ['multiMarginLoss', (x, y) => F.multiMarginLoss(x, y)],
  ];
  test.each(overClasses)('%s has finite first and second derivatives', (_, call) => {
    const x = leaf([
      [1e4, -1e4, 0],
      [-100, 100, 0],
      [1e4, 1e4, 1e4],
    ]);
    for (const y of [labels(0, 1, 2), labels(1, 0, 0)]) {
      const value = call(x, y);
      expect(Number.isFinite(value.item())).toBe(true);
      const [first] = gradients(value, [x], { createGraph: true });
      const [second] = gradients(first.sum(), [x]);
      for (const entry of [...first.dataSync(), ...second.dataSync()]) expect(Number.isFinite(entry)).toBe(true);
    }
  });

  test('binaryCrossEntropy bounds logarithms at -100 and denominators at 1e-12', () => {
    const p = leaf([0, 1, 0, 1]);
    const t = tensor([1, 0, 0, 1]);
    const call = (x: Tensor): Tensor => F.binaryCrossEntropy(x, t, { reduction: 'none' });
    expect(Array.from(call(p).dataSync(), Math.abs)).toEqual([100, 100, 0, 0]);
    const slopes = gradientOf(call, p).map((value) => value / 1e12);
    [-1, 1, 0, 0].forEach((value, i) => {
      expect(slopes[i]).toBeCloseTo(value, 5);
    });
  });

  test('a triplet whose points coincide has a finite gradient', () => {
    const x = leaf([[1, 2]]);
    const slopes = gradientOf(
      (a) => F.tripletMarginLoss(a, tensor([[1, 2]]), tensor([[5, 5]]), { eps: 0, margin: 9 }),
      x,
    );
    slopes.forEach((value) => {
      expect(Number.isFinite(value)).toBe(true);
    });
    expect(Math.hypot(...slopes)).toBeCloseTo(1, 5);
  });

  test('cosineEmbeddingLoss of zeros is finite', () => {
    const x = leaf([[0, 0]]);
    expect(gradientOf((a) => F.cosineEmbeddingLoss(a, a, tensor([1])), x)).toEqual([0, 0]);
  });
});

describe('ignored labels', () => {
  test('are not looked up, wherever they point', () => {
    for (const ignoreIndex of [-(2 ** 31), -100, -1, 7, 2 ** 31 - 1]) {
      const x = leaf([
        [1, 2, 3],
        [3, 1, 0],
      ]);
      const y = labels(ignoreIndex, 1);
      const weight = tensor([0.5, 2, 1]);
      const alone = F.crossEntropy(tensor([[3, 1, 0]]), labels(1)).item();
      for (const options of [{}, { weight }, { labelSmoothing: 0.3, weight }]) {
        const expected = F.crossEntropy(tensor([[3, 1, 0]]), labels(1), options).item();
        expect(F.crossEntropy(x, y, { ...options, ignoreIndex }).item()).toBeCloseTo(expected, 6);
        const slopes = gradientOf((z) => F.crossEntropy(z, y, { ...options, ignoreIndex }), x);
        expect(slopes.slice(0, 3)).toEqual([0, 0, 0]);
        expect(slopes.slice(3).some((value) => value !== 0)).toBe(true);
      }
      expect(F.nllLoss(logSoftmax(x), y, { ignoreIndex }).item()).toBeCloseTo(alone, 6);
      expect(F.softmaxFocalLoss(x, y, { ignoreIndex, gamma: 0 }).item()).toBeCloseTo(alone, 6);
    }
  });

  test('leave a mean of nothing as NaN, a sum as 0', () => {
    const x = tensor([[1, 2, 3]]);
    expect(F.crossEntropy(x, labels(-100)).item()).toBeNaN();
    expect(F.crossEntropy(x, labels(-100), { reduction: 'sum' }).item()).toBe(0);
    expect(F.nllLoss(x, labels(-100)).item()).toBeNaN();
  });

  test('other labels are still checked', () => {
    const x = tensor([[1, 2, 3]]);
    expect(() => F.crossEntropy(x, labels(3), { ignoreIndex: 2 })).toThrow(RangeError);
    expect(() => F.crossEntropy(x, labels(-100), { ignoreIndex: 2 })).toThrow(/label -100 at position 0/);
  });
});

test('labels may be int64', () => {
  const x = tensor([
    [1, 2, 3],
    [3, 1, 0],
  ]);
  const y = labels(2, 1);
  const long = y.cast('int64');
  expect(F.crossEntropy(x, long).item()).toBe(F.crossEntropy(x, y).item());
  expect(F.nllLoss(x, long).item()).toBe(F.nllLoss(x, y).item());
  expect(F.multiMarginLoss(x, long).item()).toBe(F.multiMarginLoss(x, y).item());
  expect(F.softmaxFocalLoss(x, long).item()).toBe(F.softmaxFocalLoss(x, y).item());
  const maps = x.reshape([2, 3, 1]);
  expect(F.diceLoss(maps, long.reshape([2, 1])).item()).toBe(F.diceLoss(maps, y.reshape([2, 1])).item());
});

describe('diceLoss', () => {
  test('is 0 for the right regions and near 1 for the wrong ones', () => {
    const y = tensor(Int32Array.from([0, 1, 1, 2]), { shape: [1, 4] });
    const right = tensor([
      [
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],
      ],
    ]);
    expect(F.diceLoss(right, y).item()).toBeCloseTo(0, 6);
    expect(F.diceLoss(right.mul(20), y, { activation: 'softmax' }).item()).toBeCloseTo(0, 6);
    expect(F.diceLoss(right.mul(-1).add(1), y, { smooth: 0 }).item()).toBeCloseTo(1, 6);
  });
});

describe('modules', () => {
  const x = keep(
    tensor([
      [0.2, -1.5, 0.7],
      [1.1, 0.3, -0.4],
    ]),
  );
  const t = keep(
    tensor([
      [0.1, 0.9, 0.4],
      [1, 0, 0.5],
    ]),
  );
  const signs = keep(
    tensor([
      [1, -1, 1],
      [-1, -1, 1],
    ]),
  );
  const p = keep(x.sigmoid());
  const y = keep(labels(2, 0));
  const weight = keep(tensor([0.5, 1, 2]));
  const side = keep(tensor([1, -1]));

  const table: readonly (readonly [string, () => Tensor, () => Tensor])[] = [
    ['MSELoss', () => new nn.MSELoss().forward(x, t), () => F.mseLoss(x, t)],
    ['L1Loss', () => new nn.L1Loss({ reduction: 'sum' }).forward(x, t), () => F.l1Loss(x, t, { reduction: 'sum' })],
    ['HuberLoss', () => new nn.HuberLoss({ delta: 0.5 }).forward(x, t), () => F.huberLoss(x, t, { delta: 0.5 })],
    ['SmoothL1Loss', () => new nn.SmoothL1Loss({ beta: 0.5 }).forward(x, t), () => F.smoothL1Loss(x, t, { beta: 0.5 })],
    [
      'GaussianNLLLoss',
      () => new nn.GaussianNLLLoss({ full: true }).forward(x, t, p),
      () => F.gaussianNllLoss(x, t, p, { full: true }),
    ],
    [
      'PoissonNLLLoss',
      () => new nn.PoissonNLLLoss({ full: true }).forward(x, t),
      () => F.poissonNllLoss(x, t, { full: true }),
    ],
    [
      'CrossEntropyLoss',
      () => new nn.CrossEntropyLoss({ weight, labelSmoothing: 0.1 }).forward(x, y),
      () => F.crossEntropy(x, y, { weight, labelSmoothing: 0.1 }),
    ],
    ['CrossEntropyLoss, plain', () => new nn.CrossEntropyLoss().forward(x, y), () => F.crossEntropy(x, y)],
    [
      'NLLLoss',
      () => new nn.NLLLoss({ weight, ignoreIndex: 0 }).forward(x, y),
      () => F.nllLoss(x, y, { weight, ignoreIndex: 0 }),
    ],
    ['BCELoss', () => new nn.BCELoss({ weight }).forward(p, t), () => F.binaryCrossEntropy(p, t, { weight })],
    [
      'BCEWithLogitsLoss',
      () => new nn.BCEWithLogitsLoss({ posWeight: weight }).forward(x, t),
      () => F.binaryCrossEntropyWithLogits(x, t, { posWeight: weight }),
    ],
    [
      'KLDivLoss',
      () => new nn.KLDivLoss({ reduction: 'batchmean' }).forward(x, t),
      () => F.klDiv(x, t, { reduction: 'batchmean' }),
    ],
    [
      'HingeEmbeddingLoss',
      () => new nn.HingeEmbeddingLoss({ margin: 2 }).forward(x, signs),
      () => F.hingeEmbeddingLoss(x, signs, { margin: 2 }),
    ],
    [
      'MarginRankingLoss',
      () => new nn.MarginRankingLoss({ margin: 2 }).forward(x, t, signs),
      () => F.marginRankingLoss(x, t, signs, { margin: 2 }),
    ],
    [
      'MultiMarginLoss',
      () => new nn.MultiMarginLoss({ weight, p: 2 }).forward(x, y),
      () => F.multiMarginLoss(x, y, { weight, p: 2 }),
    ],
    [
      'MultiLabelSoftMarginLoss',
      () => new nn.MultiLabelSoftMarginLoss({ weight }).forward(x, t),
      () => F.multilabelSoftMarginLoss(x, t, { weight }),
    ],
    ['SoftMarginLoss', () => new nn.SoftMarginLoss().forward(x, signs), () => F.softMarginLoss(x, signs)],
    [
      'CosineEmbeddingLoss',
      () => new nn.CosineEmbeddingLoss({ margin: 0.1 }).forward(x, t, side),
      () => F.cosineEmbeddingLoss(x, t, side, { margin: 0.1 }),
    ],
    [
      'TripletMarginLoss',
      () => new nn.TripletMarginLoss({ p: 1 }).forward(x, t, signs),
      () => F.tripletMarginLoss(x, t, signs, { p: 1 }),
    ],
    [
      'SigmoidFocalLoss',
      () => new nn.SigmoidFocalLoss({ gamma: 3 }).forward(x, t),
      () => F.sigmoidFocalLoss(x, t, { gamma: 3 }),
    ],
    [
      'SoftmaxFocalLoss',
      () => new nn.SoftmaxFocalLoss({ gamma: 3, weight }).forward(x, y),
      () => F.softmaxFocalLoss(x, y, { gamma: 3, weight }),
    ],
    [
      'DiceLoss',
      () => new nn.DiceLoss({ smooth: 2 }).forward(p.unsqueeze(0), t.unsqueeze(0)),
      () => F.diceLoss(p.unsqueeze(0), t.unsqueeze(0), { smooth: 2 }),
    ],
  ];
  test.each(table)('%s passes its options on', (_, ofModule, ofFunction) => {
    const value = ofModule().item();
    expect(value).toBe(ofFunction().item());
    expect(Number.isFinite(value) && value !== 0).toBe(true);
  });

  test('a weight survives the scope that the module was made in', () => {
    const loss = tidy(() => ({ module: new nn.CrossEntropyLoss({ weight: tensor([1, 2, 3]) }) }));
    expect(loss.module.forward(x, y).item()).toBe(F.crossEntropy(x, y, { weight: tensor([1, 2, 3]) }).item());
  });
});

test('training with a loss leaves nothing behind', () => {
  const steps = (): void => {
    tidy(() => {
      const x = zeros([6, 2, 4], { requiresGrad: true });
      const y = tensor(Int32Array.from([1, 2, 3, 1]), { shape: [2, 2] });
      F.ctcLoss(logSoftmax(x), y, [6, 6], [2, 2]).backward();
      F.crossEntropy(x.reshape([12, 4]), zeros([12], { dtype: 'int32' }), { labelSmoothing: 0.1 }).backward();
      F.tripletMarginLoss(x, x.add(1), x.sub(2)).backward();
      x.grad?.dispose();
    });
  };
  steps();
  const before = countTensors();
  for (let i = 0; i < 5; i++) steps();
  expect(memoryStats().tensors).toBe(before);
});

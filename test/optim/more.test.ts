/** Clipping, moving averages, saved state, gradient accumulation, the line search. */
import { memoryStats, nn, optim, ones, tensor, tidy, type Tensor } from '../../lib';
import { countTensors } from '../tensorCount';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });

function withGrad(p: Tensor, ...grad: number[]): Tensor {
  p.grad = tensor(grad);
  return p;
}

test('clipping by norm scales all gradients together', () => {
  const [a, b] = [withGrad(leaf(0, 0), 3, 0), withGrad(leaf(0), 4)];
  expect(optim.clipGradNorm([a, b], 1)).toBeCloseTo(5, 5);
  expect((a.grad as Tensor).toArray()).toEqual([expect.closeTo(0.6, 5), 0]);
  expect((b.grad as Tensor).item()).toBeCloseTo(0.8, 5);
  expect(optim.clipGradNorm([a, b], 10)).toBeCloseTo(1, 5);
  expect((b.grad as Tensor).item()).toBeCloseTo(0.8, 5);
  expect(optim.clipGradNorm(withGrad(leaf(0, 0), -2, 1), 1, { normType: Infinity })).toBe(2);
  expect(optim.clipGradNorm([leaf(1)], 1)).toBe(0);
});

test('clipping by value', () => {
  const a = withGrad(leaf(0, 0, 0), 3, -0.5, -7);
  optim.clipGradValue(a, 1);
  expect((a.grad as Tensor).toArray()).toEqual([1, -0.5, -1]);
});

test('bad clipping', () => {
  expect(() => optim.clipGradNorm([leaf(1)], -1)).toThrow(/maxNorm must be a number in/);
  expect(() => optim.clipGradNorm([3 as unknown as Tensor], 1)).toThrow(/parameter 0 is not a tensor/);
  expect(() => optim.clipGradNorm(withGrad(leaf(0), NaN), 1, { errorIfNonfinite: true })).toThrow(
    /norm of the gradients is NaN/,
  );
  expect(() => {
    optim.clipGradValue(leaf(1), NaN);
  }).toThrow(/limit must be a number/);
});

test('a moving average follows, applies and goes back', () => {
  const p = leaf(1);
  const average = new optim.ExponentialMovingAverage([p], { decay: 0.5 });
  const optimizer = new optim.SGD([withGrad(p, -1)], { lr: 1 });
  optimizer.step();
  average.update();
  expect(average.averages[0].item()).toBe(1.5);
  average.apply();
  expect(p.item()).toBe(1.5);
  expect(() => {
    average.apply();
  }).toThrow(/applied already/);
  average.restore();
  expect(p.item()).toBe(2);
  expect(() => {
    average.restore();
  }).toThrow(/nothing to restore/);
  average.dispose();
});

test.each<[string, (ps: Tensor[]) => optim.Optimizer]>([
  ['SGD', (ps) => new optim.SGD(ps, { lr: 0.1, momentum: 0.9 })],
  ['Adam', (ps) => new optim.Adam(ps, { lr: 0.1, amsgrad: true })],
  ['NAdam', (ps) => new optim.NAdam(ps, { lr: 0.1 })],
])('%s goes on exactly from its saved state', (_, make) => {
  const run = (p: Tensor, optimizer: optim.Optimizer, from: number, to: number): void => {
    for (let step = from; step < to; step++) {
      withGrad(p, Math.sin(step), Math.cos(step));
      optimizer.step();
    }
  };
  const whole = leaf(1, 2);
  run(whole, make([whole]), 0, 6);
  const first = leaf(1, 2);
  const before = make([first]);
  run(first, before, 0, 3);
  const second = tensor(first.dataSync(), { requiresGrad: true });
  const after = make([second]);
  after.loadStateDict(before.stateDict());
  run(second, after, 3, 6);
  expect(second.toArray()).toEqual(whole.toArray());
  expect(() => {
    make([leaf(1), leaf(2)]).loadStateDict(before.stateDict());
  }).toThrow(/other numbers of parameters/);
  expect(() => {
    make([leaf(1, 2, 3)]).loadStateDict(before.stateDict());
  }).toThrow(/the saved state of parameter 0 does not fit/);
});

test('groups: bad ones', () => {
  const p = leaf(1);
  expect(() => new optim.SGD([{ params: [p] }, { params: [p] }])).toThrow(/given twice/);
  expect(() => new optim.SGD([{ params: [p], lr: -1 }])).toThrow(/lr must be a number in/);
  expect(() => new optim.SGD([p, { params: [leaf(1)] }] as unknown as Tensor[])).toThrow(/either parameters or groups/);
  expect(() => new optim.Lion([p], { betas: [0.9, 1] })).toThrow(/Lion: betas\[1\]/);
  expect(() => new optim.Adagrad([p], { lrDecay: -1 })).toThrow(/Adagrad: lrDecay/);
  expect(() => new optim.Adadelta([p], { rho: 2 })).toThrow(/Adadelta: rho/);
  expect(() => new optim.LAMB([p], { eps: NaN })).toThrow(/LAMB: eps/);
  expect(() => new optim.StepLR(new optim.SGD([p]), 0)).toThrow(/StepLR: stepSize/);
  expect(() => new optim.ReduceLROnPlateau(new optim.SGD([p]), { factor: 1 })).toThrow(/factor must be below 1/);
  expect(() => new optim.SequentialLR(new optim.SGD([p]), [], [])).toThrow(/SequentialLR/);
});

test('gradients of micro-batches add up to that of the whole batch', () => {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ]);
  const layer = nn.linear(2, 1);
  const lossOf = (part: Tensor): Tensor => layer.forward(part).square().mean();
  lossOf(x).backward();
  const whole = (layer.weight.grad as Tensor).toArray() as number[][];
  layer.zeroGrad();
  for (const part of x.split(2)) lossOf(part).div(2).backward();
  (layer.weight.grad as Tensor).dataSync().forEach((value, i) => {
    expect(value).toBeCloseTo(whole[0][i], 4);
  });
});

test('LBFGS with a line search finds the valley of Rosenbrock', () => {
  const p = tensor([-1.2, 1], { dtype: 'float64', requiresGrad: true }) as unknown as Tensor;
  const optimizer = new optim.LBFGS([p], { lineSearchFn: 'strongWolfe', maxIter: 100 });
  optimizer.step(() => {
    optimizer.zeroGrad();
    const [a, b] = [p.slice(0), p.slice(1)];
    const loss = a.neg().add(1).square().add(b.sub(a.square()).square().mul(100));
    loss.backward();
    return loss;
  });
  p.dataSync().forEach((value) => {
    expect(value).toBeCloseTo(1, 4);
  });
  expect(() => new optim.LBFGS([p], { lineSearchFn: 'x' as 'strongWolfe' })).toThrow(/unknown lineSearchFn "x"/);
  expect(() =>
    new optim.LBFGS([p]).step(() => {
      p.grad = null;
      return ones([]);
    }),
  ).toThrow(/the closure left no gradients/);
});

test('a step leaves no tensor behind', () => {
  const p = leaf(1, 2, 3);
  for (const optimizer of [new optim.LAMB([p]), new optim.RMSprop([p], { centered: true }), new optim.RAdam([p])]) {
    withGrad(p, 1, 2, 3);
    optimizer.step();
    const before = countTensors();
    for (let i = 0; i < 5; i++)
      tidy(() => {
        optimizer.step();
      });
    expect(memoryStats().tensors).toBe(before);
  }
});

/** Schedules beyond their trajectories: several at once, groups, saved state, bad arguments. */
import { optim, tensor, type Tensor } from '../../lib';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });
const sgd = (lr = 0.1): optim.SGD => new optim.SGD([leaf(1)], { lr, momentum: 0.9 });

test('two schedules on one optimizer multiply', () => {
  const optimizer = sgd(1);
  const schedules = [
    new optim.ExponentialLR(optimizer, 0.5),
    new optim.ConstantLR(optimizer, { factor: 0.1, totalIters: 2 }),
  ];
  const rates = [optimizer.lr];
  for (let i = 0; i < 4; i++) {
    for (const schedule of schedules) schedule.step();
    rates.push(optimizer.lr);
  }
  [0.1, 0.05, 0.25, 0.125, 0.0625].forEach((rate, i) => {
    expect(rates[i]).toBeCloseTo(rate, 12);
  });
});

test('a rate that was changed by hand is what a schedule goes on from', () => {
  const optimizer = sgd();
  const schedule = new optim.ExponentialLR(optimizer, 0.5);
  optimizer.lr = 8;
  schedule.step();
  expect(optimizer.lr).toBe(4);
  expect(schedule.getLastLr()).toEqual([4]);
});

test('each group keeps its own rate', () => {
  const optimizer = new optim.SGD([{ params: [leaf(1)] }, { params: [leaf(1)], lr: 1 }], { lr: 0.1 });
  const schedule = new optim.CosineAnnealingLR(optimizer, 2);
  schedule.step();
  expect(schedule.getLastLr()).toEqual([expect.closeTo(0.05, 12), expect.closeTo(0.5, 12)]);
  const perGroup = new optim.LambdaLR(optimizer, [() => 2, (step) => step]);
  expect(perGroup.getLastLr()).toEqual([0.2, 0]);
  const cycle = new optim.OneCycleLR(optimizer, [1, 2], 10, { cycleMomentum: false });
  expect(cycle.getLastLr()).toEqual([expect.closeTo(1 / 25, 12), expect.closeTo(2 / 25, 12)]);
});

test("the cycle moves Adam's first beta and keeps the second", () => {
  const optimizer = new optim.Adam([leaf(1)], { betas: [0.5, 0.7] });
  const cycle = new optim.OneCycleLR(optimizer, 1, 20, { pctStart: 0.5 });
  expect(optimizer.paramGroups[0].betas).toEqual([0.95, 0.7]);
  for (let i = 0; i < 9; i++) cycle.step();
  expect(optimizer.paramGroups[0].betas).toEqual([expect.closeTo(0.85, 12), 0.7]);
});

test('a cycle of n steps takes n calls, and no more', () => {
  const cycle = new optim.OneCycleLR(sgd(), 1, 3);
  for (let i = 0; i < 3; i++) cycle.step();
  expect(() => {
    cycle.step();
  }).toThrow(/step 4 is beyond the 3 steps of the cycle/);
});

test('warm restarts by fractions of an epoch', () => {
  const optimizer = sgd(1);
  const schedule = new optim.CosineAnnealingWarmRestarts(optimizer, 2, { tMult: 2 });
  const at = (epoch: number): number => {
    schedule.step(epoch);
    return optimizer.lr;
  };
  expect(at(0.5)).toBeCloseTo((1 + Math.cos(Math.PI / 4)) / 2, 12);
  expect(at(2)).toBe(1);
  expect(at(4)).toBeCloseTo(0.5, 12);
  schedule.step();
  expect(optimizer.lr).toBeCloseTo((1 + Math.cos((3 * Math.PI) / 4)) / 2, 12);
  expect(() => at(-1)).toThrow(/epoch must be a number in/);
});

type Make = (o: optim.SGD) => optim.LRScheduler | optim.ReduceLROnPlateau;
test.each<[string, Make]>([
  ['StepLR', (o) => new optim.StepLR(o, 3)],
  ['MultiStepLR', (o) => new optim.MultiStepLR(o, [2, 7])],
  ['ExponentialLR', (o) => new optim.ExponentialLR(o, 0.9)],
  ['LambdaLR', (o) => new optim.LambdaLR(o, (step) => 1 / (1 + step))],
  ['LinearLR', (o) => new optim.LinearLR(o, { totalIters: 8 })],
  ['ConstantLR', (o) => new optim.ConstantLR(o, { totalIters: 7 })],
  ['PolynomialLR', (o) => new optim.PolynomialLR(o, { totalIters: 9, power: 2 })],
  ['CosineAnnealingLR', (o) => new optim.CosineAnnealingLR(o, 6)],
  ['CosineAnnealingWarmRestarts', (o) => new optim.CosineAnnealingWarmRestarts(o, 4)],
  ['OneCycleLR', (o) => new optim.OneCycleLR(o, 1, 12)],
  ['SequentialLR', (o) => new optim.SequentialLR(o, [new optim.LinearLR(o), new optim.StepLR(o, 2)], [3])],
  ['ChainedScheduler', (o) => new optim.ChainedScheduler([new optim.LinearLR(o), new optim.StepLR(o, 2)])],
  ['ReduceLROnPlateau', (o) => new optim.ReduceLROnPlateau(o, { patience: 1, cooldown: 1 })],
])('%s goes on exactly from its saved state', (_, make) => {
  const losses = [1, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95];
  const run = (o: optim.SGD, schedule: ReturnType<Make>, from: number, to: number): [number, number][] =>
    losses.slice(from, to).map((loss) => {
      if (schedule instanceof optim.LRScheduler) schedule.step();
      else schedule.step(loss);
      return [o.lr, o.paramGroups[0].momentum];
    });
  const whole = sgd();
  const expected = run(whole, make(whole), 0, 10);
  const before = sgd();
  const first = make(before);
  run(before, first, 0, 5);
  const after = sgd();
  const second = make(after);
  // Through JSON, as a file would have it.
  after.loadStateDict({ state: {}, groups: before.stateDict().groups });
  second.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())) as optim.SchedulerState);
  expect(run(after, second, 5, 10)).toEqual(expected.slice(5));
  for (const bad of [null, {}, { count: -1 }, { ...first.stateDict(), count: 'x', best: 'x' }]) {
    expect(() => {
      second.loadStateDict(bad as optim.SchedulerState);
    }).toThrow(/must be|expected|schedule|null/);
  }
});

test('a plateau: NaN is no improvement, each group has its lowest rate', () => {
  const optimizer = new optim.SGD([{ params: [leaf(1)] }, { params: [leaf(1)] }], { lr: 1 });
  const schedule = new optim.ReduceLROnPlateau(optimizer, { patience: 0, minLr: [0.5, 0.01] });
  schedule.step(1);
  schedule.step(NaN);
  expect(schedule.getLastLr()).toEqual([0.5, 0.1]);
  schedule.step(NaN);
  expect(schedule.getLastLr()).toEqual([0.5, expect.closeTo(0.01, 12)]);
});

const other = sgd();
test.each<[string, () => unknown, RegExp]>([
  ['no optimizer', () => new optim.LinearLR(null as never), /expected an optimizer, got null/],
  ['stepSize', () => new optim.StepLR(sgd(), 0), /StepLR: stepSize must be an integer/],
  ['gamma', () => new optim.ExponentialLR(sgd(), -1), /ExponentialLR: gamma/],
  ['milestone', () => new optim.MultiStepLR(sgd(), [1.5]), /milestones\[0\]/],
  ['steps', () => new optim.CosineAnnealingLR(sgd(), 0), /CosineAnnealingLR: tMax/],
  ['startFactor', () => new optim.LinearLR(sgd(), { startFactor: 2 }), /LinearLR: startFactor/],
  ['factor', () => new optim.ConstantLR(sgd(), { factor: -1 }), /ConstantLR: factor/],
  ['power', () => new optim.PolynomialLR(sgd(), { power: NaN }), /PolynomialLR: power/],
  ['first', () => new optim.CosineAnnealingWarmRestarts(sgd(), 0), /t0 must be/],
  ['functions', () => new optim.LambdaLR(sgd(), []), /0 functions for 1 groups/],
  ['maxRate', () => new optim.OneCycleLR(sgd(), [1, 2], 5), /2 values of maxLr for 1 groups/],
  ['totalSteps', () => new optim.OneCycleLR(sgd(), 1, 0), /totalSteps/],
  ['shape', () => new optim.OneCycleLR(sgd(), 1, 5, { annealStrategy: 'x' as never }), /unknown annealStrategy "x"/],
  ['no momentum', () => new optim.OneCycleLR(optim.adagrad([leaf(1)]), 1, 5), /has no momentum to cycle/],
  ['plateau factor', () => new optim.ReduceLROnPlateau(sgd(), { factor: 1 }), /factor must be below 1/],
  ['plateau mode', () => new optim.ReduceLROnPlateau(sgd(), { mode: 'x' as never }), /mode must be min or max/],
  [
    'plateau value',
    () => {
      new optim.ReduceLROnPlateau(sgd()).step('1' as never);
    },
    /must be a number, got "1"/,
  ],
  ['no schedules', () => new optim.SequentialLR(sgd(), [], []), /expected schedules/],
  ['nothing chained', () => new optim.ChainedScheduler([]), /expected schedules/],
  [
    'milestones',
    () => new optim.SequentialLR(other, [new optim.StepLR(other, 1)], [3]),
    /1 schedules need 0 milestones, got 1/,
  ],
  [
    'unsorted milestones',
    () =>
      new optim.SequentialLR(
        other,
        [1, 2, 3].map((n) => new optim.StepLR(other, n)),
        [3, 3],
      ),
    /milestones\[1\] must be an integer in \[4/,
  ],
  ['optimizer', () => new optim.SequentialLR(sgd(), [new optim.StepLR(other, 1)], []), /of another optimizer/],
  [
    'part',
    () => new optim.ChainedScheduler([new optim.StepLR(other, 1), new optim.ReduceLROnPlateau(other) as never]),
    /schedule 1 is a ReduceLROnPlateau, which cannot be composed/,
  ],
])('refuses a bad %s', (_, call, message) => {
  expect(call).toThrow(message);
});

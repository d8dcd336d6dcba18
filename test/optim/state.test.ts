/** Groups, saved state, bad arguments and memory of every optimizer. */
import { memoryStats, optim, tensor, type Tensor } from '../../lib';
import { assign } from '../../lib/ops/update';
import { countTensors } from '../tensorCount';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });

type Make = (ps: readonly Tensor[]) => optim.Optimizer;
const makers: readonly (readonly [string, Make])[] = [
  ['SGD', (ps) => optim.sgd(ps, { lr: 0.1 })],
  ['SGD with momentum', (ps) => optim.sgd(ps, { lr: 0.1, momentum: 0.9, nesterov: true })],
  ['Adam', (ps) => optim.adam(ps, { lr: 0.1, amsgrad: true })],
  ['AdamW', (ps) => optim.adamw(ps, { lr: 0.1 })],
  ['NAdam', (ps) => optim.nadam(ps, { lr: 0.1 })],
  ['RAdam', (ps) => optim.radam(ps, { lr: 0.1, betas: [0.9, 0.9] })],
  ['AdaMax', (ps) => optim.adamax(ps, { lr: 0.1 })],
  ['LAMB', (ps) => optim.lamb(ps, { lr: 0.1 })],
  ['Adagrad', (ps) => optim.adagrad(ps, { lr: 0.1, lrDecay: 0.1 })],
  ['Adadelta', (ps) => optim.adadelta(ps)],
  ['RMSprop', (ps) => optim.rmsprop(ps, { lr: 0.1, centered: true, momentum: 0.5 })],
  ['Lion', (ps) => optim.lion(ps, { lr: 0.1 })],
  ['LBFGS', (ps) => optim.lbfgs(ps, { lr: 0.5, maxIter: 2 })],
  ['LBFGS with a line search', (ps) => optim.lbfgs(ps, { maxIter: 1, lineSearchFn: 'strongWolfe', historySize: 2 })],
];

function closureOf(ps: readonly Tensor[], optimizer: optim.Optimizer): () => Tensor {
  return () => {
    optimizer.zeroGrad();
    const [a, b] = ps;
    const loss = a.sub(0.3).square().square().sum().add(b.cos().sum()).add(a.mul(b).sum().square().mul(0.1));
    loss.backward();
    return loss;
  };
}

const start = (): Tensor[] => [leaf(1, -2, 0.5), leaf(0.7, 0.2, -0.4)];
const valuesOf = (ps: readonly Tensor[]): number[] => ps.flatMap((p) => [...p.dataSync()]);

describe.each(makers)('%s', (_, make) => {
  test('goes on exactly from its saved state', () => {
    const whole = start();
    const one = make(whole);
    for (let i = 0; i < 6; i++) one.step(closureOf(whole, one));
    const first = start();
    const before = make(first);
    for (let i = 0; i < 3; i++) before.step(closureOf(first, before));
    const second = start();
    const after = make(second);
    // State of its own, which must give way.
    for (let i = 0; i < 2; i++) after.step(closureOf(second, after));
    second.forEach((p, i) => {
      assign(p, first[i]);
    });
    const count = countTensors();
    const saved = before.stateDict();
    const added = memoryStats().tensors - count;
    after.loadStateDict(saved);
    expect(memoryStats().tensors).toBe(count + added);
    before.dispose();
    for (let i = 3; i < 6; i++) after.step(closureOf(second, after));
    expect(valuesOf(second)).toEqual(valuesOf(whole));
  });

  test('a state from before the first step takes it back to the start', () => {
    const [used, fresh] = [start(), start()];
    const [a, b] = [make(used), make(fresh)];
    const unused = b.stateDict();
    for (let i = 0; i < 3; i++) a.step(closureOf(used, a));
    a.loadStateDict(unused);
    used.forEach((p, i) => {
      assign(p, fresh[i]);
    });
    for (let i = 0; i < 3; i++) {
      a.step(closureOf(used, a));
      b.step(closureOf(fresh, b));
    }
    expect(valuesOf(used)).toEqual(valuesOf(fresh));
  });

  test('loading its own state, twice, changes nothing', () => {
    const [whole, other] = [start(), start()];
    const [a, b] = [make(whole), make(other)];
    for (let i = 0; i < 4; i++) {
      a.step(closureOf(whole, a));
      b.step(closureOf(other, b));
      const state = b.stateDict();
      b.loadStateDict(state);
      b.loadStateDict(state);
    }
    expect(valuesOf(other)).toEqual(valuesOf(whole));
  });

  test('a state that does not fit is refused and changes nothing', () => {
    const [whole, other] = [start(), start()];
    const [a, b] = [make(whole), make(other)];
    a.step(closureOf(whole, a));
    b.step(closureOf(other, b));
    const good = b.stateDict();
    const [group] = good.groups;
    const slot = good.state['0'] as optim.SavedSlot | undefined;
    const bad: unknown[] = [
      null,
      3,
      {},
      { state: {}, groups: null },
      { state: null, groups: good.groups },
      { ...good, groups: [] },
      { ...good, groups: [{ ...group, params: 3 }] },
      { ...good, groups: [{ ...group, lr: -1 }] },
      { ...good, groups: [{ ...group, lr: NaN }] },
      { ...good, state: { 0: null } },
      { ...good, state: { 0: { steps: 1, tensors: [3, 3, 3, 3, 3], numbers: [1, 1] } } },
      { ...good, state: { 0: { ...slot, tensors: [...(slot?.tensors ?? []), leaf(1)] } } },
      { ...good, state: { 0: { ...slot, steps: -1 } } },
      { ...good, state: { 0: { ...slot, numbers: ['x', 'x', 'x'] } } },
    ];
    if (slot !== undefined && slot.tensors.length > 0) {
      const tensors = [leaf(1, 2), ...slot.tensors.slice(1)];
      bad.push({ ...good, state: { 0: { ...slot, tensors } } });
      const doubles = slot.tensors.map((x) => x.cast('int32'));
      bad.push({ ...good, state: { 0: { ...slot, tensors: doubles } } });
    }
    const count = countTensors();
    for (const state of bad) {
      expect(() => {
        b.loadStateDict(state as optim.OptimizerState);
      }).toThrow(/saved|stateDict|lr must/);
    }
    expect(memoryStats().tensors).toBe(count);
    a.step(closureOf(whole, a));
    b.step(closureOf(other, b));
    expect(valuesOf(other)).toEqual(valuesOf(whole));
  });

  test('a step leaves no tensor behind, outside a scope too', () => {
    const ps = start();
    const optimizer = make(ps);
    const closure = closureOf(ps, optimizer);
    optimizer.step(closure);
    const before = countTensors();
    for (let i = 0; i < 5; i++) optimizer.step(closure);
    expect(memoryStats().tensors).toBe(before);
    optimizer.dispose();
    optimizer.step(closure);
    expect(memoryStats().tensors).toBe(before);
  });

  test('a step invalidates what a graph saved of the parameter', () => {
    const ps = start();
    const optimizer = make(ps);
    const closure = closureOf(ps, optimizer);
    const later = ps[0].square().sum();
    optimizer.step(closure);
    expect(() => {
      later.backward();
    }).toThrow(/changed in place/);
  });

  test('bad parameters', () => {
    const call = (ps: unknown) => () => make(ps as Tensor[]);
    const p = leaf(1);
    expect(call([])).toThrow(/there are no parameters/);
    expect(call(null)).toThrow(/parameters must be an iterable of tensors, got null/);
    expect(call(p)).toThrow(/parameters must be an iterable of tensors/);
    expect(call([3])).toThrow(/group must be an object with params, got 3/);
    expect(call([p, p])).toThrow(/given twice/);
    expect(call([tensor([1])])).toThrow(/parameter 0 must be a contiguous float32 or float64 tensor with requiresGrad/);
    expect(call([{ params: p }])).toThrow(/params must be an iterable of tensors/);
    expect(call([{ params: [p], lr: -1 }])).toThrow(/lr must be a number in/);
    const gone = leaf(1);
    gone.dispose();
    expect(call([gone])).toThrow(/disposed/);
  });
});

test('groups: settings of their own, added later, one learning rate for all', () => {
  const [a, b, c] = [leaf(1), leaf(1), leaf(1)];
  const optimizer = new optim.SGD([{ params: [a] }, { params: [b], lr: 0.5, weightDecay: undefined }], { lr: 0.1 });
  optimizer.addParamGroup({ params: new Set([c]), weightDecay: 1 });
  expect(optimizer.paramGroups.map(({ lr, weightDecay }) => [lr, weightDecay])).toEqual([
    [0.1, 0],
    [0.5, 0],
    [0.1, 1],
  ]);
  for (const p of [a, b, c]) p.grad = tensor([1]);
  optimizer.step();
  expect(valuesOf([a, b, c])).toEqual([expect.closeTo(0.9, 6), 0.5, expect.closeTo(0.8, 6)]);
  expect(() => {
    optimizer.addParamGroup({ params: [b] });
  }).toThrow(/given twice/);
  expect(optimizer.paramGroups).toHaveLength(3);
  optimizer.lr = 2;
  expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([2, 2, 2]);
  expect(() => new optim.LBFGS([{ params: [leaf(1)] }, { params: [leaf(1)] }])).toThrow(
    /all parameters must be in one/,
  );
});

test('a saved state carries the settings and the state of a different shape of it', () => {
  const [p, q] = [leaf(1), leaf(1)];
  const [plain, heavy] = [new optim.SGD([p], { lr: 0.1 }), new optim.SGD([q], { lr: 0.5, momentum: 0.9 })];
  for (const [x, optimizer] of [
    [p, plain],
    [q, heavy],
  ] as const) {
    x.grad = tensor([1]);
    optimizer.step();
  }
  plain.loadStateDict(heavy.stateDict());
  expect(plain.paramGroups[0]).toMatchObject({ lr: 0.5, momentum: 0.9 });
  p.grad = tensor([1]);
  plain.step();
  expect(p.item()).toBeCloseTo(0.9 - 0.5 * 1.9, 6);
});

test("NAdam's hundred-thousandth step costs what its first did", () => {
  const p = leaf(1);
  const optimizer = optim.nadam([p]);
  p.grad = tensor([1]);
  const { groups } = optimizer.stateDict();
  optimizer.step();
  const [slot] = Object.values(optimizer.stateDict().state);
  optimizer.loadStateDict({ state: { 0: { ...slot, steps: 2 ** 31 - 10, numbers: [0] } }, groups });
  const began = performance.now();
  optimizer.step();
  expect(performance.now() - began).toBeLessThan(500);
});

test.each<[string, () => unknown, RegExp]>([
  ['lr', () => optim.adam([leaf(1)], { lr: -0.1 }), /^Adam: lr must be a number in \[0, Infinity\], got -0.1/],
  ['lr, a string', () => optim.sgd([leaf(1)], { lr: '1' as never }), /^SGD: lr/],
  ['options', () => optim.sgd([leaf(1)], null as never), /SGD: options must be an object, got null/],
  ['momentum', () => optim.sgd([leaf(1)], { momentum: -1 }), /SGD: momentum/],
  ['nesterov', () => optim.sgd([leaf(1)], { nesterov: true }), /nesterov needs a momentum and no dampening/],
  ['beta 1', () => optim.adam([leaf(1)], { betas: [1, 0.9] }), /Adam: betas\[0\] must be a number in/],
  ['beta 2', () => optim.adamw([leaf(1)], { betas: [0.9, -0.1] }), /AdamW: betas\[1\]/],
  ['no betas', () => optim.radam([leaf(1)], { betas: null as never }), /RAdam: betas must be two numbers .*got null/],
  ['one beta', () => optim.lion([leaf(1)], { betas: [0.9] as never }), /Lion: betas must be two numbers/],
  ['eps', () => optim.adamax([leaf(1)], { eps: -1 }), /AdaMax: eps/],
  ['weightDecay', () => optim.lamb([leaf(1)], { weightDecay: NaN }), /LAMB: weightDecay/],
  ['momentumDecay', () => optim.nadam([leaf(1)], { momentumDecay: -1 }), /NAdam: momentumDecay/],
  ['alpha', () => optim.rmsprop([leaf(1)], { alpha: 1.5 }), /RMSprop: alpha/],
  ['maxIter', () => optim.lbfgs([leaf(1)], { maxIter: 0 }), /LBFGS: maxIter/],
  ['historySize', () => optim.lbfgs([leaf(1)], { historySize: 1.5 }), /LBFGS: historySize/],
  [
    'no closure',
    () => {
      optim.lbfgs([leaf(1)]).step();
    },
    /LBFGS: step needs a closure/,
  ],
  ['a closure that is none', () => optim.sgd([leaf(1)]).step(3 as never), /step: the closure is 3/],
])('refuses a bad %s', (_, call, message) => {
  expect(call).toThrow(message);
});

test('an option that is undefined stands for its default', () => {
  expect(optim.adam([leaf(1)], { lr: undefined, betas: undefined }).paramGroups[0]).toMatchObject({
    lr: 1e-3,
    betas: [0.9, 0.999],
  });
});

test('defaults are those of PyTorch', () => {
  const settings = ([, make]: readonly [string, (ps: Tensor[]) => optim.Optimizer]): Record<string, unknown> => {
    const { params, ...rest } = make([leaf(1)]).paramGroups[0] as unknown as Record<string, unknown>;
    expect(params).toHaveLength(1);
    return rest;
  };
  const moments = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };
  expect(settings(['', optim.sgd])).toEqual({ lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false });
  expect(settings(['', optim.adam])).toEqual({ lr: 1e-3, amsgrad: false, ...moments });
  expect(settings(['', optim.adamw])).toEqual({ lr: 1e-3, amsgrad: false, ...moments, weightDecay: 0.01 });
  expect(settings(['', optim.nadam])).toEqual({ lr: 2e-3, momentumDecay: 4e-3, ...moments });
  expect(settings(['', optim.radam])).toEqual({ lr: 1e-3, ...moments });
  expect(settings(['', optim.adamax])).toEqual({ lr: 2e-3, ...moments });
  expect(settings(['', optim.adadelta])).toEqual({ lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0 });
  expect(settings(['', optim.rmsprop])).toMatchObject({
    lr: 1e-2,
    alpha: 0.99,
    eps: 1e-8,
    momentum: 0,
    centered: false,
  });
  expect(settings(['', optim.lbfgs])).toMatchObject({
    lr: 1,
    toleranceGrad: 1e-7,
    toleranceChange: 1e-9,
    historySize: 100,
  });
  expect(settings(['', optim.lion])).toEqual({ lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0 });
});

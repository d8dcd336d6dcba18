import { optim, tensor, type Tensor } from '../../lib';

/** A scalar rule in float64: (parameter, gradient, state, step from 1) → new parameter. */
type Rule = (p: number, g: number, state: number[], step: number) => number;

const start = [0.5, -1.2, 2, 0.01];
// Gradients of a fixed sequence, one row a step.
const gradientAt = (step: number): number[] => start.map((_, i) => Math.fround(Math.sin(step * 1.3 + i * 0.7)));

function expectTrajectory(make: (parameters: Tensor[]) => optim.Optimizer, rule: Rule): void {
  const p = tensor(start, { requiresGrad: true });
  const optimizer = make([p]);
  const expected = p.toArray() as number[];
  const states = start.map(() => [0, 0]);
  for (let step = 1; step <= 10; step++) {
    p.grad = tensor(gradientAt(step));
    optimizer.step();
    gradientAt(step).forEach((g, i) => (expected[i] = rule(expected[i], g, states[i], step)));
    const actual = p.toArray() as number[];
    actual.forEach((value, i) => {
      expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(expected[i])));
    });
  }
  optimizer.dispose();
}

const adam =
  (lr: number, decay: number, decoupled: boolean): Rule =>
  (p, g, s, t) => {
    if (decoupled) p -= lr * decay * p;
    else g += decay * p;
    s[0] = 0.9 * s[0] + 0.1 * g;
    s[1] = 0.999 * s[1] + 0.001 * g * g;
    return p - ((lr / (1 - 0.9 ** t)) * s[0]) / (Math.sqrt(s[1]) / Math.sqrt(1 - 0.999 ** t) + 1e-8);
  };

const sgd =
  (lr: number, momentum: number, dampening: number, decay: number, nesterov: boolean): Rule =>
  (p, g, s, t) => {
    g += decay * p;
    s[0] = t === 1 ? g : momentum * s[0] + (1 - dampening) * g;
    return p - lr * (momentum === 0 ? g : nesterov ? g + momentum * s[0] : s[0]);
  };

describe('ten steps by the published formulas', () => {
  test.each<[string, (parameters: Tensor[]) => optim.Optimizer, Rule]>([
    ['SGD', (ps) => new optim.SGD(ps, { lr: 0.1 }), sgd(0.1, 0, 0, 0, false)],
    ['SGD with momentum', (ps) => new optim.SGD(ps, { lr: 0.1, momentum: 0.9 }), sgd(0.1, 0.9, 0, 0, false)],
    [
      'SGD with everything',
      (ps) => new optim.SGD(ps, { lr: 0.1, momentum: 0.8, dampening: 0.3, weightDecay: 0.2 }),
      sgd(0.1, 0.8, 0.3, 0.2, false),
    ],
    ['SGD, Nesterov', (ps) => new optim.SGD(ps, { lr: 0.1, momentum: 0.9, nesterov: true }), sgd(0.1, 0.9, 0, 0, true)],
    ['Adam', (ps) => new optim.Adam(ps), adam(1e-3, 0, false)],
    ['Adam with decay', (ps) => new optim.Adam(ps, { lr: 0.05, weightDecay: 0.1 }), adam(0.05, 0.1, false)],
    ['AdamW', (ps) => new optim.AdamW(ps, { lr: 0.05, weightDecay: 0.1 }), adam(0.05, 0.1, true)],
    [
      'RMSprop',
      (ps) => new optim.RMSprop(ps),
      (p, g, s) => {
        s[0] = 0.99 * s[0] + 0.01 * g * g;
        return p - (0.01 * g) / (Math.sqrt(s[0]) + 1e-8);
      },
    ],
    [
      'RMSprop with momentum and decay',
      (ps) => new optim.RMSprop(ps, { lr: 0.05, alpha: 0.9, momentum: 0.5, weightDecay: 0.1 }),
      (p, g, s) => {
        g += 0.1 * p;
        s[0] = 0.9 * s[0] + 0.1 * g * g;
        s[1] = 0.5 * s[1] + g / (Math.sqrt(s[0]) + 1e-8);
        return p - 0.05 * s[1];
      },
    ],
  ])('%s', (_, make, rule) => {
    expectTrajectory(make, rule);
  });
});

test('parameters without a gradient stay', () => {
  const p = tensor([1], { requiresGrad: true });
  new optim.Adam([p]).step();
  expect(p.item()).toBe(1);
});

test('the learning rate may change', () => {
  const p = tensor([1], { requiresGrad: true });
  const optimizer = new optim.SGD([p], { lr: 0.1 });
  p.grad = tensor([1]);
  optimizer.lr = 0.5;
  optimizer.step();
  expect(p.item()).toBe(0.5);
  expect(() => {
    optimizer.lr = NaN;
  }).toThrow(/lr must be a number/);
  optimizer.paramGroups[0].lr = -1;
  expect(() => {
    optimizer.step();
  }).toThrow(/lr must be a number/);
});

test('a parameter given twice is a mistake', () => {
  const p = tensor([1], { requiresGrad: true });
  expect(() => new optim.SGD([p, p])).toThrow(/given twice/);
});

test('a gradient of another shape is refused and changes nothing', () => {
  const p = tensor([1, 2], { requiresGrad: true });
  const optimizer = new optim.SGD([p], { lr: 1 });
  p.grad = tensor([1, 2, 3]);
  expect(() => {
    optimizer.step();
  }).toThrow(/shapes differ/);
  expect(p.toArray()).toEqual([1, 2]);
});

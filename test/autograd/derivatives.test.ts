/** Jacobians, products with vectors, custom functions, checkpoints, hooks, anomalies, tensors changed in place. */
import {
  AnomalyError,
  assign,
  checkGradients,
  checkpoint,
  customFunction,
  detectAnomaly,
  Generator,
  grad,
  GradientError,
  gradients,
  hessian,
  jacobian,
  jvp,
  manualSeed,
  memoryStats,
  nn,
  ones,
  randn,
  tensor,
  tidy,
  vjp,
  zeros,
  type Tensor,
} from '../../lib';
import { countTensors } from '../tensorCount';

const x3 = (): Tensor => tensor([0.5, -1, 2]);

test('the Jacobian of an elementwise function is diagonal', () => {
  const found = jacobian((x) => x.square(), x3());
  expect(found.add(0).toArray()).toEqual([
    [1, 0, 0],
    [0, -2, 0],
    [0, 0, 4],
  ]);
});

test('the Jacobian has the shape [...result, ...input]', () => {
  const w = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const found = jacobian((x) => w.matmul(x), x3());
  expect(found.shape).toEqual([2, 3]);
  expect(found.toArray()).toEqual(w.toArray());
  expect(jacobian(() => ones([2]), x3()).toArray()).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
});

test('the Hessian of a cubic', () => {
  const found = hessian(
    (x) =>
      x
        .pow(3)
        .sum()
        .add(x.slice(0).mul(x.slice(1))),
    x3(),
  ).toArray() as number[][];
  const wanted = [
    [3, 1, 0],
    [1, -6, 0],
    [0, 0, 12],
  ];
  found.flat().forEach((value, i) => {
    expect(value).toBeCloseTo(wanted.flat()[i], 4);
  });
});

test('Jacobians can be differentiated', () => {
  const x = tensor([0.5, -1, 2], { requiresGrad: true });
  jacobian((u) => u.pow(3), x)
    .sum()
    .backward();
  // d/dx of 3x²
  (x.grad as Tensor).dataSync().forEach((value, i) => {
    expect(value).toBeCloseTo([3, -6, 12][i], 4);
  });
});

test('vjp and jvp agree with the Jacobian', () => {
  const f = (x: Tensor): Tensor => x.sin().mul(x.sum());
  const x = x3();
  const j = jacobian(f, x);
  const v = tensor([1, -2, 0.5]);
  const { value, pullback } = vjp(f, x);
  expect(value.toArray()).toEqual(f(x).toArray());
  const pulled = pullback(v)[0].dataSync();
  const wantedPull = v.matmul(j).dataSync();
  const pushed = jvp(f, [x], [v]).tangent.dataSync();
  const wantedPush = j.matmul(v).dataSync();
  pulled.forEach((p, i) => {
    expect(p).toBeCloseTo(wantedPull[i], 5);
    expect(pushed[i]).toBeCloseTo(wantedPush[i], 5);
  });
  expect(jvp((u: Tensor) => ones(u.shape.slice(1).concat(2)), [x], [v]).tangent.toArray()).toEqual([0, 0]);
});

test('bad arguments of derivatives', () => {
  expect(() => jvp((x) => x, [x3()], [ones([2])])).toThrow(/jvp: needs a tangent/);
  expect(() => vjp((x) => x, tensor(new Int32Array(2)) as unknown as Tensor)).toThrow(/vjp: every input/);
  expect(() => jacobian((x) => x.size as unknown as Tensor, x3())).toThrow(/jacobian: the function must return/);
  expect(() => hessian((x) => x, x3())).toThrow(GradientError);
});

describe('custom functions', () => {
  const cube = customFunction('cube', {
    forward: (context, x: Tensor) => {
      context.save(x);
      return x.mul(x).mul(x);
    },
    backward: (context, g) => [g.mul(context.saved[0].square()).mul(3)],
  });

  test('give the rule they were given, to any order', () => {
    checkGradients('cube', (x) => cube(x), [x3()], { secondOrder: true });
    expect(grad(grad((x: Tensor) => cube(x).sum()))(tensor([2])).toArray()).toEqual([12]);
  });

  test('a wrong rule is found', () => {
    const wrong = customFunction<[Tensor]>('wrong', {
      forward: (_context, x: Tensor) => x.mul(2),
      backward: (_, g) => [g.mul(3)],
    });
    expect(() => {
      checkGradients('wrong', (x) => wrong(x), [x3()]);
    }).toThrow(/wrong: input 0/);
  });

  test('say what they must return', () => {
    const none = customFunction<[Tensor]>('none', { forward: () => 1 as unknown as Tensor, backward: () => [] });
    expect(() => none(x3())).toThrow(/none: forward must give a tensor/);
    const few = customFunction<[Tensor]>('few', { forward: (_context, x: Tensor) => x.mul(1), backward: () => [] });
    expect(() => {
      few(tensor([1], { requiresGrad: true })).backward();
    }).toThrow(/few: backward must give one gradient/);
  });
});

describe('checkpoints', () => {
  test('give the same gradients, also to parameters and through dropout', () => {
    manualSeed(3);
    const layer = nn.linear(4, 4);
    const block = (x: Tensor): Tensor => nn.functional.dropout(layer.forward(x).tanh(), 0.3);
    const run = (apply: (x: Tensor) => Tensor): number[] => {
      manualSeed(5);
      const x = randn([3, 4], { generator: new Generator(1), requiresGrad: true });
      layer.zeroGrad();
      apply(apply(x)).square().sum().backward();
      return [...(x.grad as Tensor).dataSync(), ...(layer.weight.grad as Tensor).dataSync()];
    };
    const plain = run(block);
    const saved = run((x) => checkpoint(block, x));
    plain.forEach((value, i) => {
      expect(saved[i]).toBeCloseTo(value, 5);
    });
  });

  test('keep no intermediate results', () => {
    const deep = (x: Tensor): Tensor => Array.from({ length: 20 }).reduce<Tensor>((y) => y.sin(), x);
    const held = (apply: (x: Tensor) => Tensor): number => {
      const x = zeros([1000], { requiresGrad: true });
      const before = countTensors();
      const y = apply(x);
      const after = memoryStats().tensors - before;
      y.dispose();
      return after;
    };
    expect(held((x) => tidy(() => checkpoint(deep, x)))).toBeLessThanOrEqual(2);
    expect(held((x) => tidy(() => deep(x)))).toBeGreaterThan(15);
  });

  test('are differentiable twice', () => {
    checkGradients('checkpoint', (x) => checkpoint((u: Tensor) => u.sin().mul(u), x), [x3()], { secondOrder: true });
  });
});

describe('hooks', () => {
  test('see a leaf once, with all its parts together', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const seen: number[][] = [];
    const remove = x.registerHook((g) => {
      seen.push(g.toArray() as number[]);
      return g.mul(10);
    });
    x.mul(2).add(x.mul(3)).sum().backward();
    expect(seen).toEqual([[5, 5]]);
    expect((x.grad as Tensor).toArray()).toEqual([50, 50]);
    remove();
    x.sum().backward();
    expect(seen.length).toBe(1);
    expect((x.grad as Tensor).toArray()).toEqual([51, 51]);
  });

  test('see and change what passes an intermediate result', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.square();
    y.registerHook((g) => g.neg());
    y.sum().backward();
    expect((x.grad as Tensor).toArray()).toEqual([-2, -4]);
  });

  test('must return a gradient of the shape', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    x.registerHook(() => zeros([3]));
    expect(() => {
      x.sum().backward();
    }).toThrow(/a hook must return nothing or a tensor of shape \[2\]/);
    expect(() => zeros([1]).registerHook(() => undefined)).toThrow(/does not require a gradient/);
  });
});

describe('anomaly mode', () => {
  test('names the operation that made a NaN', () => {
    expect(() => detectAnomaly(() => tensor([-1]).log().mul(2))).toThrow(
      /^log: made a NaN; the result has shape \[1\]/,
    );
    expect(() => detectAnomaly(() => tensor([-1]).log())).toThrow(AnomalyError);
  });

  test('names the operation whose gradient made it', () => {
    const x = tensor([0], { requiresGrad: true });
    expect(() => {
      detectAnomaly(() => {
        x.sqrt().mul(0).sum().backward();
      });
    }).toThrow(/in the gradient of sqrt/);
  });

  test('is off again afterwards and lets good values pass', () => {
    expect(detectAnomaly(() => tensor([1]).log().item())).toBe(0);
    expect(tensor([-1]).log().item()).toBeNaN();
    expect(() => detectAnomaly(async () => Promise.resolve(1))).toThrow(/must not be async/);
  });
});

describe('tensors changed in place', () => {
  test('what the graph saved must not have changed', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = tensor([3, 4]);
    const z = x.mul(y).sum();
    assign(y, zeros([2]));
    expect(() => {
      z.backward();
    }).toThrow(/a tensor of shape \[2\] that mul saved was changed in place/);
  });

  test('nor by way of a view', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = tensor([3, 4]);
    const z = x.mul(y).sum();
    assign(y.slice([0, 1]), zeros([1]));
    expect(() => {
      z.backward();
    }).toThrow(/changed in place/);
  });

  test('what it does not need may', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = tensor([3, 4]);
    const z = x.add(y).sum();
    assign(y, zeros([2]));
    expect(gradients(z, [x])[0].toArray()).toEqual([1, 1]);
  });
});

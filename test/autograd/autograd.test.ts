import {
  checkGradients,
  grad,
  GradientError,
  gradients,
  memoryStats,
  noGrad,
  ones,
  tensor,
  tidy,
  valueAndGrad,
  zeros,
  type Tensor,
} from '../../lib';
import { countTensors } from '../tensorCount';

const leaf = (values: number[]): Tensor => tensor(values, { requiresGrad: true });

describe('backward', () => {
  test('accumulates into leaves over several calls', () => {
    const x = leaf([1, 2, 3]);
    x.square().sum().backward();
    expect(x.grad?.toArray()).toEqual([2, 4, 6]);
    x.sum().backward();
    expect(x.grad?.toArray()).toEqual([3, 5, 7]);
  });

  test('sums the gradients of a tensor that is used several times', () => {
    const x = leaf([2, 3]);
    const y = x.mul(x).add(x).mul(x); // x³ + x²
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([3 * 4 + 2 * 2, 3 * 9 + 2 * 3]);
  });

  test('leaves do not share one gradient', () => {
    const [a, b] = [leaf([1]), leaf([1])];
    a.add(b).sum().backward();
    expect(a.grad).not.toBe(b.grad);
    a.grad?.dispose();
    expect(b.grad?.toArray()).toEqual([1]);
  });

  test('of a leaf itself gives a copy of the seed', () => {
    const x = tensor(3, { requiresGrad: true });
    x.backward();
    expect(x.grad?.item()).toBe(1);
  });

  test('takes a seed for what is no scalar', () => {
    const x = leaf([1, 2]);
    const seed = tensor([10, 20]);
    x.mul(3).backward({ gradient: seed });
    expect(x.grad?.toArray()).toEqual([30, 60]);
    expect(seed.isDisposed).toBe(false);
  });

  test('explains what is missing', () => {
    expect(() => {
      ones([2]).sum().backward();
    }).toThrow(/nothing was recorded/);
    expect(() => {
      leaf([1, 2]).mul(2).backward();
    }).toThrow(/\[2\] needs \{ gradient \}/);
    expect(() => {
      leaf([1, 2])
        .mul(2)
        .backward({ gradient: ones([3]) });
    }).toThrow(/the gradient is float32 \[3\]/);
    expect(() => {
      const x = tensor([1], { dtype: 'int32' });
      x.requiresGrad = true;
    }).toThrow(GradientError);
  });

  test('frees the graph, unless asked to keep it', () => {
    const x = leaf([2]);
    const y = x.square().sum();
    y.backward({ retainGraph: true });
    y.backward();
    expect(x.grad?.item()).toBe(8);
    expect(() => {
      y.backward();
    }).toThrow(/freed by an earlier backward/);
  });

  test('works after the user disposed what the graph still needs', () => {
    const x = leaf([2, 3]);
    const h = x.square();
    const y = h.square().sum();
    h.dispose();
    expect(() => h.neg()).toThrow(/disposed/);
    y.backward();
    expect(x.grad?.toArray()).toEqual([4 * 8, 4 * 27]);
  });

  test('a tensor disposed after backward leaves nothing behind', () => {
    const x = leaf([1, 2, 3]);
    const before = countTensors();
    for (let i = 0; i < 5; i++) {
      const h = x.exp();
      const y = h.sum();
      y.backward();
      h.dispose();
      y.dispose();
      x.grad?.dispose();
      x.grad = null;
    }
    expect(memoryStats().tensors).toBe(before);
  });

  test('an error in the middle leaves the next pass clean', () => {
    const x = leaf([1]);
    const y = x.mul(2);
    y.sum().backward();
    const z = y.mul(3).sum();
    expect(() => {
      z.backward();
    }).toThrow(GradientError);
    x.grad = null;
    x.mul(5).sum().backward();
    expect((x.grad as unknown as Tensor).item()).toBe(5);
  });
});

describe('recording', () => {
  test('noGrad switches it off, also after an error', () => {
    const x = leaf([1]);
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  test('noGrad refuses async functions', () => {
    expect(() => noGrad(async () => Promise.resolve(1))).toThrow(/must not be async/);
  });

  test('detach cuts the history and shares the memory', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2).detach();
    expect(y.requiresGrad).toBe(false);
    expect(x.detach().toArray()).toEqual([1, 2]);
  });

  test('a result cannot stop requiring a gradient', () => {
    const y = leaf([1]).mul(2);
    expect(() => {
      y.requiresGrad = false;
    }).toThrow(/detach/);
  });
});

describe('derivatives of functions', () => {
  const cube = (x: Tensor): Tensor => x.mul(x).mul(x).sum();

  test('grad, and grad of grad', () => {
    expect(grad(cube)(tensor([2, 3])).toArray()).toEqual([12, 27]);
    const second = grad((x: Tensor) => grad(cube)(x).sum());
    expect(second(tensor([2, 3])).toArray()).toEqual([12, 18]);
    const third = grad((x: Tensor) => second(x).sum());
    expect(third(tensor([2, 3])).toArray()).toEqual([6, 6]);
  });

  test('valueAndGrad gives both, for every argument', () => {
    const { value, grads } = valueAndGrad((a: Tensor, b: Tensor) => a.mul(b).sum())(tensor([1, 2]), tensor([3, 4]));
    expect(value.item()).toBe(11);
    expect(grads.map((g) => g.toArray())).toEqual([
      [3, 4],
      [1, 2],
    ]);
  });

  test('leave the arguments alone', () => {
    const x = leaf([2]);
    grad(cube)(x);
    expect(x.grad).toBeNull();
  });

  test('a function that does not depend on its argument has gradient 0', () => {
    expect(grad(() => tensor(3))(tensor([1, 2])).toArray()).toEqual([0, 0]);
  });

  test('must be scalar', () => {
    expect(() => grad((x: Tensor) => x)(tensor([1, 2]))).toThrow(/must return a scalar/);
  });

  test('gradients of inner results', () => {
    const x = leaf([3]);
    const h = x.mul(2);
    const y = h.square().sum();
    const [toH, toX] = gradients(y, [h, x]);
    expect([toH.item(), toX.item()]).toEqual([12, 24]);
    expect(x.grad).toBeNull();
  });

  test('through reductions, views and products at second order', () => {
    tidy(() => {
      const a = tensor([
        [0.5, 1.2, -0.7],
        [1.1, -0.3, 0.9],
      ]);
      const b = tensor([
        [1.5, 0.2],
        [-0.4, 0.8],
        [0.3, -1.1],
      ]);
      checkGradients('product', (x, y) => x.matmul(y).tanh().sum(0).square(), [a, b], { secondOrder: true });
      checkGradients('views', (x) => x.T.slice([0, 2]).reshape([4]).exp().unsqueeze(0).expand([3, 4]), [a], {
        secondOrder: true,
      });
      checkGradients(
        'spread',
        (x) =>
          x
            .sub(x.mean(1, { keepDims: true }))
            .square()
            .mean(),
        [a],
        { secondOrder: true },
      );
    });
  });
});

test('the gradient checker sees a wrong rule', () => {
  // relu's rule at its kink is not what finite differences see there.
  expect(() => {
    checkGradients('relu at 0', (x) => x.relu(), [zeros([3])]);
  }).toThrow(/relu at 0: input 0 of shape \[3\], element 0: the gradient rule gives 0/);
});

import { Generator, manualSeed, nn, ones, tensor, tidy, zeros, type AnyTensor, type Tensor } from '../../lib';

class Branches extends nn.Module {
  readonly scale = nn.parameter(ones([1]));
  readonly inner = nn.sequential(nn.linear(2, 3), nn.relu());
  readonly heads = [nn.linear(3, 1, { bias: false }), nn.linear(3, 1)];

  override forward(x: AnyTensor): Tensor {
    const h = this.inner.forward(x).mul(this.scale);
    return this.heads[0].forward(h).add(this.heads[1].forward(h));
  }
}

describe('Module', () => {
  test('names parameters as PyTorch does', () => {
    expect([...new Branches().namedParameters()].map(([name]) => name)).toEqual([
      'scale',
      'inner.0.weight',
      'inner.0.bias',
      'heads.0.weight',
      'heads.1.weight',
      'heads.1.bias',
    ]);
  });

  test('train and eval reach every module', () => {
    const model = new Branches();
    model.eval();
    expect([model.training, model.inner.training, model.heads[1].training]).toEqual([false, false, false]);
    model.train();
    expect(model.inner.layers[1].training).toBe(true);
  });

  test('state dicts carry values from one model to another', () => {
    const [a, b] = [new Branches(), new Branches()];
    const x = tensor([[0.3, -0.4]]);
    const before = a.forward(x).item();
    expect(before).not.toBe(b.forward(x).item());
    b.loadStateDict(a.stateDict());
    expect(b.forward(x).item()).toBe(before);
    expect(a.forward(x).item()).toBe(before);
  });

  test('a state dict may be made of views of the parameters themselves', () => {
    const model = nn.linear(64, 64, { bias: false });
    const expected = model.weight.T.toArray();
    model.loadStateDict({ weight: model.weight.detach().T });
    expect(model.weight.toArray()).toEqual(expected);
  });

  test('a state dict that does not fit changes nothing', () => {
    const model = nn.linear(2, 2);
    const before = model.weight.toArray();
    expect(() => {
      model.loadStateDict({ weight: zeros([2, 2]), bias: zeros([3]) });
    }).toThrow(/bias is float32 \[3\], expected float32 \[2\]/);
    expect(model.weight.toArray()).toEqual(before);
  });

  test('parameters made in a scope outlive it', () => {
    const model = tidy(() => nn.linear(2, 1));
    expect(model.weight.isDisposed).toBe(false);
    expect(model.forward(ones([1, 2])).shape).toEqual([1, 1]);
  });

  test('zeroGrad and dispose', () => {
    const model = nn.linear(2, 1);
    model
      .forward(ones([1, 2]))
      .sum()
      .backward();
    expect(model.weight.grad?.toArray()).toEqual([[1, 1]]);
    model.zeroGrad();
    expect(model.weight.grad).toBeNull();
    model.dispose();
    expect(model.weight.isDisposed).toBe(true);
  });
});

describe('layers', () => {
  test('linear starts within PyTorch’s bounds and follows the seed', () => {
    manualSeed(1);
    const a = nn.linear(100, 50);
    const bound = 0.1;
    expect(a.weight.abs().max().item()).toBeLessThanOrEqual(bound);
    expect(a.bias?.abs().max().item()).toBeLessThanOrEqual(bound);
    // The variance of a uniform distribution is (2·bound)² / 12; 5,000 samples are within 10 % of it.
    expect(Math.abs(a.weight.square().mean().item() / (bound ** 2 / 3) - 1)).toBeLessThan(0.1);
    const weights = (): unknown => nn.linear(3, 2, { generator: new Generator(4) }).weight.toArray();
    expect(weights()).toEqual(weights());
  });

  test('linear starts as Keras does where asked', () => {
    const { weight, bias } = nn.linear(100, 50, { init: 'keras', generator: new Generator(2) });
    const bound = Math.sqrt(6 / 150);
    expect(weight.abs().max().item()).toBeLessThanOrEqual(bound);
    expect(Math.abs(weight.square().mean().item() / (bound ** 2 / 3) - 1)).toBeLessThan(0.1);
    expect(bias?.abs().max().item()).toBe(0);
    expect(() => nn.linear(1, 1, { init: 'lecun' as 'keras' })).toThrow(/unknown init lecun; known are pytorch, keras/);
  });

  test('linear names what it expected and got', () => {
    expect(() => nn.linear(4, 2).forward(zeros([3, 5]))).toThrow(
      /linear\(4, 2\): expected an input of shape \[\.\.\., 4\], got \[3,5\]/,
    );
    expect(() => nn.linear(1.5, 2)).toThrow(/inFeatures must be an integer/);
    expect(() => nn.linear(-1, 2)).toThrow(/inFeatures/);
  });

  test('flatten keeps the batch axis', () => {
    expect(nn.flatten().forward(zeros([5, 2, 3])).shape).toEqual([5, 6]);
    expect(nn.flatten().forward(zeros([0, 2, 3])).shape).toEqual([0, 6]);
    expect(nn.flatten().forward(zeros([5])).shape).toEqual([5, 1]);
    expect(() => nn.flatten().forward(tensor(1))).toThrow(/no batch axis/);
  });

  test('softmax and relu', () => {
    expect(
      nn
        .relu()
        .forward(tensor([-1, 2]))
        .toArray(),
    ).toEqual([0, 2]);
    const rows = nn.softmax().forward(
      tensor([
        [1, 1],
        [0, 100],
      ]),
    );
    expect(rows.sum(1).toArray()).toEqual([1, 1]);
    expect(
      nn
        .softmax(0)
        .forward(
          tensor([
            [0, 1],
            [0, 1],
          ]),
        )
        .toArray(),
    ).toEqual([
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
  });

  test('sequential takes modules only', () => {
    expect(() => nn.sequential(3 as unknown as nn.Module)).toThrow(/argument 0 is not a module/);
  });
});

test('losses reduce as asked', () => {
  const { crossEntropy, mseLoss } = nn.functional;
  const [p, t] = [tensor([1, 2]), tensor([3, 5])];
  expect(mseLoss(p, t).item()).toBe(6.5);
  expect(mseLoss(p, t, { reduction: 'sum' }).item()).toBe(13);
  expect(mseLoss(p, t, { reduction: 'none' }).toArray()).toEqual([4, 9]);
  expect(() => mseLoss(p, tensor([[3, 5]]))).toThrow(/prediction \[2\] and target \[1,2\] differ/);
  expect(() => mseLoss(p, t, { reduction: 'max' as 'mean' })).toThrow(/unknown reduction max/);
  const labels = tensor(new Int32Array([0]));
  expect(crossEntropy(tensor([[0, 0]]), labels).item()).toBeCloseTo(Math.LN2, 6);
});

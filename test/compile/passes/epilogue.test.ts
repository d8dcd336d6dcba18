/** What is folded into a fully connected layer, what is not, and that nothing changes by it. */
import { compile, nn, randn, type Tensor } from '../../../lib';

const features = [1, 8, 33] as const;

/** The operations of a compiled function, after its result was seen to be the eager one to the bit. */
async function operationsOf(fn: (x: Tensor) => Tensor | Tensor[], x: Tensor): Promise<string[]> {
  const step = compile(fn);
  const [made, expected] = [await step(x), fn(x)].map((result) => (Array.isArray(result) ? result : [result]));
  expect(made.map((value) => value.toArray())).toEqual(expected.map((value) => value.toArray()));
  return step
    .explain()
    .split('\n')
    .flatMap((line) => / = (\w+)\(/.exec(line)?.[1] ?? []);
}

describe.each(features)('layers of %i features', (size) => {
  const layer = nn.linear(size, size);
  const x = randn([7, size]);

  test('a ReLU, a residual, and both go into the layer', async () => {
    expect(await operationsOf((v) => layer.forward(v).relu(), x)).toEqual(['linearEpilogue']);
    expect(await operationsOf((v) => layer.forward(v).add(v), x)).toEqual(['linearEpilogue']);
    expect(await operationsOf((v) => v.add(layer.forward(v)).relu(), x)).toEqual(['linearEpilogue']);
  });

  test('a ReLU ends it: what follows is done after it', async () => {
    expect(await operationsOf((v) => layer.forward(v).relu().add(v), x)).toEqual(['linearEpilogue', 'add']);
    expect(await operationsOf((v) => layer.forward(v).add(v).add(v), x)).toEqual(['linearEpilogue', 'add']);
  });

  test('a result that something else needs is stored', async () => {
    const both = (v: Tensor): Tensor[] => {
      const y = layer.forward(v);
      return [y, y.relu()];
    };
    expect(await operationsOf(both, x)).toEqual(['linear', 'relu']);
    const twice = (v: Tensor): Tensor => {
      const y = layer.forward(v);
      return y.add(y);
    };
    expect(await operationsOf(twice, x)).toEqual(['linear', 'add']);
  });

  test('a residual of another shape and a transposed result are left alone', async () => {
    const row = randn([1, size]);
    expect(await operationsOf((v) => layer.forward(v).add(row), x)).toEqual(['linear', 'add']);
    const transposed = (v: Tensor): Tensor => layer.forward(v).transpose(0, 1).relu();
    if (size > 1) expect(await operationsOf(transposed, x)).toEqual(['linear', 'relu']);
  });

  test('a residual of any strides', async () => {
    const other = randn([size, 7]);
    expect(await operationsOf((v) => layer.forward(v).add(other.transpose(0, 1)), x)).toEqual(['linearEpilogue']);
  });
});

test('NaN and infinity pass the ReLU as they do alone', async () => {
  const layer = nn.linear(3, 3);
  const x = randn([4, 3]).div(0);
  expect(await operationsOf((v) => layer.forward(v).relu(), x)).toEqual(['linearEpilogue']);
});

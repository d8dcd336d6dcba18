import { inspect } from 'node:util';
import {
  arange,
  DisposedError,
  eye,
  full,
  Generator,
  linspace,
  manualSeed,
  ones,
  rand,
  randn,
  ShapeError,
  tensor,
  where,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../lib';

describe('tensor()', () => {
  test('takes numbers, nested arrays and typed arrays', () => {
    expect(tensor(3).toArray()).toBe(3);
    expect(
      tensor([
        [1, 2],
        [3, 4],
      ]).toArray(),
    ).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
    expect(tensor([true, false]).dtype).toBe('bool');
    expect(tensor([true, false]).toArray()).toEqual([true, false]);
    expect(tensor(new Int32Array([1, 2])).dtype).toBe('int32');
    expect(tensor(new Float64Array([0.1])).item()).toBe(Math.fround(0.1));
    expect(tensor(new Float32Array(6), { shape: [2, 3] }).shape).toEqual([2, 3]);
    expect(tensor(new Uint8Array([0, 255]), { dtype: 'float32' }).toArray()).toEqual([0, 255]);
    expect(tensor([0, 2, NaN], { dtype: 'bool' }).toArray()).toEqual([false, true, true]);
  });

  test('copies', () => {
    const source = new Float32Array([1, 2]);
    const x = tensor(source);
    source[0] = 9;
    expect(x.toArray()).toEqual([1, 2]);
    const out = x.dataSync();
    out[0] = 9;
    expect(x.toArray()).toEqual([1, 2]);
  });

  test('reads views of larger, shared and resizable buffers', () => {
    const backing = new Float32Array([0, 1, 2, 3]);
    expect(tensor(backing.subarray(1, 3)).toArray()).toEqual([1, 2]);
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared[1] = 5;
    expect(tensor(shared).toArray()).toEqual([0, 5]);
    const Resizable = ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer & { resize(n: number): void };
    const buffer = new Resizable(16, { maxByteLength: 32 });
    const tracking = new Float32Array(buffer);
    tracking[3] = 7;
    expect(tensor(tracking).toArray()).toEqual([0, 0, 0, 7]);
    buffer.resize(4);
    expect(tensor(tracking).toArray()).toEqual([0]);
  });

  test.each([
    ['ragged nesting', () => tensor([[1, 2], [3]]), /ragged nesting: expected 2 entries at axis 1, got 1/],
    ['deeper nesting further on', () => tensor([1, [2]]), /regular nesting/],
    ['a string', () => tensor('abc' as unknown as number), /expected numbers/],
    ['null', () => tensor(null as unknown as number), /expected numbers, nested arrays or a typed array, got null/],
    ['strings inside', () => tensor(['a'] as unknown as number[]), /elements must be numbers/],
    ['a shape of another size', () => tensor([1, 2, 3], { shape: [2, 2] }), /\[2,2\] holds 4 elements, got 3/],
    ['a fraction as int32', () => tensor([1.5], { dtype: 'int32' }), /1.5 at position 0 is not an int32/],
    ['NaN as int32', () => tensor([NaN], { dtype: 'int32' }), /NaN at position 0/],
    ['2^31 as int32', () => tensor([2 ** 31], { dtype: 'int32' }), /not an int32/],
    ['unsigned words without a dtype', () => tensor(new Uint32Array(2)), /give a dtype/],
    ['unsigned bigints', () => tensor(new BigUint64Array(2) as unknown as Int32Array), /expected numbers/],
    ['a gradient of integers', () => tensor([1], { dtype: 'int32', requiresGrad: true }), /only floating-point/],
  ])('refuses %s', (_, attempt, message) => {
    expect(attempt).toThrow(message);
  });

  test('refuses a transferred buffer', () => {
    const values = new Float32Array(4);
    structuredClone(values.buffer, { transfer: [values.buffer] });
    expect(() => tensor(values)).toThrow(/transferred away/);
    expect(() => tensor(values, { shape: [4] })).toThrow(/transferred away/);
  });
});

describe('creation', () => {
  test('ranges', () => {
    expect(arange(4).toArray()).toEqual([0, 1, 2, 3]);
    expect(arange(4).dtype).toBe('int32');
    expect(arange(1, 0, -0.25).toArray()).toEqual([1, 0.75, 0.5, 0.25]);
    expect(arange(3, 1).size).toBe(0);
    expect(linspace(0, 1, 5).toArray()).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(linspace(2, 3, 1).toArray()).toEqual([2]);
    expect(eye(2).toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(zeros([0, 3]).toArray()).toEqual([]);
    expect(ones([2], { dtype: 'int32' }).dtype).toBe('int32');
    expect(full([2], true, { dtype: 'bool' }).toArray()).toEqual([true, true]);
  });

  test('random numbers follow the seed', () => {
    const draw = (): unknown[] => [rand([5]).toArray(), randn([5]).toArray()];
    manualSeed(7);
    const first = draw();
    manualSeed(7);
    expect(draw()).toEqual(first);
    manualSeed(8);
    expect(draw()).not.toEqual(first);
    const a = new Generator(1);
    const b = new Generator(1);
    expect(rand([3], { generator: a }).toArray()).toEqual(rand([3], { generator: b }).toArray());
    expect(rand([3], { generator: a }).toArray()).not.toEqual(rand([3], { generator: new Generator(1) }).toArray());
  });

  test('random numbers have the moments asked for', () => {
    const n = 100_000;
    const generator = new Generator(3);
    const uniform = rand([n], { range: [2, 4], generator });
    // Four standard errors of the mean and of the variance.
    expect(Math.abs(uniform.mean().item() - 3)).toBeLessThan((4 * Math.sqrt(1 / 3)) / Math.sqrt(n));
    expect(uniform.min().item()).toBeGreaterThanOrEqual(2);
    expect(uniform.max().item()).toBeLessThan(4);
    const normal = randn([n], { mean: 1, std: 2, generator });
    expect(Math.abs(normal.mean().item() - 1)).toBeLessThan((4 * 2) / Math.sqrt(n));
    expect(Math.abs(normal.sub(1).square().mean().item() - 4)).toBeLessThan((4 * 4 * Math.SQRT2) / Math.sqrt(n));
  });
});

describe('views', () => {
  const x = arange(24).reshape([2, 3, 4]);

  test('share memory and need no copy', () => {
    expect(x.transpose(0, 2).shape).toEqual([4, 3, 2]);
    expect(x.transpose(0, 2).strides).toEqual([1, 4, 12]);
    expect(x.permute([1, 0, 2]).slice(2).toArray()).toEqual([
      [8, 9, 10, 11],
      [20, 21, 22, 23],
    ]);
    expect(x.T.slice(0, 1).toArray()).toEqual([1, 5, 9]);
  });

  test('reshape copies only where it must', () => {
    expect(x.reshape([6, -1]).shape).toEqual([6, 4]);
    expect(x.T.reshape([24]).toArray()).toEqual((x.T.toArray() as number[]).flat(3));
    expect(x.flatten().shape).toEqual([24]);
    expect(x.flatten(1).shape).toEqual([2, 12]);
    expect(() => x.reshape([5, -1])).toThrow(/cannot infer -1/);
    expect(() => x.reshape([-1, -1])).toThrow(/non-negative integers/);
    expect(() => x.reshape([23])).toThrow(/\[2,3,4\] has 24 elements, \[23\] has 23/);
  });

  test('slices follow the rules of ranges', () => {
    const v = arange(10);
    expect(v.slice([2, 5]).toArray()).toEqual([2, 3, 4]);
    expect(v.slice([-3]).toArray()).toEqual([7, 8, 9]);
    expect(v.slice([null, -7]).toArray()).toEqual([0, 1, 2]);
    expect(v.slice([null, null, -3]).toArray()).toEqual([9, 6, 3, 0]);
    expect(v.slice([8, 2, -2]).toArray()).toEqual([8, 6, 4]);
    expect(v.slice([5, 100]).size).toBe(5);
    expect(v.slice([7, 3]).toArray()).toEqual([]);
    expect(v.slice(-1).toArray()).toBe(9);
    expect(x.slice(1, [1], [null, null, 2]).toArray()).toEqual([
      [16, 18],
      [20, 22],
    ]);
  });

  test('squeeze, unsqueeze, expand', () => {
    expect(zeros([1, 2, 1]).squeeze().shape).toEqual([2]);
    expect(zeros([1, 2, 1]).squeeze(0).shape).toEqual([2, 1]);
    expect(() => zeros([1, 2]).squeeze(1)).toThrow(/extent 2, not 1/);
    expect(zeros([2]).unsqueeze(-1).shape).toEqual([2, 1]);
    expect(
      tensor([[1], [2]])
        .expand([3, 2, 2])
        .toArray(),
    ).toEqual(
      Array(3).fill([
        [1, 1],
        [2, 2],
      ]),
    );
    expect(tensor([[1], [2]]).expand([-1, 2]).shape).toEqual([2, 2]);
    expect(() => zeros([2]).expand([3])).toThrow(/does not expand/);
    expect(() => zeros([2]).expand([])).toThrow(ShapeError);
  });

  test('permute and transpose check their axes', () => {
    expect(() => x.permute([0, 1])).toThrow(/needs 3 axes/);
    expect(() => x.permute([0, 1, 1])).toThrow(/names an axis twice/);
    expect(() => x.transpose(0, 3)).toThrow(/axis 3 is out of range/);
    expect(() => tensor(1).T).toThrow(/a scalar has no axes/);
  });

  test('outlive what they are views of', () => {
    const base = arange(6);
    const part = base.slice([2, 4]);
    base.dispose();
    expect(part.toArray()).toEqual([2, 3]);
  });
});

describe('arithmetic', () => {
  test('promotes dtypes as PyTorch does', () => {
    const i = arange(3);
    const f = ones([3]);
    const b = tensor([true, false, true]);
    const dtypeOf = (t: AnyTensor): string => t.dtype;
    expect(dtypeOf(i.add(f))).toBe('float32');
    expect(dtypeOf(i.add(b))).toBe('int32');
    expect(dtypeOf(i.add(1))).toBe('int32');
    expect(dtypeOf(i.add(0.5))).toBe('float32');
    expect(dtypeOf(i.div(2))).toBe('float32');
    expect(dtypeOf(b.add(b))).toBe('int32');
    expect(b.add(b).toArray()).toEqual([2, 0, 2]);
    expect(b.sum().item()).toBe(2);
    expect(dtypeOf(i.mean())).toBe('float32');
    expect(i.exp().dtype).toBe('float32');
    expect(() => i.logicalAnd(b)).toThrow(/int32 is not supported/);
  });

  test('reductions over axes', () => {
    const x = arange(24).reshape([2, 3, 4]).cast('float32');
    expect(x.sum(1).toArray()).toEqual([
      [12, 15, 18, 21],
      [48, 51, 54, 57],
    ]);
    expect(x.sum([0, 2], { keepDims: true }).shape).toEqual([1, 3, 1]);
    expect(x.sum([0, 2]).toArray()).toEqual([60, 92, 124]);
    expect(x.transpose(0, 2).sum(-1).toArray()).toEqual(x.sum(0).T.toArray());
    expect(x.max(2).toArray()).toEqual([
      [3, 7, 11],
      [15, 19, 23],
    ]);
    expect(x.mean().item()).toBe(11.5);
    expect(x.argmax().item()).toBe(23);
    expect(x.argmax(0, { keepDims: true }).shape).toEqual([1, 3, 4]);
    expect(zeros([0]).sum().item()).toBe(0);
    expect(zeros([0]).mean().item()).toBeNaN();
    expect(zeros([3, 0]).sum(1).toArray()).toEqual([0, 0, 0]);
    expect(() => zeros([0]).max()).toThrow(/max: axis 0 of shape \[0\] is empty/);
    expect(zeros([0, 3]).max(1).shape).toEqual([0]);
  });

  test('NaN goes through', () => {
    const x = tensor([1, NaN, 3]);
    expect(x.max().item()).toBeNaN();
    expect(x.maximum(0).toArray()).toEqual([1, NaN, 3]);
    expect(tensor(0).minimum(x).toArray()).toEqual([0, NaN, 0]);
    expect(x.relu().toArray()).toEqual([1, NaN, 3]);
    expect(x.argmax().item()).toBe(1);
    expect(x.equal(x).toArray()).toEqual([true, false, true]);
    expect(where(x.equal(x), x, 0).toArray()).toEqual([1, 0, 3]);
  });

  test('vectors in matmul', () => {
    const m = tensor([
      [1, 2],
      [3, 4],
    ]);
    const v = tensor([1, 10]);
    expect(v.matmul(v).item()).toBe(101);
    expect(m.matmul(v).toArray()).toEqual([21, 43]);
    expect(v.matmul(m).toArray()).toEqual([31, 42]);
    expect(m.unsqueeze(0).expand([3, 2, 2]).matmul(m).shape).toEqual([3, 2, 2]);
  });
});

describe('lifetime', () => {
  test('every use after dispose is an error, and disposing twice is none', () => {
    const x = tensor([1, 2]);
    x.dispose();
    x.dispose();
    expect(x.isDisposed).toBe(true);
    const uses: (() => unknown)[] = [
      () => x.dataSync(),
      () => x.item(),
      () => x.toArray(),
      () => x.add(1),
      () => x.reshape([2, 1]),
      () => x.sum(),
      () => x.detach(),
      () => x.T,
      () => {
        x.backward();
      },
      () => x.matmul(x),
      () => tensor([1]).add(x),
    ];
    for (const use of uses) expect(use).toThrow(DisposedError);
    expect(x.toString()).toBe('tensor(disposed, shape=[2])');
  });

  test('using disposes at the end of the block', () => {
    let outer: Tensor;
    {
      using x = tensor([1]);
      outer = x;
      expect(x.isDisposed).toBe(false);
    }
    expect(outer.isDisposed).toBe(true);
  });

  test('item needs one element', () => {
    expect(() => zeros([2]).item()).toThrow(/must have one element, its shape is \[2\]/);
    expect(() => zeros([0]).item()).toThrow(ShapeError);
    expect(tensor([[true]]).item()).toBe(1);
  });

  test('data is awaitable and printing readable', async () => {
    expect(await tensor([1, 2]).data()).toEqual(new Float32Array([1, 2]));
    expect(
      inspect(
        tensor([
          [1, 2],
          [3, 4.5],
        ]),
      ),
    ).toContain('tensor([[');
    expect(String(tensor([true]))).toContain('true');
  });
});

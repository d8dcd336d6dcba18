/** All dtypes: in and out, conversions, promotion. */
import { cast, full, tensor, zeros, type AnyTensor, type DType } from '../../lib';
import { promote } from '../../lib/tensor/dtype';

test('int64 comes and goes as BigInt64Array', () => {
  const big = 2n ** 60n + 1n;
  const x = tensor(new BigInt64Array([1n, -2n, big]));
  expect(x.dtype).toBe('int64');
  expect([...x.dataSync()]).toEqual([1n, -2n, big]);
  expect([...x.add(1).dataSync()]).toEqual([2n, -1n, big + 1n]);
  expect(tensor([1, 2], { dtype: 'int64' }).toArray()).toEqual([1, 2]);
  expect(() => tensor([2 ** 60], { dtype: 'int64' })).toThrow(/is not an int64/);
});

test('float64 keeps its digits', () => {
  const x = tensor([1 / 3], { dtype: 'float64' });
  expect(x.item()).toBe(1 / 3);
  expect(x.exp().item()).toBe(Math.exp(1 / 3));
  expect(tensor(new Float64Array([1 / 3])).dtype).toBe('float32');
});

test('uint8 wraps, as bytes do', () => {
  const x = tensor(new Uint8Array([250, 3]));
  expect(x.dtype).toBe('uint8');
  expect(x.add(10).toArray()).toEqual([4, 13]);
  expect(x.sum().dtype).toBe('int32');
  expect(() => tensor([256], { dtype: 'uint8' })).toThrow(/256 at position 0 is not an uint8/);
});

describe('halves', () => {
  // Values at the edges of both formats and what they round to (IEEE 754 binary16; bfloat16 by rounding float32's bits).
  test.each<[DType, number, number]>([
    ['float16', 1 / 3, 0.333251953125],
    ['float16', 65504, 65504],
    ['float16', 65519, 65504],
    ['float16', 65520, Infinity],
    ['float16', 2 ** -24, 2 ** -24],
    ['float16', 2 ** -25, 0],
    ['float16', 3 * 2 ** -25, 2 ** -23],
    ['float16', 6.1e-5, 6.097555160522461e-5],
    ['float16', -Infinity, -Infinity],
    ['float16', NaN, NaN],
    ['float16', 2049, 2048],
    ['float16', 2051, 2052],
    ['bfloat16', 1 / 3, 0.333984375],
    ['bfloat16', 257, 256],
    ['bfloat16', 259, 260],
    ['bfloat16', 3.4e38, Infinity],
    ['bfloat16', NaN, NaN],
    ['bfloat16', 1e-40, 9.183549615799121e-41],
  ])('%s: %d becomes %d', (dtype, value, wanted) => {
    expect(tensor([value], { dtype }).item()).toBe(wanted);
  });

  test('arithmetic rounds its result and keeps the dtype', () => {
    const x = tensor([1, 2, 3], { dtype: 'float16' });
    const y = x.div(3);
    expect(y.dtype).toBe('float16');
    expect(y.toArray()).toEqual([0.333251953125, 0.66650390625, 1]);
    expect(x.sum().dtype).toBe('float16');
    expect(x.mul(tensor([1, 2, 3], { dtype: 'bfloat16' })).dtype).toBe('float32');
    expect(x.greater(1.5).toArray()).toEqual([false, true, true]);
  });

  test('gradients flow through conversions', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    x.cast('bfloat16').mul(3).cast('float64').sum().backward();
    expect(x.grad?.dtype).toBe('float32');
    expect(x.grad?.toArray()).toEqual([3, 3]);
  });
});

test('all pairs of conversions', () => {
  const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'int64', 'uint8', 'bool', 'float16', 'bfloat16'];
  for (const from of dtypes) {
    for (const to of dtypes) {
      const x = cast(tensor([0, 1, 7], { dtype: from }) as AnyTensor, to);
      const isBool = from === 'bool' || to === 'bool';
      expect(Array.from(x.dataSync() as Float32Array, Number)).toEqual([0, 1, isBool ? 1 : 7]);
      expect(x.dtype).toBe(to);
    }
  }
  expect(Number(tensor([-1e30], { dtype: 'float64' }).cast('int64').dataSync()[0])).toBe(-(2 ** 63));
  expect(tensor([300, -5, NaN]).cast('uint8').toArray()).toEqual([255, 0, 0]);
  expect(
    tensor(new Int32Array([300]))
      .cast('uint8')
      .toArray(),
  ).toEqual([44]);
});

// PyTorch's table (torch.promote_types).
test.each<[DType, DType, DType]>([
  ['bool', 'uint8', 'uint8'],
  ['uint8', 'int32', 'int32'],
  ['int32', 'int64', 'int64'],
  ['int64', 'float16', 'float16'],
  ['int64', 'float32', 'float32'],
  ['float16', 'bfloat16', 'float32'],
  ['bfloat16', 'float32', 'float32'],
  ['float32', 'float64', 'float64'],
  ['bool', 'bool', 'bool'],
])('%s and %s meet in %s', (a, b, wanted) => {
  expect(promote(a, b)).toBe(wanted);
  expect(promote(b, a)).toBe(wanted);
  const sum = zeros([1], { dtype: a }).add(zeros([1], { dtype: b }) as AnyTensor);
  expect(sum.dtype).toBe(wanted === 'bool' ? 'int32' : wanted);
});

test('a number takes the tensor dtype where that can hold it', () => {
  expect(full([1], 2, { dtype: 'uint8' }).mul(3).dtype).toBe('uint8');
  expect(full([1], 2, { dtype: 'int64' }).mul(0.5).dtype).toBe('float32');
  expect(full([1], 2, { dtype: 'float64' }).mul(3).dtype).toBe('float64');
  expect(full([1], true, { dtype: 'bool' }).add(1).dtype).toBe('int32');
});

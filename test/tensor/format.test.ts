import { arange, tensor, zeros } from '../../lib';
import { formatTensor } from '../../lib/tensor/format';

test.each<[string, () => { toString(): string }, string]>([
  ['a scalar', () => tensor(3.5), 'tensor(3.5000)'],
  ['whole floats', () => tensor([1, 2]), 'tensor([1., 2.])'],
  [
    'a matrix',
    () =>
      tensor([
        [1, 2],
        [3, 4.5],
      ]),
    'tensor([[1.0000, 2.0000],\n        [3.0000, 4.5000]])',
  ],
  ['aligned columns', () => tensor([-1.5, 10.25]), 'tensor([-1.5000, 10.2500])'],
  ['rank 3', () => arange(4).reshape([2, 1, 2]), "tensor([[[0, 1]],\n\n        [[2, 3]]], dtype: 'int32')"],
  ['bool', () => tensor([true, false]), 'tensor([ true, false])'],
  ['special values', () => tensor([NaN, Infinity, -Infinity, 1.5]), 'tensor([   nan,    inf,   -inf, 1.5000])'],
  ['a wide range', () => tensor([1e-6, 1]), 'tensor([1.0000e-06, 1.0000e+00])'],
  ['large', () => tensor(1e10), 'tensor(1.0000e+10)'],
  ['empty', () => tensor([]), 'tensor([])'],
  ['empty with axes', () => zeros([0, 3]), 'tensor([], shape: [0, 3])'],
  ['a leaf', () => tensor([1], { requiresGrad: true }), 'tensor([1.], requiresGrad: true)'],
  ['a view', () => arange(6).reshape([2, 3]).T, "tensor([[0, 3],\n        [1, 4],\n        [2, 5]], dtype: 'int32')"],
])('%s', (_, make, expected) => {
  expect(make().toString()).toBe(expected);
});

test('long tensors are shortened', () => {
  expect(arange(2000).toString()).toBe("tensor([   0,    1,    2, ..., 1997, 1998, 1999], dtype: 'int32')");
  const square = arange(10000).reshape([100, 100]).toString();
  expect(square.split('\n')).toHaveLength(7);
  expect(square).toContain('...');
});

test('options', () => {
  expect(formatTensor([1.23456], [1], 'float32', { precision: 2 })).toBe('tensor([1.23])');
  expect(formatTensor([1, 2, 3, 4], [4], 'int32', { threshold: 3, edgeItems: 1 })).toBe(
    "tensor([1, ..., 4], dtype: 'int32')",
  );
});

/** Rows of the matrix products. */
import { linear, matmul, zeros, type Tensor } from '../../../lib';
import { dense, spread, type Dense } from '../reference';
import type { Rows } from '../row';
import { notTensors } from './build';

/** To the nearest value of 8 significant bits, ties to even. */
function roundBrain(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer);
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0];
}

/** a[m,k] · b, b stored as [k,n] or, where `transposed`, as [n,k], plus a bias; rounded once. */
function brainProduct(a: Dense, b: Dense, transposed: boolean, bias: readonly number[] = []): Dense {
  const [m, k] = a.shape;
  const n = b.shape[transposed ? 0 : 1];
  const data = Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let total = bias[j] ?? 0;
    for (let p = 0; p < k; p++) total += a.data[i * k + p] * b.data[transposed ? j * k + p : p * n + j];
    return roundBrain(total);
  });
  return dense([m, n], data, 'bfloat16');
}

/** Whole numbers, whose products float32 sums exactly, so that only the last rounding shows. */
const brain = (shape: readonly number[]): Dense => spread(shape, -20, 20, 'bfloat16');
const noDifferences = 'halves are too coarse for finite differences; the rule is that of float32';

export const rows: Rows = {
  matmul: {
    call: matmul,
    torch: 'x0 @ x1',
    samples: [
      [spread([2, 3]), spread([3, 4])],
      [spread([1, 1]), spread([1, 1])],
      [spread([17, 33]), spread([33, 19])],
      [spread([3, 0]), spread([0, 2])],
      [spread([0, 3]), spread([3, 2])],
      [spread([2, 3, 4, 5]), spread([3, 5, 2])],
      [spread([31, 70], 0, 1), spread([70, 65], 0, 1)],
    ],
    gradient: 'all',
    gradientSamples: [
      [spread([2, 3]), spread([3, 4])],
      [spread([2, 2, 3]), spread([3, 2])],
      [spread([2, 1, 2, 3]), spread([3, 3, 2])],
    ],
    bad: [
      ...notTensors((x: Tensor) => matmul(x, zeros([2, 2])), 'a'),
      ...notTensors((x: Tensor) => matmul(zeros([2, 2]), x), 'b'),
      [
        'inner dimensions that differ',
        () => matmul(zeros([2, 3]), zeros([4, 5])),
        /matmul: inner dimensions differ: \[2,3\] × \[4,5\]/,
      ],
      ['a scalar', () => matmul(zeros([]), zeros([2])), /a scalar is no matrix/],
      ['batches that do not broadcast', () => matmul(zeros([2, 1, 1]), zeros([3, 1, 1])), /do not broadcast/],
      ['integers', () => matmul(zeros([2, 2], { dtype: 'int32' }), zeros([2, 2])), /must be float32/],
      [
        'dtypes that differ',
        () => matmul(zeros([2, 2], { dtype: 'float64' }), zeros([2, 2])),
        /matmul: dtypes differ: float64 and float32/,
      ],
    ],
  },
  'matmul/vectors': {
    call: matmul,
    torch: 'x0 @ x1',
    samples: [
      [spread([3]), spread([3])],
      [spread([3]), spread([3, 4])],
      [spread([2, 3]), spread([3])],
      [spread([2, 4, 3]), spread([3])],
    ],
    gradient: 'all',
    bad: [],
  },
  'matmul/bfloat16': {
    call: matmul,
    torch: (a, b) => brainProduct(a, b, false),
    samples: [
      [brain([2, 3]), brain([3, 4])],
      [brain([1, 40]), brain([40, 33])],
      [brain([17, 33]), brain([33, 19])],
      [brain([64, 100]), brain([100, 70])],
      [brain([3, 0]), brain([0, 2])],
    ],
    gradient: noDifferences,
    bad: [
      [
        'the two halves together',
        () => matmul(zeros([2, 2], { dtype: 'bfloat16' }), zeros([2, 2], { dtype: 'float16' })),
        /matmul: dtypes differ: bfloat16 and float16/,
      ],
    ],
  },
  'linear/bfloat16': {
    call: linear,
    torch: (x, weight, bias) => brainProduct(x, weight, true, bias.data),
    samples: [
      [brain([1, 40]), brain([33, 40]), brain([33])],
      [brain([33, 17]), brain([19, 17]), brain([19])],
      [brain([48, 100]), brain([70, 100]), brain([70])],
    ],
    gradient: noDifferences,
    bad: [],
  },
  linear: {
    call: linear,
    torch: 'F.linear(x0, x1, x2)',
    samples: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([33, 17]), spread([19, 17]), spread([19])],
      [spread([2, 2, 5]), spread([1, 5]), spread([1])],
      [spread([0, 3]), spread([4, 3]), spread([4])],
      [spread([3]), spread([4, 3]), spread([4])],
    ],
    gradient: 'all',
    gradientSamples: [
      [spread([2, 3]), spread([4, 3]), spread([4])],
      [spread([2, 2, 3]), spread([2, 3]), spread([2])],
    ],
    bad: [
      ...notTensors((x: Tensor) => linear(x, zeros([2, 2]))),
      ...notTensors((w: Tensor) => linear(zeros([2, 2]), w), 'weight'),
      ['features that differ', () => linear(zeros([2, 3]), zeros([4, 5])), /x \[2,3\] does not fit weight \[4,5\]/],
      ['a bias of another size', () => linear(zeros([2, 3]), zeros([4, 3]), zeros([3])), /bias \[3\] does not fit/],
      ['a weight of rank 1', () => linear(zeros([3]), zeros([3])), /does not fit/],
      [
        'dtypes that differ',
        () => linear(zeros([2, 3]), zeros([4, 3], { dtype: 'float64' })),
        /linear: dtypes differ: float32 and float64/,
      ],
    ],
  },
};

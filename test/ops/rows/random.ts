/** Rows of the random choices: what is certain of them. test/ops/random.test.ts has their distributions. */
import {
  bernoulli,
  categorical,
  dropout,
  Generator,
  multinomial,
  permutation,
  tensor,
  zeros,
  type Tensor,
} from '../../../lib';
import { dense, spread } from '../reference';
import type { Rows } from '../row';
import { notTensors } from './build';

export const rows: Rows = {
  bernoulli: {
    call: (p: Tensor) => bernoulli(p),
    torch: (p) => p,
    samples: [[dense([4], [0, 1, 1, 0])], [dense([2, 2], [1, 1, 0, 0])]],
    gradient: 'chooses',
    bad: [
      ...notTensors((x: Tensor) => bernoulli(x), 'probability'),
      ['integers', () => bernoulli(zeros([2], { dtype: 'int32' }) as unknown as Tensor), /probability must be float32/],
    ],
  },
  categorical: {
    call: (logits: Tensor) => categorical(logits),
    torch: () => dense([2], [1, 0], 'int32'),
    samples: [[dense([2, 3], [-1e9, 0, -1e9, 0, -1e9, -1e9])]],
    gradient: 'chooses',
    bad: [
      ...notTensors((x: Tensor) => categorical(x), 'logits'),
      ['no classes', () => categorical(zeros([2, 0])), /categorical: logits \[2,0\] have no classes/],
      ['a scalar', () => categorical(zeros([])), /have no classes/],
    ],
  },
  multinomial: {
    call: (weights: Tensor) => multinomial(weights, 3, { replacement: true }),
    torch: () => dense([2, 3], [1, 1, 1, 0, 0, 0], 'int32'),
    samples: [[dense([2, 3], [0, 5, 0, 2, 0, 0])]],
    gradient: 'chooses',
    bad: [
      ...notTensors((x: Tensor) => multinomial(x, 1), 'weights'),
      ['more than there are', () => multinomial(zeros([2]), 3), /multinomial: count must be an integer in \[0, 2\]/],
      ['a rank of 3', () => multinomial(zeros([1, 1, 2]), 1), /weights must be \[classes\] or \[n, classes\]/],
    ],
  },
  permutation: {
    untraced: 'the order is drawn in JavaScript',
    call: (n: Tensor<'int32'>) => permutation(n.item()).sort().values,
    torch: 'torch.arange(x0.item(), dtype=torch.int32)',
    samples: [[dense([], [7], 'int32')], [dense([], [0], 'int32')]],
    gradient: 'chooses',
    bad: [
      ['a negative number', () => permutation(-1), /permutation: n must be an integer/],
      ['a fraction', () => permutation(1.5), /permutation: n must be an integer/],
    ],
  },
  dropout: {
    call: (x: Tensor) => dropout(x, 0),
    torch: 'x0 * 1',
    samples: [[spread([5])], [spread([2, 3])]],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => dropout(x)),
      ['a probability above 1', () => dropout(zeros([2]), 1.5), /dropout: p must be a number in \[0, 1\]/],
      ['a negative probability', () => dropout(zeros([2]), -0.1), /dropout: p must be a number/],
      ['NaN', () => dropout(zeros([2]), NaN), /dropout: p must be a number/],
      ['integers', () => dropout(zeros([2], { dtype: 'int32' }) as unknown as Tensor), /x must be float32/],
    ],
  },
  'dropout/evaluation': {
    call: (x: Tensor) => dropout(x, 0.5, { training: false }),
    torch: 'F.dropout(x0, 0.5, training=False)',
    samples: [[spread([5])], [spread([2, 3])]],
    gradient: 'all',
    bad: [],
  },
  'dropout/everything': {
    call: (x: Tensor) => dropout(x, 1),
    torch: 'F.dropout(x0, 1.0)',
    samples: [[spread([5])], [spread([2, 3])]],
    gradient: 'all',
    bad: [],
  },
  'dropout/mask': {
    // One generator gives one mask, so that this is a fixed linear function.
    call: (x: Tensor) => {
      const fixed = dropout(x, 0.5, { generator: new Generator(3) });
      const scale = dropout(tensor(new Float32Array(x.size).fill(1), { shape: x.shape }), 0.5, {
        generator: new Generator(3),
      });
      return fixed.sub(x.mul(scale.cast(x.dtype)));
    },
    torch: 'x0 * 0',
    samples: [[spread([5])], [spread([2, 3])]],
    gradient: 'all',
    bad: [],
  },
};

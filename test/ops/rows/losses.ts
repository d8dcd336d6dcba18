/** Rows of the losses. */
import { crossEntropy, mseLoss, tensor, zeros, type Tensor } from '../../../lib';
import { spread } from '../reference';
import type { Rows } from '../row';
import { notTensors, positions } from './build';

const labels = (...values: number[]): Tensor<'int32'> => tensor(Int32Array.from(values));

export const rows: Rows = {
  crossEntropy: {
    call: (x: Tensor, y: Tensor<'int32'>) => crossEntropy(x, y, { reduction: 'none' }),
    torch: 'F.cross_entropy(x0, x1.long(), reduction="none")',
    samples: [
      [spread([4, 3]), positions([4], 3)],
      [spread([1, 10], -30, 30), positions([1], 10)],
      [spread([33, 17]), positions([33], 17)],
      [spread([0, 5]), positions([0], 5)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => crossEntropy(x, labels(0, 1)), 'logits'),
      ['a label out of range', () => crossEntropy(zeros([2, 3]), labels(0, 3)), /label 3 .*position 1.*\[0, 3\)/],
      ['a negative label', () => crossEntropy(zeros([2, 3]), labels(-1, 0)), /label -1/],
    ],
  },
  mseLoss: {
    call: (x: Tensor, y: Tensor) => mseLoss(x, y),
    torch: 'F.mse_loss(x0, x1)',
    samples: [
      [spread([4, 3]), spread([4, 3], -1, 3)],
      [spread([]), spread([], -1, 3)],
    ],
    gradient: 'all',
    bad: [
      ...notTensors((x: Tensor) => mseLoss(x, zeros([2]))),
      [
        'shapes that differ',
        () => mseLoss(zeros([2]), zeros([2, 1])),
        /mseLoss: prediction \[2\] and target \[2,1\] differ/,
      ],
    ],
  },
};

/** Rows of the losses of yes-or-no predictions. */
import { tensor, type Tensor } from '../../../../lib';
import { dense, spread } from '../../reference';
import type { Rows } from '../../row';
import { eachReduction, pairwise, reversed, signs, bits, integers, z, F } from './build';

const probabilityPairs = [
  [spread([7], 0.05, 0.95), reversed([7], 0.1, 0.9)],
  [spread([3, 5], 0.1, 0.9), bits([3, 5])],
  [spread([2, 3, 4], 0.01, 0.99), reversed([2, 3, 4], 0, 1)],
];
const logitPairs = [
  [spread([7]), reversed([7], 0, 1)],
  [spread([3, 5], -30, 30), bits([3, 5])],
  [spread([2, 3, 4], -6, 6), reversed([2, 3, 4], 0, 1)],
  [dense([3], [0, 0, 0]), dense([3], [0, 0.5, 1])],
];

export const binaryRows: Rows = {
  ...pairwise(
    'binaryCrossEntropy',
    (x, y, reduction) => F.binaryCrossEntropy(x, y, { reduction }),
    (r) => `F.binary_cross_entropy(x0, x1, reduction='${r}')`,
    probabilityPairs,
    [
      [
        'a prediction above 1',
        () => F.binaryCrossEntropy(tensor([0.5, 1.5]), z()),
        /in \[0, 1\], they are in \[0.5, 1.5\]/,
      ],
      ['a negative prediction', () => F.binaryCrossEntropy(tensor([-1, 1]), z()), /probabilities in \[0, 1\]/],
      ['NaN for a prediction', () => F.binaryCrossEntropy(tensor([NaN, 1]), z()), /probabilities in \[0, 1\]/],
      ['a weight that does not fit', () => F.binaryCrossEntropy(z(), z(), { weight: z([3]) }), /do not broadcast/],
      [
        'a weight with more axes',
        () => F.binaryCrossEntropy(z(), z(), { weight: z([4, 1]) }),
        /weight \[4,1\] does not/,
      ],
    ],
  ),
  ...eachReduction(
    'binaryCrossEntropy/weight',
    (reduction) => ({
      call: (x: Tensor, y: Tensor, weight: Tensor) => F.binaryCrossEntropy(x, y, { reduction, weight }),
      torch: `F.binary_cross_entropy(x0, x1, weight=x2, reduction='${reduction}')`,
      samples: probabilityPairs.map(([x, y]) => [x, y, spread(x.shape.slice(-1), 0.2, 2)]),
      gradient: [0, 1],
    }),
    [],
  ),
  ...eachReduction(
    'binaryCrossEntropy/at 0 and 1',
    (reduction) => ({
      call: (x: Tensor, y: Tensor) => F.binaryCrossEntropy(x, y, { reduction }),
      torch: `F.binary_cross_entropy(x0, x1, reduction='${reduction}')`,
      samples: [
        [dense([6], [0, 0, 1, 1, 0, 1]), dense([6], [0, 1, 0, 1, 0.5, 0.5])],
        [dense([2, 1], [0, 1]), dense([2, 1], [0.25, 1])],
        [dense([], [1]), dense([], [0])],
      ],
      gradient: 'bounded at 0 and 1, see test/nn/losses.test.ts',
    }),
    [],
  ),
  ...pairwise(
    'binaryCrossEntropyWithLogits',
    (x, y, reduction) => F.binaryCrossEntropyWithLogits(x, y, { reduction }),
    (r) => `F.binary_cross_entropy_with_logits(x0, x1, reduction='${r}')`,
    logitPairs,
    [
      [
        'a positive weight that does not fit',
        () => F.binaryCrossEntropyWithLogits(z(), z(), { posWeight: z([3]) }),
        /binaryCrossEntropyWithLogits: .*do not broadcast/,
      ],
      [
        'an integer weight',
        () => F.binaryCrossEntropyWithLogits(z(), z(), { weight: integers([2]) }),
        /weight must be float.*int32/,
      ],
    ],
  ),
  ...eachReduction(
    'binaryCrossEntropyWithLogits/weight, posWeight',
    (reduction) => ({
      call: (x: Tensor, y: Tensor, weight: Tensor, posWeight: Tensor) =>
        F.binaryCrossEntropyWithLogits(x, y, { reduction, weight, posWeight }),
      torch: `F.binary_cross_entropy_with_logits(x0, x1, weight=x2, pos_weight=x3, reduction='${reduction}')`,
      samples: logitPairs.map(([x, y]) => [x, y, spread(x.shape, 0.2, 2), spread(x.shape.slice(-1), 0.5, 4)]),
      gradient: [0, 1],
    }),
    [],
  ),
  ...pairwise(
    'multilabelSoftMarginLoss',
    (x, y, reduction) => F.multilabelSoftMarginLoss(x, y, { reduction }),
    (r) => `F.multilabel_soft_margin_loss(x0, x1, reduction='${r}')`,
    logitPairs,
    [['a scalar', () => F.multilabelSoftMarginLoss(z([]), z([])), /a scalar has no classes/]],
  ),
  ...pairwise(
    'softMarginLoss',
    (x, y, reduction) => F.softMarginLoss(x, y, { reduction }),
    (r) => `F.soft_margin_loss(x0, x1, reduction='${r}')`,
    [
      [spread([7]), signs([7])],
      [spread([3, 5], -20, 20), signs([3, 5])],
      [spread([2, 3, 4]), signs([2, 3, 4])],
    ],
    [],
    // PyTorch has none for the labels.
    { gradient: [0] },
  ),
};

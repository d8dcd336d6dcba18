/** Rows of the focal losses and the Dice loss. */
import { type Tensor } from '../../../../lib';
import { spread } from '../../reference';
import type { Rows } from '../../row';
import {
  badLabels,
  eachReduction,
  pairwise,
  reversed,
  labels,
  bits,
  classified,
  withWeight,
  integers,
  z,
  F,
  reduceInTorch,
  type Labels,
} from './build';

// torchvision's formula.
const focal = (alpha: number, gamma: number, reduce: string): string =>
  `(lambda p, ce: ((ce * (1 - (p * x1 + (1 - p) * (1 - x1))) ** ${String(gamma)})` +
  `${alpha >= 0 ? ` * (${String(alpha)} * x1 + (1 - ${String(alpha)}) * (1 - x1))` : ''})${reduce})` +
  `(torch.sigmoid(x0), F.binary_cross_entropy_with_logits(x0, x1, reduction='none'))`;
const softmaxFocal = (more: string, gamma: number): string =>
  `(lambda ce: ce * (1 - torch.exp(-ce)) ** ${String(gamma)})(F.cross_entropy(x0, x1.long(), reduction='none'${more}))`;

export const focalRows: Rows = {
  ...pairwise(
    'sigmoidFocalLoss',
    (x, y, reduction) => F.sigmoidFocalLoss(x, y, { reduction }),
    (r) => focal(0.25, 2, reduceInTorch[r]),
    [
      [spread([7]), bits([7])],
      [spread([3, 5], -8, 8), bits([3, 5])],
      [spread([2, 3, 4]), reversed([2, 3, 4], 0, 1)],
    ],
    [
      ['an alpha above 1', () => F.sigmoidFocalLoss(z(), z(), { alpha: 2 }), /alpha must be a number in \[0, 1\]/],
      ['a negative gamma', () => F.sigmoidFocalLoss(z(), z(), { gamma: -1 }), /gamma must be a number in/],
    ],
  ),
  ...pairwise(
    'sigmoidFocalLoss/no alpha, gamma 0.5',
    (x, y, reduction) => F.sigmoidFocalLoss(x, y, { reduction, alpha: -1, gamma: 0.5 }),
    (r) => focal(-1, 0.5, reduceInTorch[r]),
    [
      [spread([7]), bits([7])],
      [spread([3, 5], -5, 5), bits([3, 5])],
      [spread([2, 3, 4]), bits([2, 3, 4])],
    ],
  ),
  ...pairwise(
    'sigmoidFocalLoss/gamma 0',
    (x, y, reduction) => F.sigmoidFocalLoss(x, y, { reduction, alpha: 0.6, gamma: 0 }),
    (r) => focal(0.6, 0, reduceInTorch[r]),
    [
      [spread([7]), bits([7])],
      [spread([3, 5], -5, 5), bits([3, 5])],
      [spread([2, 3, 4]), bits([2, 3, 4])],
    ],
  ),
  ...eachReduction(
    'softmaxFocalLoss',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.softmaxFocalLoss(x, y, { reduction }),
      torch: softmaxFocal('', 2) + reduceInTorch[reduction],
      samples: classified(),
      gradient: [0],
    }),
    [
      ...badLabels('softmaxFocalLoss', (x, y) => F.softmaxFocalLoss(x, y)),
      [
        'a negative gamma',
        () => F.softmaxFocalLoss(z([2, 3]), integers([2]) as unknown as Labels, { gamma: -1 }),
        /softmaxFocalLoss: gamma must be a number in/,
      ],
    ],
  ),
  'nn.functional.softmaxFocalLoss/weight, ignoreIndex': {
    call: (x: Tensor, y: Labels, weight: Tensor) => F.softmaxFocalLoss(x, y, { weight, ignoreIndex: 99, gamma: 1.5 }),
    torch:
      '(lambda keep, w: (' +
      softmaxFocal(', ignore_index=99', 1.5) +
      ' * w).sum() / w.sum())(x1 != 99, torch.where(x1 != 99, x2[torch.where(x1 != 99, x1, x1 * 0).long()], x2[0] * 0))',
    samples: withWeight(classified(99)),
    gradient: [0],
    bad: [],
  },
};

const dice = (p: string, t: string, power: number, smooth: number, reduce: string): string =>
  `(lambda p, t: (lambda a: 1 - (2 * (p * t).sum(a) + ${String(smooth)}) / ` +
  `((p ** ${String(power)} + t ** ${String(power)}).sum(a) + ${String(smooth)}))` +
  `(tuple(range(2, x0.dim()))))(${p}, ${t})${reduce}`;

export const diceRows: Rows = {
  ...eachReduction(
    'diceLoss',
    (reduction) => ({
      call: (x: Tensor, y: Tensor) => F.diceLoss(x, y, { reduction }),
      torch: dice('x0', 'x1', 1, 1, reduceInTorch[reduction]),
      samples: [
        [spread([2, 3, 4], 0.05, 0.95), bits([2, 3, 4])],
        [spread([2, 2, 2, 3], 0.05, 0.95), bits([2, 2, 2, 3])],
        [spread([1, 1, 7], 0.05, 0.95), reversed([1, 1, 7], 0, 1)],
      ],
      gradient: [0, 1],
    }),
    [
      ['no axes of space', () => F.diceLoss(z([2, 3]), z([2, 3])), /diceLoss: expected a prediction \[n, classes, d1/],
      [
        'shapes that differ',
        () => F.diceLoss(z([2, 3, 4]), z([2, 3, 5])),
        /prediction \[2,3,4\] and float32 target \[2,3,5\]/,
      ],
      [
        'class numbers of another shape',
        () => F.diceLoss(z([2, 3, 4]), integers([2, 3, 4])),
        /class numbers \[n, d1, ...\].*int32 target \[2,3,4\]/,
      ],
      ['a negative smooth', () => F.diceLoss(z([1, 1, 1]), z([1, 1, 1]), { smooth: -1 }), /smooth must be a number in/],
      [
        'an activation that is not',
        () => F.diceLoss(z([1, 1, 1]), z([1, 1, 1]), { activation: 'tanh' as 'none' }),
        /unknown activation "tanh"/,
      ],
    ],
  ),
  ...eachReduction(
    'diceLoss/sigmoid, squared',
    (reduction) => ({
      call: (x: Tensor, y: Tensor) =>
        F.diceLoss(x, y, { reduction, activation: 'sigmoid', squared: true, smooth: 0.1 }),
      torch: dice('torch.sigmoid(x0)', 'x1', 2, 0.1, reduceInTorch[reduction]),
      samples: [
        [spread([2, 3, 4]), bits([2, 3, 4])],
        [spread([2, 2, 2, 3], -9, 9), bits([2, 2, 2, 3])],
        [spread([1, 1, 7]), reversed([1, 1, 7], 0, 1)],
      ],
      gradient: [0, 1],
    }),
    [],
  ),
  ...eachReduction(
    'diceLoss/softmax, class numbers',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.diceLoss(x, y, { reduction, activation: 'softmax' }),
      torch: dice(
        'torch.softmax(x0, 1)',
        'F.one_hot(x1.long(), x0.shape[1]).movedim(-1, 1).to(x0.dtype)',
        1,
        1,
        reduceInTorch[reduction],
      ),
      samples: classified()
        .slice(2, 4)
        .concat([[spread([1, 4, 5], -9, 9), labels([1, 5], 4)]]),
      gradient: [0],
    }),
    [],
  ),
};

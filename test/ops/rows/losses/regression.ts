/** Rows of the losses between real numbers. */
import { tensor, zeros, type Tensor } from '../../../../lib';
import { spread } from '../../reference';
import type { Row, Rows } from '../../row';
import { eachReduction, pairwise, reversed, integers, z, F, pairs, type Reduction } from './build';

export const regression: Rows = {
  ...pairwise(
    'mseLoss',
    (x, y, reduction) => F.mseLoss(x, y, { reduction }),
    (r) => `F.mse_loss(x0, x1, reduction='${r}')`,
  ),
  ...pairwise(
    'l1Loss',
    (x, y, reduction) => F.l1Loss(x, y, { reduction }),
    (r) => `F.l1_loss(x0, x1, reduction='${r}')`,
  ),
  ...pairwise(
    'huberLoss',
    (x, y, reduction) => F.huberLoss(x, y, { reduction }),
    (r) => `F.huber_loss(x0, x1, reduction='${r}')`,
    pairs,
    [
      ['a delta of 0', () => F.huberLoss(zeros([1]), zeros([1]), { delta: 0 }), /huberLoss: delta must be above 0/],
      ['NaN for delta', () => F.huberLoss(zeros([1]), zeros([1]), { delta: NaN }), /huberLoss: delta must be a number/],
    ],
  ),
  ...pairwise(
    'huberLoss/delta',
    (x, y, reduction) => F.huberLoss(x, y, { reduction, delta: 1.7 }),
    (r) => `F.huber_loss(x0, x1, reduction='${r}', delta=1.7)`,
  ),
  ...pairwise(
    'smoothL1Loss',
    (x, y, reduction) => F.smoothL1Loss(x, y, { reduction }),
    (r) => `F.smooth_l1_loss(x0, x1, reduction='${r}')`,
    pairs,
    [['a negative beta', () => F.smoothL1Loss(zeros([1]), zeros([1]), { beta: -1 }), /beta must be a number in/]],
  ),
  ...pairwise(
    'smoothL1Loss/beta',
    (x, y, reduction) => F.smoothL1Loss(x, y, { reduction, beta: 0.3 }),
    (r) => `F.smooth_l1_loss(x0, x1, reduction='${r}', beta=0.3)`,
  ),
  ...pairwise(
    'smoothL1Loss/beta 0',
    (x, y, reduction) => F.smoothL1Loss(x, y, { reduction, beta: 0 }),
    (r) => `F.smooth_l1_loss(x0, x1, reduction='${r}', beta=0.0)`,
  ),
  ...pairwise(
    'poissonNllLoss',
    (x, y, reduction) => F.poissonNllLoss(x, y, { reduction }),
    (r) => `F.poisson_nll_loss(x0, x1, reduction='${r}')`,
    pairs,
    [['a negative eps', () => F.poissonNllLoss(zeros([1]), zeros([1]), { eps: -1 }), /eps must be a number in/]],
  ),
  ...pairwise(
    'poissonNllLoss/rate, full',
    (x, y, reduction) => F.poissonNllLoss(x, y, { reduction, logInput: false, full: true, eps: 1e-6 }),
    (r) => `F.poisson_nll_loss(x0, x1, log_input=False, full=True, eps=1e-6, reduction='${r}')`,
    [
      [spread([7], 0.2, 4), reversed([7], 0, 5)],
      [spread([3, 5], 0.5, 2), reversed([3, 5], 0, 1)],
      [spread([2, 2, 3], 3, 9), reversed([2, 2, 3], 2, 9)],
    ],
    [],
    // The approximation jumps where the target passes 1.
    { gradient: [0] },
  ),
};

const gaussian = (reduction: Reduction, full: boolean, samples: Row['samples']): Omit<Row, 'bad'> => ({
  call: (x: Tensor, y: Tensor, v: Tensor) => F.gaussianNllLoss(x, y, v, { reduction, full }),
  torch: `F.gaussian_nll_loss(x0, x1, x2, full=${full ? 'True' : 'False'}, reduction='${reduction}')`,
  samples,
  gradient: [0, 1, 2],
});
const variances: Row['samples'] = [
  [spread([7]), reversed([7]), spread([7], 0.2, 2)],
  [spread([3, 5]), reversed([3, 5]), spread([3, 1], 0.5, 3)],
  [spread([3, 5]), reversed([3, 5]), spread([3], 0.5, 3)],
  [spread([2, 3, 4]), reversed([2, 3, 4]), spread([2, 3, 4], 0.1, 1)],
];
export const likelihood: Rows = {
  ...eachReduction('gaussianNllLoss', (reduction) => gaussian(reduction, false, variances), [
    [
      'shapes that differ',
      () => F.gaussianNllLoss(z(), z([3]), z()),
      /gaussianNllLoss: prediction \[2\] and target \[3\]/,
    ],
    ['another variance', () => F.gaussianNllLoss(z([2, 3]), z([2, 3]), z([3])), /variance \[3\] must have the shape/],
    ['a negative variance', () => F.gaussianNllLoss(z(), z(), tensor([1, -1])), /variance must not be negative/],
    ['an eps of 0', () => F.gaussianNllLoss(z(), z(), z(), { eps: 0 }), /eps must be above 0/],
    ['an integer variance', () => F.gaussianNllLoss(z(), z(), integers([2])), /variance must be float.*int32/],
  ]),
  ...eachReduction('gaussianNllLoss/full', (reduction) => gaussian(reduction, true, variances), [
    ['a scalar variance for a vector', () => F.gaussianNllLoss(z([2, 3]), z([2, 3]), z([])), /variance \[\] must have/],
  ]),
};

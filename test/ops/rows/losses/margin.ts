/** Rows of the losses with a margin. */
import { type Tensor } from '../../../../lib';
import { spread } from '../../reference';
import type { Row, Rows } from '../../row';
import {
  badLabels,
  eachReduction,
  pairwise,
  reversed,
  labels,
  signs,
  withWeight,
  integers,
  z,
  F,
  type Labels,
  type Reduction,
} from './build';

export const marginRows: Rows = {
  ...pairwise(
    'hingeEmbeddingLoss',
    (x, y, reduction) => F.hingeEmbeddingLoss(x, y, { reduction }),
    (r) => `F.hinge_embedding_loss(x0, x1, reduction='${r}')`,
    [
      [spread([7], 0, 3), signs([7])],
      [spread([3, 5]), signs([3, 5])],
      [spread([2, 3, 4], 0, 2), signs([2, 3, 4])],
    ],
    [['NaN for the margin', () => F.hingeEmbeddingLoss(z(), z(), { margin: NaN }), /margin must be a number/]],
    { gradient: [0] },
  ),
  ...pairwise(
    'hingeEmbeddingLoss/margin',
    (x, y, reduction) => F.hingeEmbeddingLoss(x, y, { reduction, margin: 0.4 }),
    (r) => `F.hinge_embedding_loss(x0, x1, reduction='${r}', margin=0.4)`,
    [
      [spread([7], 0, 3), signs([7])],
      [spread([3, 5]), signs([3, 5])],
      [spread([2, 3, 4], 0, 2), signs([2, 3, 4])],
    ],
    [],
    { gradient: [0] },
  ),
  ...eachReduction(
    'marginRankingLoss',
    (reduction) => ({
      call: (x: Tensor, y: Tensor, t: Tensor) => F.marginRankingLoss(x, y, t, { reduction, margin: 0.3 }),
      torch: `F.margin_ranking_loss(x0, x1, x2, margin=0.3, reduction='${reduction}')`,
      samples: [
        [spread([7]), reversed([7]), signs([7])],
        [spread([3, 5]), reversed([3, 5]), signs([3, 5])],
        [spread([2, 3, 4]), reversed([2, 3, 4]), signs([2, 3, 4])],
      ],
      gradient: [0, 1],
    }),
    [
      ['scores that differ', () => F.marginRankingLoss(z(), z([3]), z()), /first \[2\] and second \[3\] differ/],
      ['another target', () => F.marginRankingLoss(z(), z(), z([])), /first \[2\] and target \[\] differ/],
      ['an integer target', () => F.marginRankingLoss(z(), z(), integers([2])), /target must be float.*int32/],
      [
        'a string for the margin',
        () => F.marginRankingLoss(z(), z(), z(), { margin: '1' as never }),
        /margin must be a number/,
      ],
    ],
  ),
  ...eachReduction(
    'multiMarginLoss',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.multiMarginLoss(x, y, { reduction }),
      torch: `F.multi_margin_loss(x0, x1.long(), reduction='${reduction}')`,
      samples: [
        [spread([4, 3]), labels([4], 3)],
        [spread([5, 7]), labels([5], 7)],
        [spread([6]), labels([], 6)],
      ],
      gradient: [0],
    }),
    [
      ...badLabels('multiMarginLoss', (x, y) => F.multiMarginLoss(x, y)),
      [
        'a power of 3',
        () => F.multiMarginLoss(z([2, 3]), integers([2]) as unknown as Labels, { p: 3 as 2 }),
        /multiMarginLoss: p must be 1 or 2, got 3/,
      ],
    ],
  ),
  ...eachReduction(
    'multiMarginLoss/p, margin, weight',
    (reduction) => ({
      call: (x: Tensor, y: Labels, weight: Tensor) => F.multiMarginLoss(x, y, { reduction, weight, p: 2, margin: 0.7 }),
      torch: `F.multi_margin_loss(x0, x1.long(), p=2, margin=0.7, weight=x2, reduction='${reduction}')`,
      samples: withWeight([
        [spread([4, 3]), labels([4], 3)],
        [spread([5, 7]), labels([5], 7)],
        [spread([6]), labels([], 6)],
      ]),
      gradient: [0],
    }),
    [],
  ),
  ...eachReduction(
    'cosineEmbeddingLoss',
    (reduction) => ({
      call: (x: Tensor, y: Tensor, t: Tensor) => F.cosineEmbeddingLoss(x, y, t, { reduction, margin: -0.2 }),
      torch: `F.cosine_embedding_loss(x0, x1, x2, margin=-0.2, reduction='${reduction}')`,
      samples: [
        [spread([3, 5]), reversed([3, 5]), signs([3])],
        [spread([6, 2]), reversed([6, 2]), signs([6])],
        [spread([7]), reversed([7]), signs([])],
      ],
      gradient: [0, 1],
    }),
    [
      [
        'embeddings that differ',
        () => F.cosineEmbeddingLoss(z([2, 3]), z([2, 4]), z()),
        /first \[2,3\] and second \[2,4\]/,
      ],
      [
        'a target that differs',
        () => F.cosineEmbeddingLoss(z([2, 3]), z([2, 3]), z([3])),
        /a target \[n\], got \[2,3\] and \[3\]/,
      ],
      ['three axes', () => F.cosineEmbeddingLoss(z([2, 3, 4]), z([2, 3, 4]), z([2, 3])), /expected embeddings/],
      [
        'a margin above 1',
        () => F.cosineEmbeddingLoss(z([2, 3]), z([2, 3]), z(), { margin: 2 }),
        /margin must be a number in \[-1, 1\]/,
      ],
    ],
  ),
  ...eachReduction('tripletMarginLoss', (reduction) => triplet(reduction, 2, false), [
    [
      'shapes that differ',
      () => F.tripletMarginLoss(z([2, 3]), z([3]), z([2, 3])),
      /anchor \[2,3\] and positive \[3\] differ/,
    ],
    [
      'another negative',
      () => F.tripletMarginLoss(z([2, 3]), z([2, 3]), z([2, 4])),
      /anchor \[2,3\] and negative \[2,4\] differ/,
    ],
    ['a norm of 0', () => F.tripletMarginLoss(z(), z(), z(), { p: 0 }), /p must be above 0/],
    ['scalars', () => F.tripletMarginLoss(z([]), z([]), z([])), /a scalar has no features/],
    ['an integer anchor', () => F.tripletMarginLoss(integers([2]), z(), z()), /anchor must be float.*int32/],
  ]),
  ...eachReduction('tripletMarginLoss/swap', (reduction) => triplet(reduction, 2, true), []),
  ...eachReduction('tripletMarginLoss/p 1', (reduction) => triplet(reduction, 1, false), []),
  ...eachReduction('tripletMarginLoss/p 3', (reduction) => triplet(reduction, 3, true), []),
  ...eachReduction('tripletMarginLoss/p Infinity', (reduction) => triplet(reduction, Infinity, false), []),
};

function triplet(reduction: Reduction, p: number, swap: boolean): Omit<Row, 'bad'> {
  const norm = p === Infinity ? "float('inf')" : `${String(p)}.0`;
  const flag = swap ? 'True' : 'False';
  return {
    call: (a: Tensor, x: Tensor, y: Tensor) => F.tripletMarginLoss(a, x, y, { reduction, p, swap, margin: 0.8 }),
    torch: `F.triplet_margin_loss(x0, x1, x2, margin=0.8, p=${norm}, swap=${flag}, reduction='${reduction}')`,
    samples: [
      [spread([4, 3]), reversed([4, 3]), spread([4, 3], 1, -1)],
      [spread([5, 2]), reversed([5, 2], -1, 3), spread([5, 2], 0, 3)],
      [spread([3, 6]), reversed([3, 6]), spread([3, 6], 2, -3)],
    ],
    gradient: [0, 1, 2],
  };
}

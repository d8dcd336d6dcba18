/** Rows of the losses over classes. */
import { tensor, type Tensor } from '../../../../lib';
import { dense, spread } from '../../reference';
import type { Rows } from '../../row';
import {
  eachReduction,
  distributions,
  badLabels,
  classified,
  withWeight,
  doubles,
  integers,
  z,
  F,
  type Labels,
} from './build';

export const crossEntropyRows: Rows = {
  ...eachReduction(
    'crossEntropy',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.crossEntropy(x, y, { reduction }),
      torch: `F.cross_entropy(x0, x1.long(), reduction='${reduction}')`,
      samples: [...classified(), ...classified(undefined, -40, 40)],
      gradient: [0],
    }),
    [
      ...badLabels('crossEntropy', (x, y) => F.crossEntropy(x, y)),
      [
        'weights of another precision',
        () => F.crossEntropy(z([2, 3]), integers([2]), { weight: doubles([3]) }),
        /crossEntropy: dtypes differ: float32 and float64/,
      ],
      [
        'too much smoothing',
        () => F.crossEntropy(z([2, 3]), integers([2]), { labelSmoothing: 1.5 }),
        /labelSmoothing must be a number in \[0, 1\]/,
      ],
      [
        'weights for other classes',
        () => F.crossEntropy(z([2, 3]), integers([2]), { weight: z([2]) }),
        /weight must have one entry per class, \[3\], got \[2\]/,
      ],
      [
        'a fraction to ignore',
        () => F.crossEntropy(z([2, 3]), integers([2]), { ignoreIndex: 0.5 }),
        /ignoreIndex must be an integer/,
      ],
    ],
  ),
  ...eachReduction(
    'crossEntropy/ignored by default',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.crossEntropy(x, y, { reduction }),
      torch: `F.cross_entropy(x0, x1.long(), reduction='${reduction}')`,
      untraced: 'a compiled step has no second try: ignoreIndex must be given',
      samples: classified(-100),
      gradient: [0],
    }),
    [
      [
        'another label out of range',
        () => F.crossEntropy(z([2, 3]), tensor(Int32Array.from([-100, -99]))),
        /label -99 at position 1/,
      ],
    ],
  ),
  ...eachReduction(
    'crossEntropy/ignoreIndex',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.crossEntropy(x, y, { reduction, ignoreIndex: 2 }),
      torch: `F.cross_entropy(x0, x1.long(), reduction='${reduction}', ignore_index=2)`,
      // The last label of a vector of logits is 2: PyTorch's mean over nothing is NaN, ours too.
      samples: classified().slice(0, 4),
      gradient: [0],
    }),
    [],
  ),
  ...eachReduction(
    'crossEntropy/weight, ignoreIndex',
    (reduction) => ({
      call: (x: Tensor, y: Labels, weight: Tensor) => F.crossEntropy(x, y, { reduction, weight, ignoreIndex: 99 }),
      torch: `F.cross_entropy(x0, x1.long(), weight=x2, reduction='${reduction}', ignore_index=99)`,
      samples: withWeight(classified(99)),
      gradient: [0],
    }),
    [],
  ),
  ...eachReduction(
    'crossEntropy/labelSmoothing',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.crossEntropy(x, y, { reduction, labelSmoothing: 0.2 }),
      torch: `F.cross_entropy(x0, x1.long(), reduction='${reduction}', label_smoothing=0.2)`,
      samples: classified(-100),
      gradient: [0],
    }),
    [],
  ),
  ...eachReduction(
    'crossEntropy/labelSmoothing, weight',
    (reduction) => ({
      call: (x: Tensor, y: Labels, weight: Tensor) => F.crossEntropy(x, y, { reduction, weight, labelSmoothing: 0.1 }),
      torch: `F.cross_entropy(x0, x1.long(), weight=x2, reduction='${reduction}', label_smoothing=0.1)`,
      samples: withWeight(classified(-100)),
      gradient: [0],
    }),
    [],
  ),
  ...eachReduction(
    'crossEntropy/probabilities',
    (reduction) => ({
      call: (x: Tensor, y: Tensor) => F.crossEntropy(x, y, { reduction }),
      torch: `F.cross_entropy(x0, x1, reduction='${reduction}')`,
      samples: [
        [spread([4, 3]), distributions([4, 3])],
        [spread([2, 5, 3]), distributions([2, 5, 3])],
        [spread([2, 3, 2, 2], -20, 20), distributions([2, 3, 2, 2])],
        [spread([5]), dense([5], distributions([1, 5]).data)],
      ],
      gradient: [0, 1],
    }),
    [
      [
        'ignoreIndex with probabilities',
        () => F.crossEntropy(z([2, 3]), z([2, 3]), { ignoreIndex: 1 }),
        /crossEntropy: ignoreIndex goes with class numbers/,
      ],
      [
        'probabilities of another shape',
        () => F.crossEntropy(z([2, 3]), z([3, 2])),
        /labels must be int32 class numbers, or probabilities of the logits' shape \[2,3\], got float32 \[3,2\]/,
      ],
    ],
  ),
  ...eachReduction(
    'crossEntropy/probabilities, weight, labelSmoothing',
    (reduction) => ({
      call: (x: Tensor, y: Tensor, weight: Tensor) => F.crossEntropy(x, y, { reduction, weight, labelSmoothing: 0.3 }),
      torch: `F.cross_entropy(x0, x1, weight=x2, reduction='${reduction}', label_smoothing=0.3)`,
      samples: withWeight([
        [spread([4, 3]), distributions([4, 3])],
        [spread([2, 5, 3]), distributions([2, 5, 3])],
        [spread([2, 3, 2, 2]), distributions([2, 3, 2, 2])],
      ]),
      gradient: [0, 1],
    }),
    [],
  ),
};

export const nllRows: Rows = {
  ...eachReduction(
    'nllLoss',
    (reduction) => ({
      call: (x: Tensor, y: Labels) => F.nllLoss(x, y, { reduction }),
      torch: `F.nll_loss(x0, x1.long(), reduction='${reduction}')`,
      samples: classified(-100),
      gradient: [0],
    }),
    badLabels('nllLoss', (x, y) => F.nllLoss(x, y)),
  ),
  ...eachReduction(
    'nllLoss/weight, ignoreIndex',
    (reduction) => ({
      call: (x: Tensor, y: Labels, weight: Tensor) => F.nllLoss(x, y, { reduction, weight, ignoreIndex: -7 }),
      torch: `F.nll_loss(x0, x1.long(), weight=x2, reduction='${reduction}', ignore_index=-7)`,
      samples: withWeight(classified(-7)),
      gradient: [0],
    }),
    [
      [
        'weights for other classes',
        () => F.nllLoss(z([2, 3]), integers([2]) as unknown as Labels, { weight: z([4]) }),
        /nllLoss: weight must have one entry per class/,
      ],
    ],
  ),
};

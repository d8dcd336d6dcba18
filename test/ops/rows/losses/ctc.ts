/** Rows of connectionist temporal classification. */
import { logSoftmax, tensor, type Tensor } from '../../../../lib';
import { dense, spread, type Dense } from '../../reference';
import type { Row, Rows } from '../../row';
import { eachReduction, integers, z, F, type Labels } from './build';

const int = (shape: readonly number[], data: readonly number[]): Dense => dense(shape, data, 'int32');
// Repeated labels need a blank between them; lengths from none to all that fits.
const ctcSamples: Row['samples'] = [
  [spread([6, 3, 4]), int([3, 3], [1, 2, 3, 2, 2, 0, 3, 0, 0]), int([3], [6, 5, 4]), int([3], [3, 2, 1])],
  [spread([5, 2, 5], -6, 6), int([2, 2], [4, 4, 0, 0]), int([2], [5, 3]), int([2], [2, 0])],
  [spread([3, 1, 3]), int([1, 3], [1, 2, 1]), int([1], [3]), int([1], [3])],
];
type CtcCall = (x: Tensor, y: Labels, inputs: Labels, lengths: Labels) => Tensor;
const ctc = (call: CtcCall, torch: string, samples = ctcSamples): Omit<Row, 'bad'> => ({
  call: (x: Tensor, y: Labels, inputs: Labels, lengths: Labels) => call(logSoftmax(x), y, inputs, lengths),
  torch: `F.ctc_loss(F.log_softmax(x0, -1), x1.long(), x2.long(), x3.long(), ${torch})`,
  samples,
  // PyTorch's gradient is that of the logits, whatever it is given: hence logSoftmax.
  gradient: [0],
});
const oneTarget = (values: number[], inputs: number[] | number, lengths: number[] | number): (() => unknown) => {
  return () => F.ctcLoss(z([4, 1, 3]), tensor(Int32Array.from(values), { shape: [1, values.length] }), inputs, lengths);
};

export const ctcRows: Rows = {
  ...eachReduction(
    'ctcLoss',
    (reduction) => ctc((x, y, a, b) => F.ctcLoss(x, y, a, b, { reduction }), `reduction='${reduction}'`),
    [
      [
        'a label that is the blank',
        oneTarget([1, 0], [4], [2]),
        /ctcLoss: label 0 at position 1 of target 0 is the blank/,
      ],
      ['a label above the classes', oneTarget([3], [4], [1]), /label 3 .*outside \[0, 3\)/],
      ['an input too long', oneTarget([1], [5], [1]), /input length 5 at position 0 is outside \[0, 4\]/],
      ['a target too long', oneTarget([1, 2], [4], [3]), /target length 3 at position 0 is outside \[0, 2\]/],
      ['a negative length', oneTarget([1, 2], [4], [-1]), /targetLengths must be an integer in \[0/],
      [
        'lengths for more samples',
        oneTarget([1], [4, 4], [1]),
        /inputLengths must have one entry per sample, \[1\], got \[2\]/,
      ],
      [
        'a blank that is no class',
        () => F.ctcLoss(z([4, 1, 3]), integers([1, 1]) as unknown as Labels, [4], [1], { blank: 3 }),
        /blank must be an integer in \[0, 2\]/,
      ],
      [
        'targets for other samples',
        () => F.ctcLoss(z([4, 1, 3]), integers([2, 1]) as unknown as Labels, [4], [1]),
        /expected targets \[n, longest\] or one vector for logProbs \[4,1,3\], got \[2,1\]/,
      ],
      [
        'lengths that do not add up',
        () => F.ctcLoss(z([4, 2, 3]), tensor(Int32Array.from([1, 2, 1])), [4, 4], [1, 1]),
        /targetLengths add up to 2, targets has 3 labels/,
      ],
      [
        'a matrix of one axis',
        () => F.ctcLoss(z([4]), integers([1]) as unknown as Labels, [4], [1]),
        /expected logProbs/,
      ],
      [
        'float targets',
        () => F.ctcLoss(z([4, 1, 3]), z([1, 1]) as unknown as Labels, [4], [1]),
        /targets must be int32/,
      ],
    ],
  ),
  ...eachReduction(
    'ctcLoss/blank',
    (reduction) => ({
      untraced: 'targets in one vector are cut up by lengths',
      ...ctc((x, y, a, b) => F.ctcLoss(x, y, a, b, { reduction, blank: 2 }), `reduction='${reduction}', blank=2`, [
        [spread([6, 2, 4]), int([2, 3], [1, 0, 3, 0, 0, 2]), int([2], [6, 5]), int([2], [3, 2])],
        [spread([4, 2, 3]), int([3], [1, 0, 1]), int([2], [4, 4]), int([2], [2, 1])],
        [spread([4, 3], -3, 3), int([2], [1, 1]), int([1], [4]), int([1], [2])],
      ]),
    }),
    [],
  ),
  ...eachReduction(
    'ctcLoss/zeroInfinity',
    (reduction) =>
      ctc(
        (x, y, a, b) => F.ctcLoss(x, y, a, b, { reduction, zeroInfinity: true }),
        `reduction='${reduction}', zero_infinity=True`,
        [
          [spread([3, 2, 4]), int([2, 3], [1, 1, 3, 1, 2, 0]), int([2], [3, 3]), int([2], [3, 2])],
          [spread([2, 2, 4]), int([2, 2], [1, 1, 1, 2]), int([2], [2, 2]), int([2], [2, 2])],
          [spread([4, 1, 3]), int([1, 2], [1, 1]), int([1], [2]), int([1], [2])],
        ],
      ),
    [],
  ),
};

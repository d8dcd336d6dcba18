/** Rows of the losses. */
import { logSoftmax, nn, tensor, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { dense, sizeOf, spread, type Dense } from '../reference';
import type { Row, Rows } from '../row';

const F = nn.functional;
type Labels = Tensor<'int32'>;

/** Values with another order than {@link spread}'s, so that two inputs of one shape are independent. */
function reversed(shape: readonly number[], low = -2, high = 2): Dense {
  return dense(shape, [...spread(shape, low, high).data].reverse());
}

/** Class numbers, the classes in turn. */
function labels(shape: readonly number[], classes: number, ignored: readonly number[] = [], mark = -100): Dense {
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => (ignored.includes(i) ? mark : (i * 5 + 2) % classes));
  return dense(shape, data, 'int32');
}

/** 1 and -1, or the two values given. */
function signs(shape: readonly number[], values: readonly [number, number] = [1, -1]): Dense {
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => values[Number((i * 7) % 5 < 2)]);
  return dense(shape, data);
}
const bits = (shape: readonly number[]): Dense => signs(shape, [0, 1]);

/** Positive numbers that add up to 1 along axis 1. */
function distributions([n, classes, ...space]: readonly number[]): Dense {
  const inner = sizeOf(space);
  const raw = spread([n, classes, ...space], 0.1, 1).data;
  const data = raw.map((value, i) => {
    const start = Math.floor(i / (classes * inner)) * classes * inner + (i % inner);
    let total = 0;
    for (let c = 0; c < classes; c++) total += raw[start + c * inner];
    return Math.fround(value / total);
  });
  return dense([n, classes, ...space], data);
}

const reductions = ['mean', 'sum', 'none'] as const;
type Reduction = (typeof reductions)[number];

/** Losses that the library exports itself. */
const isTop = (op: string): boolean => op === 'crossEntropy' || op === 'mseLoss';

/** A row for each reduction, named by it. The first has the bad calls, the others one of their own. */
function eachReduction(name: string, make: (reduction: Reduction) => Omit<Row, 'bad'>, bad: Row['bad']): Rows {
  const wrong = make('max' as Reduction);
  const unknown = (): unknown =>
    (wrong.call as (...inputs: AnyTensor[]) => unknown)(
      ...wrong.samples[0].map((x) => tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype })),
    );
  const op = name.split('/')[0];
  const message = new RegExp(`${op}: unknown reduction max`);
  return Object.fromEntries(
    reductions.map((reduction) => [
      `${isTop(op) ? '' : 'nn.functional.'}${name}${reduction === 'mean' ? '' : name.includes('/') ? `, ${reduction}` : `/${reduction}`}`,
      { ...make(reduction), bad: reduction === 'mean' ? [...bad, ['a reduction that is not', unknown, message]] : [] },
    ]),
  );
}

type Pairwise = (prediction: AnyTensor, target: AnyTensor, options?: { reduction?: Reduction }) => Tensor;

const integers = (shape: readonly number[]): Tensor => zeros(shape, { dtype: 'int32' }) as unknown as Tensor;

/** What every loss of two tensors of one shape refuses. */
function badPairs(op: string, call: Pairwise): Row['bad'] {
  return [
    ['shapes that differ', () => call(zeros([2, 3]), zeros([3])), new RegExp(`${op}: .*\\[2,3\\].*\\[3\\] differ`)],
    ['an integer prediction', () => call(integers([2]), zeros([2])), new RegExp(`${op}: .* must be float.*int32`)],
    ['an integer target', () => call(zeros([2]), integers([2])), new RegExp(`${op}: .* must be float.*int32`)],
    ['a number for a target', () => call(zeros([2]), 1 as unknown as Tensor), new RegExp(`${op}: .* must be a tensor`)],
    ['nothing', () => call(undefined as unknown as Tensor, zeros([2])), /must be a tensor/],
  ];
}

const pairs = [
  [spread([7]), reversed([7], -1, 3)],
  [spread([3, 5]), reversed([3, 5], -1, 3)],
  [spread([2, 3, 4], -4, 4), reversed([2, 3, 4])],
  [spread([]), spread([], 0, 3)],
];

/** A loss of two tensors of one shape. */
function pairwise(
  name: string,
  call: (prediction: Tensor, target: Tensor, reduction: Reduction) => Tensor,
  torch: (reduction: Reduction) => string,
  samples: Row['samples'] = pairs,
  more: Row['bad'] = [],
  rest: Partial<Row> = {},
): Rows {
  const op = name.split('/')[0];
  return eachReduction(
    name,
    (reduction) => ({
      call: (x: Tensor, y: Tensor) => call(x, y, reduction),
      torch: torch(reduction),
      samples,
      gradient: [0, 1],
      ...rest,
    }),
    [...badPairs(op, (x, y) => call(x as Tensor, y as Tensor, 'mean')), ...more],
  );
}

const regression: Rows = {
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
const z = (shape: readonly number[] = [2]): Tensor => zeros(shape);
const likelihood: Rows = {
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

type Classify = (x: AnyTensor, y: Labels) => Tensor;

/** What every loss over class numbers refuses. `ignoreIndex` stays at its default. */
function badLabels(op: string, call: Classify): Row['bad'] {
  const int = (values: number[], shape = [values.length]): Labels => tensor(Int32Array.from(values), { shape });
  return [
    ['a label above the classes', () => call(z([2, 3]), int([0, 3])), /3 .*position 1.*\[0, 3\)/],
    ['a negative label', () => call(z([2, 3]), int([-1, 0])), /-1 /],
    [
      'counts that differ',
      () => call(z([2, 3]), int([0, 1, 2])),
      new RegExp(`${op}: expected .*\\[2,3\\] and \\[3\\]`),
    ],
    ['a matrix of labels', () => call(z([2, 3]), int([0, 1], [2, 1])), new RegExp(`${op}: expected`)],
    ['float labels', () => call(z([2, 3]), z([2]) as unknown as Labels), new RegExp(`${op}: labels must be int32`)],
    ['integer predictions', () => call(integers([2, 3]), int([0, 1])), /must be float.*int32/],
    ['no classes', () => call(z([2, 0]), int([0, 1])), new RegExp(`${op}: .*\\[2,0\\]`)],
    ['a scalar', () => call(z([]), int([0], [])), new RegExp(`${op}: expected`)],
  ];
}

/** Inputs of every shape, with labels; where `mark` is given, some labels are that. */
function classified(mark?: number, low = -2, high = 2): Row['samples'] {
  const some = mark === undefined ? [] : [1, 4];
  return [
    [spread([4, 3], low, high), labels([4], 3, some, mark)],
    [spread([5, 7], low, high), labels([5], 7, some, mark)],
    [spread([2, 3, 4], low, high), labels([2, 4], 3, some, mark)],
    [spread([2, 3, 2, 3], low, high), labels([2, 2, 3], 3, some, mark)],
    [spread([6], low, high), labels([], 6)],
  ];
}
const withWeight = (samples: Row['samples']): Row['samples'] =>
  samples.map(([x, y]) => [x, y, spread([x.shape.length === 1 ? x.shape[0] : x.shape[1]], 0.2, 2)]);

const crossEntropyRows: Rows = {
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

const nllRows: Rows = {
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

const binaryRows: Rows = {
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

// torchvision's formula.
const focal = (alpha: number, gamma: number, reduce: string): string =>
  `(lambda p, ce: ((ce * (1 - (p * x1 + (1 - p) * (1 - x1))) ** ${String(gamma)})` +
  `${alpha >= 0 ? ` * (${String(alpha)} * x1 + (1 - ${String(alpha)}) * (1 - x1))` : ''})${reduce})` +
  `(torch.sigmoid(x0), F.binary_cross_entropy_with_logits(x0, x1, reduction='none'))`;
const reduceInTorch = { mean: '.mean()', sum: '.sum()', none: '' };
const softmaxFocal = (more: string, gamma: number): string =>
  `(lambda ce: ce * (1 - torch.exp(-ce)) ** ${String(gamma)})(F.cross_entropy(x0, x1.long(), reduction='none'${more}))`;

const focalRows: Rows = {
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

const diceRows: Rows = {
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

const logDistributions = (shape: readonly number[]): Dense =>
  dense(
    shape,
    distributions(shape).data.map((p) => Math.fround(Math.log(p))),
  );
const zeroed = (x: Dense): Dense =>
  dense(
    x.shape,
    x.data.map((value, i) => (i % 3 === 0 ? 0 : value)),
  );

const klRows: Rows = {
  ...pairwise(
    'klDiv',
    (x, y, reduction) => F.klDiv(x, y, { reduction }),
    (r) => `F.kl_div(x0, x1, reduction='${r}')`,
    [
      [spread([3, 4], -4, -0.1), distributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), distributions([2, 5, 2])],
      [spread([1, 7], -4, -0.1), distributions([1, 7])],
    ],
  ),
  ...pairwise(
    'klDiv/logTarget',
    (x, y, reduction) => F.klDiv(x, y, { reduction, logTarget: true }),
    (r) => `F.kl_div(x0, x1, reduction='${r}', log_target=True)`,
    [
      [spread([3, 4], -4, -0.1), logDistributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), logDistributions([2, 5, 2])],
      [spread([7], -4, -0.1), spread([7], -3, -0.2)],
    ],
  ),
  'nn.functional.klDiv/batchmean': {
    call: (x: Tensor, y: Tensor) => F.klDiv(x, y, { reduction: 'batchmean' }),
    torch: "F.kl_div(x0, x1, reduction='batchmean')",
    samples: [
      [spread([3, 4], -4, -0.1), distributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), distributions([2, 5, 2])],
      [spread([4, 3], -4, -0.1), zeroed(distributions([4, 3]))],
    ],
    gradient: [0],
    bad: [['a scalar', () => F.klDiv(z([]), z([]), { reduction: 'batchmean' }), /klDiv: a scalar has no batch axis/]],
  },
};

const marginRows: Rows = {
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

const ctcRows: Rows = {
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
    (reduction) =>
      ctc((x, y, a, b) => F.ctcLoss(x, y, a, b, { reduction, blank: 2 }), `reduction='${reduction}', blank=2`, [
        [spread([6, 2, 4]), int([2, 3], [1, 0, 3, 0, 0, 2]), int([2], [6, 5]), int([2], [3, 2])],
        [spread([4, 2, 3]), int([3], [1, 0, 1]), int([2], [4, 4]), int([2], [2, 1])],
        [spread([4, 3], -3, 3), int([2], [1, 1]), int([1], [4]), int([1], [2])],
      ]),
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

export const rows: Rows = {
  ...regression,
  ...likelihood,
  ...crossEntropyRows,
  ...nllRows,
  ...binaryRows,
  ...focalRows,
  ...diceRows,
  ...klRows,
  ...marginRows,
  ...ctcRows,
};

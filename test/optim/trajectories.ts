/** Optimizers and schedules that run beside PyTorch's. */
import { optim, type Tensor } from '../../lib';

export interface OptimizerRow {
  /**
   * PyTorch's optimizer over `ps`; Lion and LAMB are written out in scripts/references/optimizers.py. NAdam is the
   * `foreach` one: the other form in PyTorch 1.13 multiplies the running product by the momentum twice.
   */
  torch: string;
  make: (ps: readonly Tensor[]) => optim.Optimizer;
  /** Default both: float32 within 1e-5 of PyTorch's float64 values, float64 within 1e-8. */
  dtypes?: readonly ('float32' | 'float64')[];
}

const row = (
  torch: string,
  make: OptimizerRow['make'],
  dtypes: OptimizerRow['dtypes'] = ['float32', 'float64'],
): OptimizerRow => ({ torch, make, dtypes });

export const optimizers: Readonly<Record<string, OptimizerRow>> = {
  SGD: row('torch.optim.SGD(ps, lr=0.1)', (ps) => new optim.SGD(ps, { lr: 0.1 })),
  'SGD/momentum': row(
    'torch.optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.1)',
    (ps) => new optim.SGD(ps, { lr: 0.1, momentum: 0.9, dampening: 0.2, weightDecay: 0.1 }),
  ),
  'SGD/nesterov': row('torch.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True)', (ps) =>
    optim.sgd(ps, { lr: 0.1, momentum: 0.9, nesterov: true }),
  ),
  'SGD/groups': row(
    'torch.optim.SGD([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.01, "momentum": 0.5}], lr=0.1)',
    (ps) => new optim.SGD([{ params: ps.slice(0, 1) }, { params: ps.slice(1), lr: 0.01, momentum: 0.5 }], { lr: 0.1 }),
  ),
  Adam: row('torch.optim.Adam(ps, lr=0.1)', (ps) => optim.adam(ps, { lr: 0.1 })),
  'Adam/decay': row(
    'torch.optim.Adam(ps, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)',
    (ps) => new optim.Adam(ps, { lr: 0.1, betas: [0.8, 0.95], eps: 1e-3, weightDecay: 0.1 }),
  ),
  'Adam/amsgrad': row(
    'torch.optim.Adam(ps, lr=0.3, amsgrad=True, weight_decay=0.1)',
    (ps) => new optim.Adam(ps, { lr: 0.3, amsgrad: true, weightDecay: 0.1 }),
  ),
  AdamW: row('torch.optim.AdamW(ps, lr=0.1)', (ps) => optim.adamw(ps, { lr: 0.1 })),
  'AdamW/amsgrad': row(
    'torch.optim.AdamW(ps, lr=0.3, amsgrad=True, weight_decay=0.2)',
    (ps) => new optim.AdamW(ps, { lr: 0.3, amsgrad: true, weightDecay: 0.2 }),
  ),
  NAdam: row(
    'torch.optim.NAdam(ps, lr=0.1, weight_decay=0.1, foreach=True)',
    (ps) => new optim.NAdam(ps, { lr: 0.1, weightDecay: 0.1 }),
  ),
  RAdam: row(
    'torch.optim.RAdam(ps, lr=0.1, weight_decay=0.1)',
    (ps) => new optim.RAdam(ps, { lr: 0.1, weightDecay: 0.1 }),
  ),
  'RAdam/short': row(
    'torch.optim.RAdam(ps, lr=0.1, betas=(0.9, 0.9))',
    (ps) => new optim.RAdam(ps, { lr: 0.1, betas: [0.9, 0.9] }),
  ),
  AdaMax: row(
    'torch.optim.Adamax(ps, lr=0.1, weight_decay=0.1)',
    (ps) => new optim.AdaMax(ps, { lr: 0.1, weightDecay: 0.1 }),
  ),
  Adagrad: row(
    'torch.optim.Adagrad(ps, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.2)',
    (ps) => new optim.Adagrad(ps, { lr: 0.1, lrDecay: 0.1, weightDecay: 0.1, initialAccumulatorValue: 0.2 }),
  ),
  Adadelta: row(
    'torch.optim.Adadelta(ps, lr=0.5, weight_decay=0.1)',
    (ps) => new optim.Adadelta(ps, { lr: 0.5, weightDecay: 0.1 }),
  ),
  RMSprop: row('torch.optim.RMSprop(ps, lr=0.05)', (ps) => new optim.RMSprop(ps, { lr: 0.05 })),
  'RMSprop/centered': row(
    'torch.optim.RMSprop(ps, lr=0.02, centered=True, momentum=0.9, weight_decay=0.1)',
    (ps) => new optim.RMSprop(ps, { lr: 0.02, centered: true, momentum: 0.9, weightDecay: 0.1 }),
  ),
  Lion: row(
    'Lion(ps, lr=0.03, betas=(0.9, 0.99), weight_decay=0.1)',
    (ps) => new optim.Lion(ps, { lr: 0.03, weightDecay: 0.1 }),
  ),
  LAMB: row('Lamb(ps, lr=0.1, weight_decay=0.1)', (ps) => new optim.LAMB(ps, { lr: 0.1, weightDecay: 0.1 })),
  LBFGS: row(
    'torch.optim.LBFGS(ps, lr=0.8, max_iter=2, history_size=4)',
    (ps) => new optim.LBFGS(ps, { lr: 0.8, maxIter: 2, historySize: 4 }),
  ),
  // Near the minimum the curvature comes from differences of almost equal gradients: PyTorch's own float32 run is
  // 9e-6 away from its float64 run.
  'LBFGS/nearTheMinimum': row(
    'torch.optim.LBFGS(ps, lr=0.1, max_iter=4, history_size=3)',
    (ps) => new optim.LBFGS(ps, { lr: 0.1, maxIter: 4, historySize: 3 }),
    ['float64'],
  ),
  // Whether a loss has fallen enough is decided in its last digits: float64 only.
  'LBFGS/strongWolfe': row(
    'torch.optim.LBFGS(ps, max_iter=2, history_size=3, line_search_fn="strong_wolfe")',
    (ps) => optim.lbfgs(ps, { maxIter: 2, historySize: 3, lineSearchFn: 'strongWolfe' }),
    ['float64'],
  ),
  'LBFGS/longFirstStep': row(
    'torch.optim.LBFGS(ps, lr=40, max_iter=3, line_search_fn="strong_wolfe")',
    (ps) => optim.lbfgs(ps, { lr: 40, maxIter: 3, lineSearchFn: 'strongWolfe' }),
    ['float64'],
  ),
  'LBFGS/shortFirstStep': row(
    'torch.optim.LBFGS(ps, lr=0.01, max_iter=2, line_search_fn="strong_wolfe")',
    (ps) => optim.lbfgs(ps, { lr: 0.01, maxIter: 2, lineSearchFn: 'strongWolfe' }),
    ['float64'],
  ),
};

/** On an embedding's sparse gradients, in float64. */
export const sparse: Readonly<Record<string, OptimizerRow>> = {
  SGD: row('torch.optim.SGD(ps, lr=0.1)', (ps) => new optim.SGD(ps, { lr: 0.1 })),
  // SparseAdam adds eps before it corrects the bias.
  Adam: row('torch.optim.SparseAdam(ps, lr=0.1, betas=(0.8, 0.95), eps=1e-16)', (ps) =>
    optim.adam(ps, { lr: 0.1, betas: [0.8, 0.95], eps: 1e-16 }),
  ),
  Adagrad: row(
    'torch.optim.Adagrad(ps, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.2)',
    (ps) => new optim.Adagrad(ps, { lr: 0.1, lrDecay: 0.1, initialAccumulatorValue: 0.2 }),
  ),
};

/** Which rows of the table a step uses: some twice, some never, one step none. */
export const rowsAt = (step: number): number[] =>
  step === 4 ? [] : [step % 5, (step * 3) % 5, (step * step) % 5].slice(0, 1 + (step % 3));

export interface ScheduleRow {
  torch: string;
  make: (o: optim.SGD) => { step: (value: number) => void };
}

const losses = [1, 0.9, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.79999];
/** What the plateau schedule sees at a step. */
export const lossAt = (step: number): number => losses[step % losses.length];

export const schedules: Readonly<Record<string, ScheduleRow>> = {
  StepLR: { torch: 'S.StepLR(o, 7, gamma=0.5)', make: (o) => new optim.StepLR(o, 7, { gamma: 0.5 }) },
  MultiStepLR: {
    torch: 'S.MultiStepLR(o, [3, 9, 9], gamma=0.3)',
    make: (o) => new optim.MultiStepLR(o, [3, 9, 9], { gamma: 0.3 }),
  },
  ExponentialLR: { torch: 'S.ExponentialLR(o, 0.9)', make: (o) => new optim.ExponentialLR(o, 0.9) },
  CosineAnnealingLR: {
    torch: 'S.CosineAnnealingLR(o, 20, eta_min=0.01)',
    make: (o) => new optim.CosineAnnealingLR(o, 20, { etaMin: 0.01 }),
  },
  CosineAnnealingWarmRestarts: {
    torch: 'S.CosineAnnealingWarmRestarts(o, 5, T_mult=2, eta_min=0.01)',
    make: (o) => new optim.CosineAnnealingWarmRestarts(o, 5, { tMult: 2, etaMin: 0.01 }),
  },
  OneCycleLR: { torch: 'S.OneCycleLR(o, 0.5, total_steps=60)', make: (o) => new optim.OneCycleLR(o, 0.5, 60) },
  'OneCycleLR/linear': {
    torch: 'S.OneCycleLR(o, 0.5, total_steps=60, anneal_strategy="linear", pct_start=0.4)',
    make: (o) => new optim.OneCycleLR(o, 0.5, 60, { annealStrategy: 'linear', pctStart: 0.4 }),
  },
  LinearLR: {
    torch: 'S.LinearLR(o, start_factor=0.2, total_iters=8)',
    make: (o) => new optim.LinearLR(o, { startFactor: 0.2, totalIters: 8 }),
  },
  ConstantLR: {
    torch: 'S.ConstantLR(o, factor=0.5, total_iters=4)',
    make: (o) => new optim.ConstantLR(o, { factor: 0.5, totalIters: 4 }),
  },
  PolynomialLR: {
    torch: 'S.PolynomialLR(o, total_iters=30, power=2.0)',
    make: (o) => new optim.PolynomialLR(o, { totalIters: 30, power: 2 }),
  },
  LambdaLR: { torch: 'S.LambdaLR(o, lambda k: 1 / (1 + k))', make: (o) => new optim.LambdaLR(o, (k) => 1 / (1 + k)) },
  SequentialLR: {
    torch: 'S.SequentialLR(o, [S.ConstantLR(o, factor=0.1, total_iters=5), S.ExponentialLR(o, 0.9)], [5])',
    make: (o) =>
      new optim.SequentialLR(
        o,
        [new optim.ConstantLR(o, { factor: 0.1, totalIters: 5 }), new optim.ExponentialLR(o, 0.9)],
        [5],
      ),
  },
  'SequentialLR/three': {
    torch:
      'S.SequentialLR(o, [S.LinearLR(o, start_factor=0.1, total_iters=6), S.CosineAnnealingLR(o, 9), S.CosineAnnealingWarmRestarts(o, 4)], [6, 25])',
    make: (o) =>
      new optim.SequentialLR(
        o,
        [
          new optim.LinearLR(o, { startFactor: 0.1, totalIters: 6 }),
          new optim.CosineAnnealingLR(o, 9),
          new optim.CosineAnnealingWarmRestarts(o, 4),
        ],
        [6, 25],
      ),
  },
  ChainedScheduler: {
    torch:
      'S.ChainedScheduler([S.ConstantLR(o, factor=0.1, total_iters=4), S.ExponentialLR(o, 0.95), S.MultiStepLR(o, [20, 30])])',
    make: (o) =>
      new optim.ChainedScheduler([
        new optim.ConstantLR(o, { factor: 0.1, totalIters: 4 }),
        new optim.ExponentialLR(o, 0.95),
        new optim.MultiStepLR(o, [20, 30]),
      ]),
  },
  'ChainedScheduler/cosine': {
    torch:
      'S.ChainedScheduler([S.LinearLR(o, total_iters=10), S.CosineAnnealingLR(o, 15, eta_min=0.001), S.StepLR(o, 12)])',
    make: (o) =>
      new optim.ChainedScheduler([
        new optim.LinearLR(o, { totalIters: 10 }),
        new optim.CosineAnnealingLR(o, 15, { etaMin: 0.001 }),
        new optim.StepLR(o, 12),
      ]),
  },
  'LinearLR/down': {
    torch: 'S.LinearLR(o, start_factor=1, end_factor=0.25, total_iters=30)',
    make: (o) => new optim.LinearLR(o, { startFactor: 1, endFactor: 0.25, totalIters: 30 }),
  },
  // The last step is the one that a loop of totalSteps steps ends with.
  'OneCycleLR/threePhase': {
    torch:
      'S.OneCycleLR(o, 0.5, total_steps=50, three_phase=True, div_factor=10, final_div_factor=100, base_momentum=0.8, max_momentum=0.9)',
    make: (o) =>
      new optim.OneCycleLR(o, 0.5, 50, {
        threePhase: true,
        divFactor: 10,
        finalDivFactor: 100,
        baseMomentum: 0.8,
        maxMomentum: 0.9,
      }),
  },
  'OneCycleLR/last': { torch: 'S.OneCycleLR(o, 0.5, total_steps=50)', make: (o) => new optim.OneCycleLR(o, 0.5, 50) },
  'OneCycleLR/rateOnly': {
    torch: 'S.OneCycleLR(o, 0.5, total_steps=50, cycle_momentum=False, pct_start=0.1)',
    make: (o) => new optim.OneCycleLR(o, 0.5, 50, { cycleMomentum: false, pctStart: 0.1 }),
  },
  'ReduceLROnPlateau/max': {
    torch: 'S.ReduceLROnPlateau(o, mode="max", threshold=0.01, threshold_mode="abs", patience=3, min_lr=0.002)',
    make: (o) =>
      new optim.ReduceLROnPlateau(o, {
        mode: 'max',
        threshold: 0.01,
        thresholdMode: 'abs',
        patience: 3,
        minLr: 0.002,
      }),
  },
  'ReduceLROnPlateau/negative': {
    torch: 'Negated(o, patience=1, threshold=0.05)',
    make: (o) => {
      const schedule = new optim.ReduceLROnPlateau(o, { patience: 1, threshold: 0.05 });
      return {
        step: (value) => {
          schedule.step(-value);
        },
      };
    },
  },
  ReduceLROnPlateau: {
    torch: 'S.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1)',
    make: (o) => new optim.ReduceLROnPlateau(o, { factor: 0.5, patience: 2, cooldown: 1 }),
  },
};

export interface LineSearchRow {
  /** The loss over a tensor x, and the length to try first. */
  torch: string;
  /** The same, and its derivative. */
  loss: (t: number) => number;
  slope: (t: number) => number;
  first: number;
}

const { sin, cos, exp } = Math;
// The first three are Moré and Thuente's (1994); the others have many minima.
const curves: readonly (readonly [string, (t: number) => number, (t: number) => number])[] = [
  ['-x / (x * x + 2)', (t) => -t / (t * t + 2), (t) => (t * t - 2) / (t * t + 2) ** 2],
  [
    '(x + 0.004) ** 5 - 2 * (x + 0.004) ** 4',
    (t) => (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
    (t) => 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
  ],
  ['torch.exp(x) - 4 * x', (t) => exp(t) - 4 * t, (t) => exp(t) - 4],
  ['0.3 * x * x - torch.sin(3 * x)', (t) => 0.3 * t * t - sin(3 * t), (t) => 0.6 * t - 3 * cos(3 * t)],
  [
    '0.05 * x * x - x + 0.4 * torch.cos(4 * x)',
    (t) => 0.05 * t * t - t + 0.4 * cos(4 * t),
    (t) => 0.1 * t - 1 - 1.6 * sin(4 * t),
  ],
];

export const lineSearches: Readonly<Record<string, LineSearchRow>> = Object.fromEntries(
  curves.flatMap(([torch, loss, slope]) =>
    [0.001, 0.1, 1.7, 10, 100].map((first) => [
      `${torch}, from ${first}`,
      { torch: `${torch}; ${first}`, loss, slope, first },
    ]),
  ),
);

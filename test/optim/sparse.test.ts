/** Sparse gradients: only the rows of an embedding that were used are updated. */
import { memoryStats, nn, optim, tensor, tidy, zeros, type Tensor } from '../../lib';
import { assignRows } from '../../lib/ops/update';
import { spread } from '../ops/reference';
import { load, valuesOf } from './fixtures';
import { rowsAt, sparse } from './trajectories';
import { countTensors } from '../tensorCount';

const table = (dtype: 'float32' | 'float64', rows = 6): Tensor =>
  tensor(Float64Array.from(spread([rows, 3], -1, 1).data), { shape: [rows, 3], dtype, requiresGrad: true }) as Tensor;

function useRows(weight: Tensor, rows: readonly number[]): Tensor {
  const index = tensor(Int32Array.from(rows));
  return nn.functional.embedding(index, weight, { sparse: true }).sub(0.3).square().sum();
}

const saved = load<number[][]>('sparse');
test.each(Object.entries(sparse))("%s follows PyTorch's", (name, { torch, make }) => {
  const wanted = valuesOf(saved, name, torch);
  for (const dtype of ['float32', 'float64'] as const) {
    const weight = table(dtype);
    const optimizer = make([weight]);
    for (let step = 0; step < 10; step++) {
      optimizer.zeroGrad();
      tidy(() => {
        useRows(weight, rowsAt(step)).backward();
      });
      expect(weight.grad).toBeNull();
      optimizer.step();
      weight.dataSync().forEach((value, i) => {
        expect(Math.abs(value - wanted[step][i])).toBeLessThanOrEqual(dtype === 'float32' ? 1e-5 : 1e-8);
      });
    }
    optimizer.dispose();
  }
});

const all: readonly (readonly [string, (ps: Tensor[]) => optim.Optimizer])[] = [
  ['SGD with momentum', (ps) => optim.sgd(ps, { lr: 0.1, momentum: 0.9 })],
  ['Adam, amsgrad', (ps) => optim.adam(ps, { lr: 0.1, amsgrad: true })],
  ['AdamW', (ps) => optim.adamw(ps, { lr: 0.1 })],
  ['NAdam', (ps) => optim.nadam(ps, { lr: 0.1 })],
  ['RAdam', (ps) => optim.radam(ps, { lr: 0.1 })],
  ['AdaMax', (ps) => optim.adamax(ps, { lr: 0.1 })],
  ['Adadelta', (ps) => optim.adadelta(ps)],
  ['RMSprop, centered', (ps) => optim.rmsprop(ps, { lr: 0.1, centered: true })],
  ['Lion', (ps) => optim.lion(ps, { lr: 0.1 })],
  ['LAMB', (ps) => optim.lamb(ps, { lr: 0.1 })],
];

test.each(all)('%s: the rows are those of a dense update of them alone, the others stay', (_, make) => {
  const whole = table('float32');
  const before = whole.dataSync().slice();
  const rows = tensor(
    [1, 4].map((row) => [...before.slice(3 * row, 3 * row + 3)]),
    { requiresGrad: true },
  );
  const [lazy, dense] = [make([whole]), make([rows])];
  for (let step = 0; step < 4; step++) {
    lazy.zeroGrad();
    dense.zeroGrad();
    useRows(whole, [4, 1, 4]).backward();
    const weights = tensor([[1], [2]]);
    rows.sub(0.3).square().mul(weights).sum().backward();
    lazy.step();
    dense.step();
  }
  const after = whole.dataSync();
  const expected = rows.dataSync();
  for (const [row, at] of [0, 1, 2, 3, 4, 5].map((n) => [n, [1, 4].indexOf(n)])) {
    for (let i = 0; i < 3; i++) {
      if (at < 0) expect(after[3 * row + i]).toBe(before[3 * row + i]);
      else expect(after[3 * row + i]).toBeCloseTo(expected[3 * at + i], 5);
    }
  }
});

test('a table used sparsely and densely is updated once, by the sum', () => {
  const [both, dense] = [table('float32'), table('float32')];
  const [a, b] = [optim.adam([both], { lr: 0.1 }), optim.adam([dense], { lr: 0.1 })];
  for (let step = 0; step < 3; step++) {
    a.zeroGrad();
    b.zeroGrad();
    useRows(both, [1, 1, 3]).add(both.square().sum()).backward();
    const index = tensor(Int32Array.of(1, 1, 3));
    nn.functional.embedding(index, dense).sub(0.3).square().sum().add(dense.square().sum()).backward();
    expect(both.sparseGrad).not.toBeNull();
    a.step();
    b.step();
  }
  dense.dataSync().forEach((value, i) => {
    expect(both.dataSync()[i]).toBeCloseTo(value, 5);
  });
});

test('LBFGS takes sparse gradients as a whole', () => {
  const losses = [true, false].map((isSparse) => {
    const weight = table('float64');
    const optimizer = new optim.LBFGS([weight], { lineSearchFn: 'strongWolfe', maxIter: 5 });
    const index = tensor(Int32Array.of(0, 2, 2));
    const closure = (): Tensor => {
      optimizer.zeroGrad();
      const loss = nn.functional.embedding(index, weight, { sparse: isSparse }).sub(0.3).square().sum();
      loss.backward();
      return loss;
    };
    optimizer.step(closure);
    return optimizer.step(closure);
  });
  expect(losses[0]).toBe(losses[1]);
  expect(losses[0]).toBeLessThan(1e-10);
});

test('clipping sees sparse gradients; zeroGrad drops them; nothing is left over', () => {
  const weight = table('float32');
  const optimizer = optim.adam([weight]);
  const round = (): void => {
    tidy(() => {
      useRows(weight, [0, 5]).backward();
      const norm = optim.clipGradNorm([weight], 0.5);
      expect(norm).toBeGreaterThan(0.5);
      expect(optim.clipGradNorm([weight], 0.5)).toBeCloseTo(0.5, 5);
      optim.clipGradValue([weight], 0.1);
      expect(Math.max(...(weight.sparseGrad?.values as Tensor).abs().dataSync())).toBeLessThanOrEqual(0.1 + 1e-7);
      optimizer.step();
      optimizer.zeroGrad();
    });
  };
  round();
  const before = countTensors();
  for (let i = 0; i < 5; i++) round();
  expect(weight.sparseGrad).toBeNull();
  expect(memoryStats().tensors).toBe(before);
});

test('assignRows copies rows and refuses what does not fit', () => {
  const target = zeros([4, 2]);
  assignRows(
    target,
    tensor(Int32Array.of(2, 0)),
    tensor([
      [1, 2],
      [3, 4],
    ]),
  );
  expect(target.toArray()).toEqual([
    [3, 4],
    [0, 0],
    [1, 2],
    [0, 0],
  ]);
  const index = (...rows: number[]): Tensor<'int32'> => tensor(Int32Array.from(rows));
  const bad: readonly (readonly [() => void, RegExp])[] = [
    [
      () => {
        assignRows(target, index(4), tensor([[1, 2]]));
      },
      /assignRows: index 4 at position 0 is outside \[0, 4\)/,
    ],
    [
      () => {
        assignRows(target, index(-1), tensor([[1, 2]]));
      },
      /assignRows: index -1/,
    ],
    [
      () => {
        assignRows(target, index(0, 1), tensor([[1, 2]]));
      },
      /one entry per row/,
    ],
    [
      () => {
        assignRows(target, index(0), tensor([[1, 2, 3]]));
      },
      /row shapes differ/,
    ],
    [
      () => {
        assignRows(target.transpose(0, 1), index(0), tensor([[1, 2, 3, 4]]));
      },
      /must be contiguous/,
    ],
    [
      () => {
        assignRows(target, index(0), tensor([[1, 2]], { dtype: 'float64' }) as unknown as Tensor);
      },
      /dtypes differ/,
    ],
  ];
  for (const [call, message] of bad) expect(call).toThrow(message);
  expect(target.toArray()).toEqual([
    [3, 4],
    [0, 0],
    [1, 2],
    [0, 0],
  ]);
});

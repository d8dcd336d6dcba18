/** Recurrent layers beyond the operator table and the trajectories: both ways of computing them, lengths, states. */
import {
  cast,
  gradients,
  keep,
  manualSeed,
  memoryStats,
  nn,
  noGrad,
  numThreads,
  optim,
  rand,
  randn,
  setNumThreads,
  tensor,
  tidy,
  zeros,
  type AnyTensor,
  type Tensor,
} from '../../lib';
import { checkLengths, recurrentLayer, type CellKind } from '../../lib/ops/recurrent';
import { expectClose, scalarOf, values } from './compare';

const kinds: readonly CellKind[] = ['lstm', 'gru', 'tanh', 'relu'];
const gates: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, tanh: 1, relu: 1 };

interface Problem {
  readonly kind: CellKind;
  readonly lengths: readonly number[];
  readonly reverse: boolean;
  /** projections, h0, weight, then c0 or the hidden bias. */
  readonly inputs: readonly Tensor[];
}

/** Rows of all lengths, 0 included, in no order. */
function problem(kind: CellKind, steps: number, n: number, hidden: number, reverse = false): Problem {
  const rows = gates[kind] * hidden;
  const inputs = [randn([steps, n, rows]), randn([n, hidden]), randn([rows, hidden]).mul(1 / Math.sqrt(hidden))];
  if (kind === 'lstm') inputs.push(randn([n, hidden]));
  if (kind === 'gru') inputs.push(randn([hidden]));
  return { kind, lengths: Array.from({ length: n }, (_, i) => (i * 7) % (steps + 1)), reverse, inputs };
}

/** y, h and for an LSTM c. */
function results({ kind, lengths, reverse }: Problem, inputs: readonly Tensor[]): Tensor[] {
  const [projections, h0, weight, last] = inputs;
  const { y, h, c } = recurrentLayer(kind, {
    projections,
    h0,
    weight,
    c0: kind === 'lstm' ? last : null,
    hiddenBias: kind === 'gru' ? last : null,
    lengths: checkLengths('test', lengths, h0.shape[0], projections.shape[0], h0),
    reverse,
  });
  return c === null ? [y, h] : [y, h, c];
}

function leaves(inputs: readonly Tensor[], dtype: 'float32' | 'float64'): Tensor[] {
  return inputs.map((x) => {
    const leaf = cast(x, dtype) as AnyTensor as Tensor;
    leaf.requiresGrad = true;
    return leaf;
  });
}

describe.each(kinds)('%s: the fused kernel and single steps in float64', (kind) => {
  test.each([
    ['forward', [7, 37, 33], false],
    ['backward in time', [7, 37, 33], true],
    ['one step', [1, 5, 16], false],
    ['one row', [9, 1, 40], false],
    ['a width that is a multiple of the cache sets', [3, 4, 256], false],
  ] as const)('agree: %s', (_, [steps, n, hidden], reverse) => {
    manualSeed(1);
    tidy(() => {
      const p = problem(kind, steps, n, hidden, reverse);
      const lengths = n === 1 ? [steps] : p.lengths;
      const [fused, single] = (['float32', 'float64'] as const).map((dtype) => {
        const inputs = leaves(p.inputs, dtype);
        const outputs = results({ ...p, lengths }, inputs);
        return { outputs, grads: gradients(scalarOf(outputs), inputs) };
      });
      fused.outputs.forEach((out, i) => {
        expectClose(out, single.outputs[i]);
      });
      // Sums over all steps and rows, which are rounded more often.
      fused.grads.forEach((grad, i) => {
        expectClose(grad, single.grads[i], 5e-5);
      });
    });
  });

  test('agree in the gradients of single results', () => {
    manualSeed(2);
    tidy(() => {
      const p = problem(kind, 5, 6, 9);
      for (let i = 0; i < (kind === 'lstm' ? 3 : 2); i++) {
        const [fused, single] = (['float32', 'float64'] as const).map((dtype) => {
          const inputs = leaves(p.inputs, dtype);
          return gradients(scalarOf([results(p, inputs)[i]]), inputs);
        });
        fused.forEach((grad, j) => {
          expectClose(grad, single[j], 2e-5);
        });
      }
    });
  });

  test('agree in second derivatives', () => {
    manualSeed(3);
    tidy(() => {
      const p = problem(kind, 4, 5, 6);
      const [fused, single] = (['float32', 'float64'] as const).map((dtype) => {
        const inputs = leaves(p.inputs, dtype);
        const first = gradients(scalarOf(results(p, inputs)), inputs, { createGraph: true });
        return gradients(scalarOf(first.map((grad) => grad.square())), inputs);
      });
      fused.forEach((grad, i) => {
        expectClose(grad, single[i], 1e-4);
      });
    });
  });

  test('gives the same bits whatever the number of threads, recorded or not', () => {
    manualSeed(4);
    const before = numThreads();
    tidy(() => {
      const p = problem(kind, 12, 50, 48);
      const run = (threads: number): number[][] => {
        setNumThreads(threads);
        const inputs = leaves(p.inputs, 'float32');
        const outputs = results(p, inputs);
        return [...outputs, ...gradients(scalarOf(outputs), inputs).slice(0, 2)].map(values);
      };
      const one = run(1);
      for (const threads of [2, 3, 5]) expect(run(threads)).toEqual(one);
      const unrecorded = noGrad(() => results(p, p.inputs)).map(values);
      expect(unrecorded).toEqual(one.slice(0, unrecorded.length));
    });
    setNumThreads(before);
  });
});

describe('lengths', () => {
  test.each(['LSTM', 'GRU', 'RNN'] as const)('%s: what stands beyond them changes nothing', (name) => {
    manualSeed(5);
    const model = new nn[name](3, 5, { numLayers: 2, bidirectional: true });
    const lengths = [2, 6, 0, 3];
    const x = randn([6, 4, 3]);
    const valid = tensor(Float32Array.from({ length: 24 }, (_, i) => Number(Math.floor(i / 4) < lengths[i % 4])));
    const mask = valid.reshape([6, 4, 1]);
    const run = (padding: number) => {
      const input = x.mul(mask).add(mask.sub(1).mul(padding)).detach();
      input.requiresGrad = true;
      model.zeroGrad();
      const { output, state } = model.run(input, { lengths });
      scalarOf([output, state.h]).backward();
      const grads = model.parameters().map((p) => values(p.grad as Tensor));
      return { output: values(output), h: values(state.h), grads, dx: input.grad as Tensor };
    };
    const plain = run(0);
    const filled = run(1e3);
    expect(filled.output).toEqual(plain.output);
    expect(filled.h).toEqual(plain.h);
    expect(filled.grads).toEqual(plain.grads);
    expect(filled.dx.abs().sum().item()).toBeGreaterThan(0);
    expect(values(mask.sub(1).mul(filled.dx).abs().sum())).toEqual([0]);
    model.dispose();
  });

  test('a row gives what it gives alone and unpadded; a row without steps keeps its state', () => {
    manualSeed(6);
    const model = nn.lstm(3, 4, { numLayers: 2, bidirectional: true, batchFirst: true });
    const x = randn([3, 5, 3]);
    const state = { h: randn([4, 3, 4]), c: randn([4, 3, 4]) };
    const lengths = Int32Array.from([3, 0, 5]);
    const all = model.run(x, { lengths, state });
    for (const row of [0, 2]) {
      const part = [row, row + 1] as const;
      const alone = model.run(x.slice(part, [0, lengths[row]]), {
        state: { h: state.h.slice(null, part), c: state.c.slice(null, part) },
      });
      expectClose(all.output.slice(part, [0, lengths[row]]), alone.output, 1e-6);
      expectClose(all.state.h.slice(null, part), alone.state.h, 1e-6);
      expectClose((all.state.c as Tensor).slice(null, part), alone.state.c as Tensor, 1e-6);
      expect(values(all.output.slice(row, [lengths[row], null])).every((v) => v === 0)).toBe(true);
    }
    expect(values(all.output.slice(1)).every((v) => v === 0)).toBe(true);
    expect(values(all.state.h.slice(null, 1))).toEqual(values(state.h.slice(null, 1)));
    expect(values((all.state.c as Tensor).slice(null, 1))).toEqual(values(state.c.slice(null, 1)));
    model.dispose();
  });

  test('packed sequences carry them', () => {
    manualSeed(7);
    const model = nn.gru(3, 4, { batchFirst: true });
    const x = randn([3, 6, 3]);
    const lengths = [2, 4, 3];
    const packed = nn.packPaddedSequence(x, tensor(Int32Array.from(lengths)), { batchFirst: true });
    const { output, state } = model.run(packed);
    const plain = model.run(x, { lengths });
    expect(values(state.h)).toEqual(values(plain.state.h));
    const padded = nn.padPackedSequence(output, { batchFirst: true });
    expect(values(padded.lengths)).toEqual(lengths);
    expect(padded.data.shape).toEqual([3, 4, 4]);
    expect(values(padded.data)).toEqual(values(plain.output.slice(null, [0, 4])));
    const longer = nn.padPackedSequence(output, { paddingValue: -7, totalLength: 9 }).data;
    expect(longer.shape).toEqual([9, 3, 4]);
    expect(values(longer.slice([4, null])).every((v) => v === -7)).toBe(true);
    expect(values(longer.slice([2, null], 0)).every((v) => v === -7)).toBe(true);
    expect(values(longer.slice([0, 2], 0))).toEqual(values(plain.output.slice(0, [0, 2])));
    // What was packed comes back, but for what stood beyond the lengths.
    const back = nn.padPackedSequence(packed).data;
    expect(values(back.slice([0, 2], 0))).toEqual(values(x.slice(0, [0, 2])));
    expect(values(back.slice([2, 4], 0)).every((v) => v === 0)).toBe(true);
    model.dispose();
  });
});

describe('layers', () => {
  test('have the parameters of PyTorch, in ±1/√hidden', () => {
    const model = nn.lstm(3, 16, { numLayers: 2, bidirectional: true });
    const shapes = Object.fromEntries([...model.namedParameters()].map(([name, p]) => [name, p.shape]));
    expect(shapes).toEqual({
      weight_ih_l0: [64, 3],
      weight_hh_l0: [64, 16],
      bias_ih_l0: [64],
      bias_hh_l0: [64],
      weight_ih_l0_reverse: [64, 3],
      weight_hh_l0_reverse: [64, 16],
      bias_ih_l0_reverse: [64],
      bias_hh_l0_reverse: [64],
      weight_ih_l1: [64, 32],
      weight_hh_l1: [64, 16],
      bias_ih_l1: [64],
      bias_hh_l1: [64],
      weight_ih_l1_reverse: [64, 32],
      weight_hh_l1_reverse: [64, 16],
      bias_ih_l1_reverse: [64],
      bias_hh_l1_reverse: [64],
    });
    for (const p of model.parameters()) {
      expect(p.abs().max().item()).toBeLessThanOrEqual(0.25);
      expect(p.abs().max().item()).toBeGreaterThan(0.2);
    }
    expect([...nn.gru(3, 4, { bias: false }).namedParameters()].map(([name]) => name)).toEqual([
      'weight_ih_l0',
      'weight_hh_l0',
    ]);
    model.dispose();
  });

  test('drop between them, not after the last, and only in training', () => {
    const model = nn.lstm(3, 8, { numLayers: 2, dropout: 0.5 });
    const [first, second] = [nn.lstm(3, 8), nn.lstm(8, 8)];
    const state = model.stateDict();
    const names = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'];
    for (const [level, layer] of [first, second].entries()) {
      layer.loadStateDict(Object.fromEntries(names.map((n) => [`${n}_l0`, state[`${n}_l${String(level)}`]])));
    }
    const x = randn([5, 4, 3]);
    manualSeed(8);
    const dropped = model.forward(x);
    manualSeed(8);
    const byHand = second.forward(nn.functional.dropout(first.forward(x), 0.5, { training: true }));
    expect(values(dropped)).toEqual(values(byHand));
    model.eval();
    expect(values(model.forward(x))).toEqual(values(second.forward(first.forward(x))));
    expect(values(model.forward(x))).not.toEqual(values(dropped));
    for (const m of [model, first, second]) m.dispose();
  });

  test('take a sequence of layers and give one', () => {
    const model = nn.sequential(
      nn.lstm(3, 4, { batchFirst: true }),
      nn.gru(4, 5, { batchFirst: true }),
      nn.linear(5, 2),
    );
    expect(model.forward(zeros([6, 7, 3])).shape).toEqual([6, 7, 2]);
    expect(Object.keys(model.stateDict()).slice(0, 5)).toEqual([
      '0.weight_ih_l0',
      '0.weight_hh_l0',
      '0.bias_ih_l0',
      '0.bias_hh_l0',
      '1.weight_ih_l0',
    ]);
    model.dispose();
  });

  test('an empty batch gives an empty result and zero gradients', () => {
    const model = nn.gru(3, 4);
    const { output, state } = model.run(zeros([5, 0, 3]));
    expect(output.shape).toEqual([5, 0, 4]);
    expect(state.h.shape).toEqual([1, 0, 4]);
    output.sum().backward();
    for (const p of model.parameters()) expect(values(p.grad as Tensor).every((v) => v === 0)).toBe(true);
    model.dispose();
  });

  test('a graph that is kept gives the same gradients again', () => {
    manualSeed(9);
    const model = nn.lstm(3, 4);
    const loss = scalarOf([model.forward(randn([5, 2, 3]))]);
    loss.backward({ retainGraph: true });
    const once = model.parameters().map((p) => (p.grad as Tensor).mul(2));
    loss.backward();
    model.parameters().forEach((p, i) => {
      expect(values(p.grad as Tensor)).toEqual(values(once[i]));
    });
    model.dispose();
  });

  test('NaN in one row stays in that row', () => {
    const model = nn.lstm(3, 4);
    const x = randn([4, 20, 3]);
    const spoiled = x.add(zeros([1, 20, 1]).add(tensor([...new Array<number>(19).fill(0), NaN]).reshape([1, 20, 1])));
    const clean = model.forward(x);
    const result = model.forward(spoiled);
    expect(values(result.slice(null, [0, 19]))).toEqual(values(clean.slice(null, [0, 19])));
    expect(values(result.slice(null, 19)).every(Number.isNaN)).toBe(true);
    model.dispose();
  });

  test('training gives all memory back', () => {
    manualSeed(10);
    const model = nn.lstm(8, 16, { numLayers: 2, bidirectional: true, dropout: 0.1 });
    const x = keep(randn([10, 6, 8]));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const step = (): void => {
      tidy(() => {
        optimizer.zeroGrad();
        model
          .run(x, { lengths: [1, 4, 10, 2, 9, 7] })
          .state.h.square()
          .sum()
          .backward();
        optimizer.step();
      });
    };
    step();
    const before = memoryStats();
    for (let i = 0; i < 5; i++) step();
    const after = memoryStats();
    expect(after.tensors).toBe(before.tensors);
    expect(after.allocatedBytes).toBe(before.allocatedBytes);
    x.dispose();
    model.dispose();
  });
});

test.each(['LSTM', 'GRU', 'RNN'] as const)('%s learns what came first in rows of different lengths', (name) => {
  manualSeed(12);
  const model = new nn[name](2, 16, {});
  const output = nn.linear(16, 1);
  const optimizer = new optim.Adam([...model.parameters(), ...output.parameters()], { lr: 0.01 });
  const batch = () => {
    const x = rand([12, 32, 2], { range: [-1, 1] });
    const lengths = Array.from({ length: 32 }, (_, i) => 1 + (i % 12));
    const labels = cast(x.slice(0, null, 0).greater(0), 'float32');
    return { logits: output.forward(model.run(x, { lengths }).state.h.squeeze(0)).squeeze(1), labels };
  };
  for (let step = 0; step < 250; step++) {
    tidy(() => {
      const { logits, labels } = batch();
      optimizer.zeroGrad();
      nn.functional.binaryCrossEntropyWithLogits(logits, labels).backward();
      optim.clipGradNorm(optimizer.parameters, 1);
      optimizer.step();
    });
  }
  const right = tidy(() => {
    const { logits, labels } = batch();
    return cast(logits.greater(0), 'float32').equal(labels).sum().item();
  });
  expect(right).toBeGreaterThanOrEqual(29);
  model.dispose();
  output.dispose();
});

test('a projection may come from anywhere: views and broadcasts are read as they lie', () => {
  manualSeed(13);
  const weight = randn([6, 2]);
  const run = (projections: Tensor): number[] =>
    values(
      recurrentLayer('gru', {
        projections: projections.slice(null, null, [0, 6]),
        weight,
        hiddenBias: null,
        h0: zeros([1, 2]).expand([4, 2]),
        c0: null,
        lengths: checkLengths('test', undefined, 4, 5, weight),
        reverse: false,
      }).y,
    );
  const x = randn([4, 5, 9]);
  expect(run(x.transpose(0, 1))).toEqual(run(x.transpose(0, 1).contiguous()));
});

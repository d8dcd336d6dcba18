/** Recurrent layers: the fused kernels against the steps one by one, gradients to second order, lengths, errors. */
import { checkGradients, checkSecondOrder, cast, gradients, nn, randn, Generator, zeros, type Tensor } from '../../lib';
import { recurrentLayer, type CellKind, type RecurrentInputs } from '../../lib/ops/recurrent';
import { checkLengths } from '../../lib/ops/recurrent';

const generator = new Generator(7);
const draw = (shape: readonly number[]): Tensor => randn(shape, { generator, std: 0.5 });
const gates: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, tanh: 1, relu: 1 };
const kinds: readonly CellKind[] = ['lstm', 'gru', 'tanh', 'relu'];

function inputsOf(kind: CellKind, steps: number, n: number, hidden: number) {
  const rows = gates[kind] * hidden;
  return {
    projections: draw([steps, n, rows]),
    weight: draw([rows, hidden]),
    h0: draw([n, hidden]),
    c0: kind === 'lstm' ? draw([n, hidden]) : null,
    hiddenBias: kind === 'gru' ? draw([hidden]) : null,
  };
}

type Parts = ReturnType<typeof inputsOf>;
const names = ['projections', 'weight', 'h0', 'c0', 'hiddenBias'] as const;

/** The weighted sum of all results. */
function total(kind: CellKind, parts: Parts, lengths: readonly number[], reverse: boolean): Tensor {
  const [steps, n] = parts.projections.shape;
  const x: RecurrentInputs = { ...parts, lengths: checkLengths('test', lengths, n, steps), reverse };
  const { y, h, c } = recurrentLayer(kind, x);
  const sum = y.mul(y.add(1)).sum().add(h.square().sum());
  return c === null ? sum : sum.add(c.mul(3).sum());
}

describe.each(kinds)('%s', (kind) => {
  describe.each([false, true])('reverse %s', (reverse) => {
    test.each([
      ['full', 5, 3, 9, [5, 5, 5]],
      ['padded', 6, 4, 17, [2, 6, 0, 3]],
      ['many rows', 3, 20, 8, Array.from({ length: 20 }, (_, i) => i % 4)],
    ])('the fused kernel agrees with the steps one by one, %s', (_, steps, n, hidden, lengths) => {
      const parts = inputsOf(kind, steps, n, hidden);
      const used = names.filter((name) => parts[name] !== null);
      const run = (dtype: 'float32' | 'float64'): { value: number; grads: Float64Array[] } => {
        const leaves = Object.fromEntries(
          names.map((name) => {
            const part = parts[name];
            if (part === null) return [name, null];
            const leaf = cast(part, dtype).detach();
            leaf.requiresGrad = true;
            return [name, leaf];
          }),
        ) as unknown as Parts;
        const value = total(kind, leaves, lengths, reverse);
        const grads = gradients(
          value,
          used.map((name) => leaves[name] as Tensor),
        );
        return { value: value.item(), grads: grads.map((g) => Float64Array.from(g.dataSync())) };
      };
      const [fused, plain] = [run('float32'), run('float64')];
      expect(Math.abs(fused.value - plain.value)).toBeLessThan(1e-4 * Math.max(1, Math.abs(plain.value)));
      fused.grads.forEach((g, i) => {
        const scale = Math.max(1, ...plain.grads[i].map(Math.abs));
        g.forEach((value, j) => {
          expect(Math.abs(value - plain.grads[i][j])).toBeLessThan(2e-5 * scale);
        });
      });
    });

    test('gradient: finite differences, first and second order', () => {
      const parts = inputsOf(kind, 3, 2, 2);
      const used = names.filter((name) => parts[name] !== null);
      used.forEach((name) => {
        const fn = (x: Tensor): Tensor => {
          const doubles = Object.fromEntries(
            names.map((other) => {
              const part = parts[other];
              return [other, other === name ? x : part === null ? null : cast(part, 'float64')];
            }),
          ) as unknown as Parts;
          return total(kind, doubles, [3, 2], reverse);
        };
        checkGradients(`${kind}, ${name}`, fn, [parts[name] as Tensor]);
        checkSecondOrder(`${kind}, ${name}`, fn, [parts[name] as Tensor]);
      });
    });
  });

  test('the fused kernel has higher derivatives too', () => {
    const parts = inputsOf(kind, 3, 2, 3);
    const second = (dtype: 'float32' | 'float64'): number[] => {
      const x = cast(parts.projections, dtype).detach();
      x.requiresGrad = true;
      const doubles = Object.fromEntries(
        names.map((name) => {
          const part = parts[name];
          return [name, part === null ? null : cast(part, dtype)];
        }),
      ) as unknown as Parts;
      const value = total(kind, { ...doubles, projections: x as Tensor }, [3, 2], false);
      const [first] = gradients(value, [x], { createGraph: true });
      return Array.from(gradients(first.square().sum(), [x])[0].dataSync(), Number);
    };
    const [fused, plain] = [second('float32'), second('float64')];
    fused.forEach((value, i) => {
      expect(Math.abs(value - plain[i])).toBeLessThan(1e-4 * Math.max(1, Math.abs(plain[i])));
    });
  });
});

describe('layers', () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      'another input size',
      () => nn.lstm(3, 2).forward(zeros([4, 2, 5])),
      /LSTM\(3, 2\): expected an input of shape \[steps, n, 3\], got \[4,2,5\]/,
    ],
    ['a matrix', () => nn.gru(3, 2, { batchFirst: true }).forward(zeros([4, 3])), /\[n, steps, 3\], got \[4,3\]/],
    [
      'too many lengths',
      () => nn.rnn(3, 2).run(zeros([4, 2, 3]), { lengths: [1, 2, 3] }),
      /one entry for each of the 2 rows, got 3/,
    ],
    [
      'a length beyond the steps',
      () => nn.rnn(3, 2).run(zeros([4, 2, 3]), { lengths: [1, 5] }),
      /length 5 of row 1 is outside \[0, 4\]/,
    ],
    [
      'a state of another shape',
      () => nn.lstm(3, 2).run(zeros([4, 2, 3]), { state: { h: zeros([2, 2]) } }),
      /state.h \[2,2\] must have shape \[1,2,2\]/,
    ],
    ['an unknown nonlinearity', () => nn.rnn(3, 2, { nonlinearity: 'sin' as 'tanh' }), /unknown nonlinearity sin/],
    ['no layers', () => nn.lstm(3, 2, { numLayers: 0 }), /numLayers must be an integer in/],
    [
      'a cell input of another size',
      () => new nn.GRUCell(3, 2).forward(zeros([4, 2])),
      /GRUCell: expected an input of shape \[n, 3\]/,
    ],
    ['a packed matrix', () => nn.packPaddedSequence(zeros([4, 2]), [1, 1]), /expected \[steps, n, features\]/],
  ])('refuse %s', (_, attempt, message) => {
    expect(attempt).toThrow(message);
  });

  test('padding changes nothing', () => {
    const layer = nn.lstm(3, 4, { bidirectional: true, batchFirst: true });
    const short = draw([1, 2, 3]);
    const padded = short.pad([0, 0, 0, 5], { value: 99 });
    const a = layer.run(short);
    const b = layer.run(padded, { lengths: [2] });
    expect(b.state.h.toArray()).toEqual(a.state.h.toArray());
    expect(b.output.slice(null, [0, 2]).toArray()).toEqual(a.output.toArray());
    expect(b.output.slice(null, [2]).sum().item()).toBe(0);
    const { data, lengths } = nn.padPackedSequence(nn.packPaddedSequence(padded, [2], { batchFirst: true }), {
      batchFirst: true,
    });
    expect(data.shape).toEqual(padded.shape);
    expect(lengths.toArray()).toEqual([2]);
  });
});

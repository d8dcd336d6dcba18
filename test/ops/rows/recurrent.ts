/** Rows of the recurrent layers: their gradients with respect to all they take, and what they refuse. */
import { concat, linear, nn, stack, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { checkLengths, recurrentLayer, type CellKind } from '../../../lib/ops/recurrent';
import { dense, spread, type Dense } from '../reference';
import type { Row, Rows } from '../row';
import { disposed, int32 } from './build';

const gates: Readonly<Record<CellKind, number>> = { lstm: 4, gru: 3, tanh: 1, relu: 1 };

/** x, lengths, both weights, both biases (or one for a layer without), h0 and for an LSTM c0: [2, n, hidden]. */
function sample(kind: CellKind, [steps, n, features, hidden]: readonly number[], lengths: number[]): Dense[] {
  const rows = gates[kind] * hidden;
  const inputs = [
    spread([steps, n, features]),
    dense([n], lengths, 'int32'),
    spread([rows, features], -0.7, 0.8),
    spread([rows, hidden], -0.6, 0.9),
    spread([rows], -0.5, 0.4),
    spread([rows], -0.3, 0.6),
    spread([2, n, hidden], -1, 1),
  ];
  return kind === 'lstm' ? [...inputs, spread([2, n, hidden], -2, 1)] : inputs;
}

/** Both directions of a layer with the same weights. */
function bothWays(kind: CellKind) {
  return (x: Tensor, lengths: AnyTensor, ...[wih, whh, bih, bhh, h0, c0]: Tensor[]): Tensor[] => {
    const hidden = whh.shape[1];
    const inner = kind === 'gru' ? bhh.slice([2 * hidden, null]) : null;
    const outer = kind === 'gru' ? bhh.slice([0, 2 * hidden]).pad([0, hidden]) : bhh;
    const results = [false, true].map((reverse) =>
      recurrentLayer(kind, {
        projections: linear(x, wih, bih.add(outer)),
        weight: whh,
        hiddenBias: inner,
        h0: h0.slice(Number(reverse)),
        c0: kind === 'lstm' ? c0.slice(Number(reverse)) : null,
        lengths: checkLengths('test', lengths, x.shape[1], x.shape[0], x),
        reverse,
      }),
    );
    const y = concat(
      results.map((result) => result.y),
      -1,
    );
    const h = stack(results.map((result) => result.h));
    return kind === 'lstm' ? [y, h, stack(results.map(({ c }) => c as Tensor))] : [y, h];
  };
}

/** PyTorch's function behind the module; it takes packed rows and their states in their order. */
function torchOf(name: string, states: readonly string[]): string {
  const sorted = states.map((state) => `${state}[:, p.sorted_indices]`).join(', ');
  const packed = 'nn.utils.rnn.PackedSequence(r[0], p.batch_sizes, p.sorted_indices, p.unsorted_indices)';
  const finals = states.map((_, i) => `r[${String(i + 1)}][:, p.unsorted_indices]`).join(', ');
  return (
    `(lambda p: (lambda r: (nn.utils.rnn.pad_packed_sequence(${packed}, total_length=len(x0))[0], ${finals}))(` +
    `torch._VF.${name}(p.data, p.batch_sizes, ${states.length > 1 ? `(${sorted})` : sorted}, ` +
    '[x2, x3, x4, x5] * 2, True, 1, 0.0, False, True)))(' +
    'nn.utils.rnn.pack_padded_sequence(x0, x1.long(), enforce_sorted=False))'
  );
}

function row(kind: CellKind, torch: string, bad: Row['bad'] = []): Row {
  return {
    call: bothWays(kind),
    torch,
    samples: [
      sample(kind, [4, 3, 2, 3], [2, 4, 1]),
      sample(kind, [3, 2, 4, 17], [3, 3]),
      sample(kind, [1, 1, 1, 1], [1]),
      sample(
        kind,
        [2, 19, 1, 4],
        [...new Array<number>(19).keys()].map((i) => 1 + (i % 2)),
      ),
    ],
    gradient: 'all',
    gradientSamples: [sample(kind, [3, 2, 1, 2], [2, 3])],
    bad,
  };
}

const unit = (): Tensor => zeros([4, 3, 2]);
const small = (): nn.LSTM => nn.lstm(2, 3);

export const rows: Rows = {
  'nn.LSTM': row('lstm', torchOf('lstm', ['x6', 'x7']), [
    ['no tensor', () => small().forward(3 as unknown as Tensor), /LSTM: x must be a tensor/],
    ['a disposed tensor', () => small().forward(disposed([4, 3, 2])), /disposed/],
    ['integers', () => small().forward(int32(1, 2)), /LSTM: x must be float32 or float64/],
    ['a matrix', () => small().forward(zeros([4, 2])), /LSTM\(2, 3\): expected .*\[steps, n, 2\], got \[4,2\]/],
    ['other features', () => small().forward(zeros([4, 3, 5])), /expected .*\[steps, n, 2\], got \[4,3,5\]/],
    [
      'other features, batch first',
      () => nn.lstm(2, 3, { batchFirst: true }).forward(zeros([4, 3, 5])),
      /expected .*\[n, steps, 2\], got \[4,3,5\]/,
    ],
    ['no steps', () => small().forward(zeros([0, 3, 2])), /\[0,3,2\] has no steps/],
    [
      'a length too many',
      () => small().run(unit(), { lengths: [1, 2, 3, 4] }),
      /one entry for each of the 3 rows, got 4/,
    ],
    ['a length beyond the steps', () => small().run(unit(), { lengths: [1, 5, 3] }), /length 5 of row 1 .*\[0, 4\]/],
    ['a negative length', () => small().run(unit(), { lengths: int32(1, 2, -1) }), /length -1 of row 2 .*\[0, 4\]/],
    [
      'half a step',
      () => small().run(unit(), { lengths: [1, 2.5, 3] }),
      /length 2.5 of row 1 is not a number of steps/,
    ],
    ['a length that wraps', () => small().run(unit(), { lengths: [1, 2 ** 32 + 1, 3] }), /4294967297 of row 1/],
    ['float lengths', () => small().run(unit(), { lengths: zeros([3]) }), /lengths must be integers, .* got float32/],
    ['a matrix of lengths', () => small().run(unit(), { lengths: int32(1, 2, 3).unsqueeze(0) }), /must be a vector/],
    ['a number for lengths', () => small().run(unit(), { lengths: 3 as unknown as number[] }), /must be an array/],
    [
      'a state of another shape',
      () => small().run(unit(), { state: { h: zeros([3, 3]) } }),
      /LSTM: state.h \[3,3\] must have shape \[1,3,3\]/,
    ],
    [
      'a cell state of another shape',
      () => small().run(unit(), { state: { h: zeros([1, 3, 3]), c: zeros([1, 3, 4]) } }),
      /LSTM: state.c \[1,3,4\] must have shape \[1,3,3\]/,
    ],
    [
      'a state of another dtype',
      () => small().run(unit(), { state: { h: zeros([1, 3, 3], { dtype: 'float64' }) } }),
      /float64/,
    ],
    ['no features', () => nn.lstm(0, 3), /LSTM: inputSize must be an integer/],
    ['a fractional size', () => nn.lstm(2, 2.5), /LSTM: hiddenSize must be an integer/],
    ['no layers', () => nn.lstm(2, 3, { numLayers: 0 }), /LSTM: numLayers must be an integer/],
    ['a dropout above 1', () => nn.lstm(2, 3, { dropout: 1.5 }), /LSTM: dropout must be a number in/],
    ['a cell with a matrix too many', () => new nn.LSTMCell(2, 3).next(unit()), /LSTMCell: expected .*\[n, 2\]/],
    [
      'a cell with a state of another shape',
      () => new nn.LSTMCell(2, 3).next(zeros([4, 2]), { h: zeros([4, 3]), c: zeros([3, 3]) }),
      /LSTMCell: state.c \[3,3\] must have shape \[4,3\]/,
    ],
    ['a matrix to pack', () => nn.packPaddedSequence(zeros([4, 2]), [1, 2]), /expected \[steps, n, features\]/],
    ['too long to pack', () => nn.packPaddedSequence(unit(), [1, 2, 5]), /packPaddedSequence: length 5 of row 2/],
    [
      'a total length below the longest',
      () => nn.padPackedSequence(nn.packPaddedSequence(unit(), [1, 2, 3]), { totalLength: 2 }),
      /padPackedSequence: totalLength must be an integer in \[3, /,
    ],
    ['no packed sequence', () => nn.padPackedSequence(unit() as never), /expected a PackedSequence/],
  ]),
  'nn.GRU': row('gru', torchOf('gru', ['x6'])),
  'nn.RNN': row('tanh', torchOf('rnn_tanh', ['x6']), [
    [
      'an unknown nonlinearity',
      () => nn.rnn(2, 3, { nonlinearity: 'sigmoid' as 'tanh' }),
      /RNN: unknown nonlinearity sigmoid; known are tanh, relu/,
    ],
    [
      'an unknown nonlinearity of a cell',
      () => new nn.RNNCell(2, 3, { nonlinearity: 'sigmoid' as 'tanh' }),
      /RNNCell: unknown nonlinearity sigmoid/,
    ],
  ]),
  'nn.RNN/relu': row('relu', torchOf('rnn_relu', ['x6'])),
};

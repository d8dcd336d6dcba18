/** Recurrent layers and cells. */
import { nn, type AnyTensor, type Tensor } from '../../../lib';
import { spread } from '../../ops/reference';
import type { LayerRows } from './row';

const x = spread([4, 3, 5]);
const packed = (output: string): string =>
  `nn.utils.rnn.pad_packed_sequence(m(nn.utils.rnn.pack_padded_sequence(x0, [2, 4, 1], enforce_sorted=False))[0], total_length=4)[0]${output}`;
const lengths = [2, 4, 1];

function row(torch: string, make: () => nn.Recurrent): LayerRows[string] {
  return { torch, make, inputs: [x], torchCall: 'm(x0)[0]' };
}

export const rows: LayerRows = {
  LSTM: row('nn.LSTM(5, 7)', () => nn.lstm(5, 7)),
  'LSTM/deep': row('nn.LSTM(5, 3, num_layers=2, bidirectional=True)', () =>
    nn.lstm(5, 3, { numLayers: 2, bidirectional: true }),
  ),
  'LSTM/batch first': row('nn.LSTM(5, 17, batch_first=True, bias=False)', () =>
    nn.lstm(5, 17, { batchFirst: true, bias: false }),
  ),
  'LSTM/lengths': {
    torch: 'nn.LSTM(5, 7, bidirectional=True)',
    make: () => nn.lstm(5, 7, { bidirectional: true }),
    inputs: [x],
    call: (m: nn.LSTM, input: AnyTensor) => m.run(input, { lengths }).output,
    torchCall: packed(''),
  },
  'LSTM/state': {
    torch: 'nn.LSTM(5, 7, bidirectional=True)',
    make: () => nn.lstm(5, 7, { bidirectional: true }),
    inputs: [x, spread([2, 3, 7]), spread([2, 3, 7], -1, 1)],
    call: (m: nn.LSTM, input: AnyTensor, h: AnyTensor, c: AnyTensor) => {
      const { output, state } = m.run(input, { lengths, state: { h, c } });
      return output
        .sum(0)
        .add(state.h.sum(0).sum(-1, { keepDims: true }))
        .add((state.c as Tensor).sum());
    },
    torchCall:
      '(lambda r: nn.utils.rnn.pad_packed_sequence(r[0], total_length=4)[0].sum(0) + r[1][0].sum(0).sum(-1, keepdim=True) + r[1][1].sum())(m(nn.utils.rnn.pack_padded_sequence(x0, [2, 4, 1], enforce_sorted=False), (x1, x2)))',
  },
  GRU: row('nn.GRU(5, 7)', () => nn.gru(5, 7)),
  'GRU/deep': row('nn.GRU(5, 3, num_layers=2, bidirectional=True)', () =>
    nn.gru(5, 3, { numLayers: 2, bidirectional: true }),
  ),
  'GRU/no bias': row('nn.GRU(5, 17, bias=False)', () => nn.gru(5, 17, { bias: false })),
  'GRU/lengths': {
    torch: 'nn.GRU(5, 7, bidirectional=True)',
    make: () => nn.gru(5, 7, { bidirectional: true }),
    inputs: [x, spread([2, 3, 7])],
    call: (m: nn.GRU, input: AnyTensor, h: AnyTensor) => {
      const { output, state } = m.run(input, { lengths, state: { h } });
      return output.sum(0).add(state.h.sum(0).sum(-1, { keepDims: true }));
    },
    torchCall:
      '(lambda r: nn.utils.rnn.pad_packed_sequence(r[0], total_length=4)[0].sum(0) + r[1].sum(0).sum(-1, keepdim=True))(m(nn.utils.rnn.pack_padded_sequence(x0, [2, 4, 1], enforce_sorted=False), x1))',
  },
  RNN: row('nn.RNN(5, 7)', () => nn.rnn(5, 7)),
  'RNN/relu': row('nn.RNN(5, 17, nonlinearity="relu", bidirectional=True)', () =>
    nn.rnn(5, 17, { nonlinearity: 'relu', bidirectional: true }),
  ),
  'RNN/lengths': {
    torch: 'nn.RNN(5, 7)',
    make: () => nn.rnn(5, 7),
    inputs: [x],
    call: (m: nn.RNN, input: AnyTensor) =>
      nn.padPackedSequence(m.run(nn.packPaddedSequence(input, lengths)).output).data,
    torchCall: packed(''),
  },
  LSTMCell: {
    torch: 'nn.LSTMCell(5, 7)',
    make: () => new nn.LSTMCell(5, 7),
    inputs: [spread([3, 5]), spread([3, 7]), spread([3, 7], -1, 1)],
    call: (m: nn.LSTMCell, input: AnyTensor, h: AnyTensor, c: AnyTensor) => {
      const next = m.next(input, { h, c });
      return next.h.add(next.c as Tensor);
    },
    torchCall: 'sum(m(x0, (x1, x2)))',
  },
  GRUCell: {
    torch: 'nn.GRUCell(5, 7)',
    make: () => new nn.GRUCell(5, 7),
    inputs: [spread([3, 5]), spread([3, 7])],
  },
  RNNCell: {
    torch: 'nn.RNNCell(5, 7)',
    make: () => new nn.RNNCell(5, 7),
    inputs: [spread([3, 5]), spread([3, 7])],
  },
};

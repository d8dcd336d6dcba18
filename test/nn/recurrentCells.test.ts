/** The cells against the layers that they are one step of. */
import { concat, manualSeed, nn, randn, zeros, type Tensor } from '../../lib';
import { expectClose, scalarOf } from './compare';

describe('cells', () => {
  test.each([
    ['LSTM', () => new nn.LSTMCell(3, 5), () => nn.lstm(3, 5)],
    ['GRU', () => new nn.GRUCell(3, 5), () => nn.gru(3, 5)],
    ['RNN', () => new nn.RNNCell(3, 5), () => nn.rnn(3, 5)],
    ['RNN, relu', () => new nn.RNNCell(3, 5, { nonlinearity: 'relu' }), () => nn.rnn(3, 5, { nonlinearity: 'relu' })],
  ] as const)('%s: step by step what the layer gives', (_, makeCell, makeLayer) => {
    manualSeed(11);
    const [cell, layer] = [makeCell(), makeLayer()];
    layer.loadStateDict(Object.fromEntries(Object.entries(cell.stateDict()).map(([name, p]) => [`${name}_l0`, p])));
    const x = randn([4, 2, 3]);
    const outputs: Tensor[] = [];
    let state: nn.RecurrentState | undefined;
    for (let t = 0; t < 4; t++) {
      state =
        cell instanceof nn.LSTMCell ? cell.next(x.slice(t), state) : { h: cell.forward(x.slice(t), state?.h), c: null };
      outputs.push(state.h.unsqueeze(0));
    }
    const whole = layer.run(x);
    expectClose(concat(outputs), whole.output, 1e-6);
    const loss = scalarOf(outputs);
    loss.backward();
    scalarOf(outputs.map((__, t) => whole.output.slice([t, t + 1]))).backward();
    cell.parameters().forEach((p, i) => {
      expectClose(p.grad as Tensor, layer.parameters()[i].grad as Tensor);
    });
    cell.dispose();
    layer.dispose();
  });

  test('without biases have none', () => {
    const cell = new nn.GRUCell(3, 4, { bias: false });
    expect(Object.keys(cell.stateDict())).toEqual(['weight_ih', 'weight_hh']);
    expect(cell.forward(zeros([2, 3])).shape).toEqual([2, 4]);
    cell.dispose();
  });
});

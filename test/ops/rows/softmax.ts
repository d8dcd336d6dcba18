/** Rows of softmax and its kin. */
import { logSoftmax, softmax, zeros, type AnyTensor, type Tensor } from '../../../lib';
import { spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors } from './build';

function softmaxRow(name: string, call: (x: AnyTensor, axis?: number) => Tensor, axis: number, torch: string): Row {
  const apply = (x: AnyTensor): Tensor => call(x, axis);
  return {
    call: apply,
    torch,
    samples: [[4], [3, 5], [2, 3, 17], [33, 10], [2, 130], [0, 3]].map((shape) => [spread(shape, -5, 5)]),
    gradient: 'all',
    gradientSamples: [[spread([2, 3])], [spread([5])], [spread([2, 2, 3])]],
    bad: [
      ...notTensors(apply),
      ...badAxes((bad) => call(zeros([2, 3]), bad)),
      ['a scalar', () => call(zeros([])), /a scalar has no axes/],
      ['integers', () => call(zeros([2], { dtype: 'int32' })), new RegExp(`${name}: x must be float32`)],
    ],
  };
}

export const rows: Rows = {
  softmax: softmaxRow('softmax', softmax, -1, 'torch.softmax(x0, -1)'),
  'softmax/axis': softmaxRow('softmax', softmax, 0, 'torch.softmax(x0, 0)'),
  logSoftmax: softmaxRow('logSoftmax', logSoftmax, -1, 'torch.log_softmax(x0, -1)'),
  'logSoftmax/axis': softmaxRow('logSoftmax', logSoftmax, 0, 'torch.log_softmax(x0, 0)'),
};

import { isRecording, record } from '../../autograd/node';
import { arange } from '../../tensor/creation';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { abs, add, div, equal, exp, log, maximum, minimum, mul, neg, sigmoid, sub, where } from '../elementwise';
import { sum } from '../reduce';
import { transpose, unsqueeze } from '../views';

export function log1p(x: Tensor): Tensor {
  return log(add(x, 1));
}
export function clamp(x: Tensor, { min, max }: { min?: number; max?: number }): Tensor {
  let y = x;
  if (min !== undefined) y = maximum(y, min);
  if (max !== undefined) y = minimum(y, max);
  return y;
}
export function logSigmoid(x: Tensor): Tensor {
  const d = x.detach();
  const y = sub(minimum(d, 0), log(add(exp(neg(abs(d))), 1)));
  if (isRecording(x)) record('logSigmoid', y, [x], [x], (g, { saved }) => [mul(g, sigmoid(neg(saved[0] as Tensor)))]);
  return y;
}
export function oneHot(labels: Tensor<'int32'>, classes: number): Tensor {
  return cast(equal(unsqueeze(labels, -1), arange(classes)), 'float32');
}
export function gather(x: Tensor, axis: number, index: Tensor<'int32'>): Tensor {
  const last = transpose(x, axis, -1);
  const at = transpose(index, axis, -1) as Tensor<'int32'>;
  const hit = equal(unsqueeze(at, -1), arange(last.shape[last.rank - 1]));
  return transpose(sum(where(hit, unsqueeze(last, -2), 0), -1), axis, -1);
}
export { div };
export type { AnyTensor };

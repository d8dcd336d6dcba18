import { arange } from '../../tensor/creation';
import type { DType } from '../../tensor/dtype';
import type { Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { equal, where } from '../elementwise';
import { sum } from '../reduce';
import { transpose, unsqueeze } from '../views';

export function oneHot(labels: Tensor<'int32'>, classes: number, dtype: DType): Tensor {
  return cast(equal(unsqueeze(labels, -1), arange(classes)), dtype) as unknown as Tensor;
}
export function gather(x: Tensor, axis: number, index: Tensor<'int32'>): Tensor {
  const last = transpose(x, axis, -1);
  const at = transpose(index, axis, -1);
  const hit = equal(unsqueeze(at, -1), arange(last.shape[last.rank - 1]));
  const picked = sum(where(hit, unsqueeze(last, -2), 0), -1);
  return transpose(picked, axis, -1);
}

/** What class numbers select. */
import { isRecording, record } from '../../autograd/node';
import { arange, zeros } from '../../tensor/creation';
import type { DType } from '../../tensor/dtype';
import type { Shape } from '../../tensor/shape';
import type { Tensor } from '../../tensor/tensor';
import { cast } from '../copies';
import { equal } from '../elementwise';
import { run } from '../run';
import { unsqueeze } from '../views';

type Labels = Tensor<'int32'>;

/** 1 at each label, 0 elsewhere: [..., classes] of `dtype`. A label out of range gives zeros. */
export function oneHot(labels: Labels, classes: number, dtype: DType): Tensor {
  return cast(equal(unsqueeze(labels, -1), arange(classes)), dtype) as unknown as Tensor;
}

/** The elements of `x` that `index`, of the same rank, names along the last axis. */
export function pickLast(x: Tensor, index: Labels): Tensor {
  const out = run('gather', [x, index], index.shape, x.dtype, [x.rank - 1]);
  if (isRecording(x)) {
    const { shape } = x;
    record('gather', out, [x], [index], (grad, { saved }) => [addLast(grad, saved[0] as Labels, shape)]);
  }
  return out;
}

/** Zeros of `shape` with each element of `x` added where `index` says, along the last axis. */
export function addLast(x: Tensor, index: Labels, shape: Shape): Tensor {
  const out = run('scatter', [zeros(shape, { dtype: x.dtype }), index, x], shape, x.dtype, [shape.length - 1, 1]);
  if (isRecording(x)) {
    record('scatter', out, [x], [index], (grad, { saved }) => [pickLast(grad, saved[0] as Labels)]);
  }
  return out;
}

/** The element of each row that its label names, [n, 1]. @throws RangeError for a label out of range. */
export function pickLabels(op: string, rows: Tensor, labels: Labels): Tensor {
  try {
    return pickLast(rows, unsqueeze(labels, 1));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(error.message.replace(/^\w+: index/, `${op}: label`), { cause: error });
  }
}

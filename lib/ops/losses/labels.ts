/** What class numbers select. */
import type { Tensor } from '../../tensor/tensor';
import { gather } from '../gather';
import { unsqueeze } from '../views';

/** The element of each row that its label names, [n, 1]. @throws RangeError for a label out of range. */
export function pickLabels(op: string, rows: Tensor, labels: Tensor<'int32'>): Tensor {
  try {
    return gather(rows, 1, unsqueeze(labels, 1));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(error.message.replace(/^\w+: index/, `${op}: label`), { cause: error });
  }
}

/** Updates by sparse gradients: only the rows that have one, as PyTorch's SparseAdam makes them. */
import { noGrad } from '../autograd/node';
import { addRows, indexRows } from '../ops/copies';
import { assignRows } from '../ops/update';
import { tidy } from '../tensor/scope';
import type { SparseGrad, Tensor } from '../tensor/tensor';

/** A dense update, in place, of rows of a parameter and of its state. */
export type RowUpdate = (rows: Tensor, grad: Tensor, state: readonly Tensor[]) => void;

/** Gathers the rows of the parameter and of its state, updates them and puts them back. Other rows stay as they are. */
export function updateRows(
  parameter: Tensor,
  { indices, values }: SparseGrad,
  state: readonly Tensor[],
  update: RowUpdate,
): void {
  // No rows: nothing to update, and no ratio of norms of nothing.
  if (indices.size === 0) return;
  noGrad(() => {
    tidy(() => {
      const rows = indexRows(parameter.detach(), indices);
      const rowsOfState = state.map((x) => indexRows(x, indices));
      update(rows, values, rowsOfState);
      assignRows(parameter, indices, rows);
      state.forEach((x, i) => {
        assignRows(x, indices, rowsOfState[i]);
      });
    });
  });
}

/**
 * The whole gradient of a parameter that was used both sparsely and densely (a tied embedding, say): two updates in one
 * step would move the averages twice.
 */
export function denseGrad(grad: Tensor | null, sparse: SparseGrad, parameter: Tensor): Tensor {
  return noGrad(() => {
    const rows = addRows(sparse.values, sparse.indices, parameter.shape);
    return grad === null ? rows : rows.add(grad);
  });
}

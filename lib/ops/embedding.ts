/** Rows of a table by number, with gradients that may stay sparse. */
import { isRecording, record } from '../autograd/node';
import { GradientError, ShapeError } from '../errors';
import { keep, tidy } from '../tensor/scope';
import { checkInteger, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { mul } from './binary';
import { notEqual } from './compare';
import { addRows, cast, concat, indexRows } from './copies';
import { checkIndex, type Index } from './gather';
import { requireFloat } from './reduce';
import { unique } from './sort';
import { reshape } from './views';

/** Options of {@link embedding}. */
export interface EmbeddingFunctionOptions {
  /** The row of this number gets no gradient. Default none. */
  paddingIndex?: number;
  /** Collect the gradient as rows in `weight.sparseGrad` instead of a whole table. Default false. */
  sparse?: boolean;
}

/** Adds rows to the sparse gradient of a leaf: each row once, in ascending order. */
function collectSparse(weight: Tensor, index: Tensor<'int32'>, rows: Tensor): void {
  const before = weight.sparseGrad;
  const merged = tidy(() => {
    const all = before === null ? index : concat([before.indices, index]);
    const values = before === null ? rows : concat([before.values, rows]);
    const { values: indices, inverse } = unique(all);
    return { indices: keep(indices), values: keep(addRows(values, inverse, [indices.size, ...rows.shape.slice(1)])) };
  });
  before?.indices.dispose();
  before?.values.dispose();
  weight.sparseGrad = merged;
}

/**
 * The rows of `weight` that `index` names.
 * @param index int32 or int64 of any shape, values in [0, rows)
 * @param weight float [rows, features]
 * @returns [...index.shape, features]
 * @throws RangeError for a row that is not there; ShapeError; GradientError if `sparse` is asked of a weight that is
 * not a leaf.
 */
export function embedding(index: Index, weight: AnyTensor, options: EmbeddingFunctionOptions = {}): Tensor {
  const positions = checkIndex('embedding', index);
  const table = requireFloat('embedding', 'weight', weight);
  if (table.rank !== 2)
    throw new ShapeError(`embedding: weight must be [rows, features], got ${formatShape(table.shape)}`);
  const { paddingIndex, sparse = false } = options;
  if (paddingIndex !== undefined) checkInteger('embedding', 'paddingIndex', paddingIndex, 0, table.shape[0] - 1);
  if (sparse && !table.isLeaf) throw new GradientError('embedding: a sparse gradient needs a weight that is a leaf');
  const flat = reshape(positions, [positions.size]);
  const shape = [...positions.shape, table.shape[1]];
  if (paddingIndex === undefined && !sparse) return reshape(indexRows(table, flat), shape);
  const out = indexRows(table.detach(), flat);
  if (isRecording(table)) {
    record('embedding', out, [table], [flat], (grad, { saved }) => {
      const rows = saved[0] as Tensor<'int32'>;
      const counted =
        paddingIndex === undefined
          ? grad
          : mul(grad, reshape(cast(notEqual(rows, paddingIndex), grad.dtype), [rows.size, 1]));
      if (!sparse) return [addRows(counted, rows, table.shape)];
      collectSparse(table, rows, counted);
      return [null];
    });
  }
  return reshape(out, shape);
}

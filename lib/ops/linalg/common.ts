/** What the linear algebra functions share: argument checks, triangles, diagonals. */
import { ShapeError } from '../../errors';
import { eye } from '../../tensor/creation';
import { broadcastShapes, describe, formatShape, type Shape } from '../../tensor/shape';
import type { DType } from '../../tensor/dtype';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { where } from '../elementwise';
import { tril } from '../rearrange';
import { requireFloat } from '../reduce';
import { runMany } from '../run';
import type { OpName } from '../table';
import { expand, transpose, unsqueeze } from '../views';

/** The batch axes of a tensor of matrices. */
export function batchOf(x: AnyTensor): Shape {
  return x.shape.slice(0, -2);
}

export function rowsOf(x: AnyTensor): number {
  return x.shape[x.rank - 2];
}

export function colsOf(x: AnyTensor): number {
  return x.shape[x.rank - 1];
}

/** A float tensor of rank 2 or more. */
export function requireMatrix(op: string, name: string, x: AnyTensor): Tensor {
  const a = requireFloat(op, name, x);
  if (a.rank < 2) {
    throw new ShapeError(`${op}: ${name} must be a matrix or a batch [..., m, n], got shape ${formatShape(a.shape)}`);
  }
  return a;
}

/** A float tensor of square matrices. */
export function requireSquare(op: string, name: string, x: AnyTensor): Tensor {
  const a = requireMatrix(op, name, x);
  if (rowsOf(a) !== colsOf(a)) {
    throw new ShapeError(`${op}: ${name} must be square [..., n, n], got shape ${formatShape(a.shape)}`);
  }
  return a;
}

/** An option that must be a boolean where it is given. */
export function checkFlag(op: string, name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== 'boolean') throw new TypeError(`${op}: ${name} must be a boolean, got ${describe(value)}`);
  return value;
}

/** One of the given strings. */
export function checkChoice<S extends string>(op: string, name: string, value: unknown, choices: readonly S[]): S {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    const list = choices.map((choice) => `'${choice}'`).join(' or ');
    throw new RangeError(`${op}: ${name} must be ${list}, got ${describe(value)}`);
  }
  return found;
}

/** Both operands with the batch axes that they broadcast to. */
export function broadcastBatches(op: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  const batch = broadcastShapes(op, batchOf(a), batchOf(b));
  const full = (x: Tensor): Tensor => {
    const wide = [...batch, rowsOf(x), colsOf(x)];
    return formatShape(wide) === formatShape(x.shape) ? x : expand(x, wide);
  };
  return [full(a), full(b)];
}

/** A symmetric matrix from the lower triangle of `x`. */
export function mirrorLower(x: Tensor): Tensor {
  return tril(x).add(transpose(tril(x, -1)));
}

/** The identity in the dtype of `like`. */
export function identity(n: number, like: AnyTensor): Tensor {
  return eye(n, n, { like });
}

/** x_j - x_i at [..., i, j], and 1 on the diagonal: what the gradients of eigenvectors are divided by. */
export function differences(x: Tensor): Tensor {
  const n = x.shape[x.rank - 1];
  const isDiagonal = eye(n, n, { dtype: 'bool', like: x }) as unknown as Tensor<'bool'>;
  return where(isDiagonal, 1, unsqueeze(x, -2).sub(unsqueeze(x, -1)));
}

/** {@link runMany} for outputs of the input's dtype. */
export function runEach(op: OpName, x: Tensor, shapes: readonly Shape[], ints?: readonly number[]): Tensor[] {
  const outputs = shapes.map((shape): [Shape, DType] => [shape, x.dtype]);
  return runMany(op, [x], outputs, ints) as Tensor[];
}

/** Comparisons, and the choice that is made with them. */
import { isRecording, record } from '../autograd/node';
import { DTypeError } from '../errors';
import type { DType, Promoted } from '../tensor/dtype';
import { broadcastShapes, checkNumber, describe } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { checkOperand, checkTensor, compare, operand, operandDType, type Operand } from './define';
import { sumTo } from './reduce';
import { run } from './run';

/** a = b; false where either is NaN. */
export const equal = compare('equal');
/** a ≠ b; true where either is NaN. */
export const notEqual = compare('notEqual');
/** a < b */
export const less = compare('less');
/** a ≤ b */
export const lessEqual = compare('lessEqual');
/** a > b */
export const greater = compare('greater');
/** a ≥ b */
export const greaterEqual = compare('greaterEqual');

/**
 * `a` where `condition` is true, else `b`; all three broadcast.
 * @throws DTypeError if `condition` is not bool.
 */
export function where<A extends DType = 'float32', B extends DType = 'float32'>(
  condition: Tensor<'bool'>,
  a: Tensor<A> | number,
  b: Tensor<B> | number,
): Tensor<Promoted<A, B>> {
  if (!isTensor(condition)) throw new TypeError(`where: expected a bool tensor, got ${describe(condition)}`);
  condition._check('where');
  if ((condition.dtype as DType) !== 'bool') {
    throw new DTypeError(`where: the condition must be bool, got ${condition.dtype}`);
  }
  checkOperand('where', a);
  checkOperand('where', b);
  const bothNumbers = typeof a === 'number' && typeof b === 'number';
  const dtype = bothNumbers ? 'float32' : operandDType(a, b);
  const x = operand(a, dtype, condition);
  const y = operand(b, dtype, condition);
  const shape = broadcastShapes('where', condition.shape, broadcastShapes('where', x.shape, y.shape));
  const out = run('where', [condition, x, y], shape, dtype);
  if (isRecording(x, y)) {
    const { shape: xShape } = x;
    const { shape: yShape } = y;
    record('where', out, [x, y], [condition], (grad, { saved, needs }) => {
      const chosen = saved[0] as Tensor<'bool'>;
      return [
        needs[0] ? sumTo(where(chosen, grad, 0), xShape) : null,
        needs[1] ? sumTo(where(chosen, 0, grad), yShape) : null,
      ];
    });
  }
  return out as Tensor<Promoted<A, B>>;
}

/** Tolerances of {@link allClose}. */
export interface CloseOptions {
  /** Relative to |b|; default 1e-5. */
  rtol?: number;
  /** Absolute; default 1e-8. */
  atol?: number;
  /** Whether two NaNs are close. Default false. */
  equalNaN?: boolean;
}

/** Whether |a - b| ≤ atol + rtol·|b| for each pair, equal infinities included. */
export function isClose(a: AnyTensor, b: AnyTensor, options: CloseOptions = {}): Tensor<'bool'> {
  checkTensor('isClose', a);
  checkTensor('isClose', b);
  const { rtol = 1e-5, atol = 1e-8, equalNaN = false } = options;
  checkNumber('isClose', 'rtol', rtol, 0);
  checkNumber('isClose', 'atol', atol, 0);
  const near = lessEqual(a.sub(b).abs(), b.abs().mul(rtol).add(atol));
  const same = near.logicalAnd(b.isFinite()).logicalOr(equal(a, b));
  return equalNaN ? same.logicalOr(a.isNaN().logicalAnd(b.isNaN())) : same;
}

/** Whether all pairs are close: {@link isClose} of every element. */
export function allClose(a: AnyTensor, b: AnyTensor, options: CloseOptions = {}): boolean {
  return isClose(a, b, options).logicalNot().cast('int32').sum().item() === 0;
}

const methods = { equal, notEqual, less, lessEqual, greater, greaterEqual };
type CompareMethods = { [K in keyof typeof methods]: (other: Operand) => Tensor<'bool'> };

declare module '../tensor/tensor' {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars, @typescript-eslint/no-empty-object-type -- merged: repeats the parameters, adds the supertype
  interface Tensor<D extends DType = 'float32'> extends CompareMethods {}
}
defineMethods(methods);

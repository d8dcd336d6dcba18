/** Builders of the elementwise operations: dtypes, broadcasting, recording. One line defines an op with them. */
import { opTable, type OpName } from './table'; // first: the builders run while other modules are still loading
import { isRecording, record } from '../autograd/node';
import { DTypeError } from '../errors';
import { full } from '../tensor/creation';
import { isFloat, isHalf, promote, type DType, type FloatOf, type Promoted } from '../tensor/dtype';
import { broadcastShapes, describe } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { cast } from './copies';
import { sumTo } from './reduce';
import { run } from './run';

/** A tensor or a number; a number takes the other operand's dtype where it can. */
export type Operand = AnyTensor | number;

/** The dtype in which an op works on `dtype`: itself, or the nearest one that its kernels know. */
export function workingDType(op: OpName, dtype: DType): DType {
  const { dtypes } = opTable[op];
  if (dtypes.includes(dtype)) return dtype;
  if (isHalf(dtype) && dtypes.includes('float32')) return 'float32';
  if ((dtype === 'bool' || dtype === 'uint8') && dtypes.includes('int32')) return 'int32';
  if (!isFloat(dtype) && dtypes.includes('float32')) return 'float32';
  throw new DTypeError(`${op}: dtype ${dtype} is not supported, only ${dtypes.join(' and ')}`);
}

/** @internal Throws unless `x` is a tensor that lives. */
export function checkTensor(op: string, x: unknown, name = ''): asserts x is AnyTensor {
  if (!isTensor(x)) {
    throw new TypeError(`${op}: ${name === '' ? '' : `${name}: `}expected a tensor, got ${describe(x)}`);
  }
  x._check(op);
}

// ---- one input

export type UnaryRule = (grad: Tensor, x: Tensor, y: Tensor) => Tensor;

/** The gradient of a function that is flat wherever it has a derivative. */
export function flat(grad: Tensor): Tensor {
  return full(grad.shape, 0, { like: grad });
}

function applyUnary(op: OpName, input: AnyTensor, saves: 'input' | 'output' | 'none', rule: UnaryRule | null) {
  const dtype = workingDType(op, input.dtype);
  const x = dtype === input.dtype ? input : cast(input, dtype);
  const y = run(op, [x], x.shape, x.dtype);
  if (rule !== null && isRecording(x)) {
    const saved: AnyTensor[] = saves === 'input' ? [x] : saves === 'output' ? [y] : [];
    record(op, y, [x], saved, (grad, node) => {
      const [kept] = node.saved as Tensor[];
      return [rule(grad, kept, kept)];
    });
  }
  return isHalf(input.dtype) ? cast(y, input.dtype) : y;
}

/**
 * Defines an op of one input that keeps the dtype (bool and uint8 count as int32 where there is no form of
 * their own). `saves` says what its gradient rule reads: the input or the output.
 */
export function unary(op: OpName, saves: 'input' | 'output' | 'none', rule: UnaryRule | null) {
  return <D extends DType>(input: Tensor<D>): Tensor<D> => {
    checkTensor(op, input);
    return applyUnary(op, input, saves, rule) as Tensor<D>;
  };
}

/** Defines an op of one input that works on floats: integers and bool become float32. */
export function unaryFloat(op: OpName, saves: 'input' | 'output' | 'none', rule: UnaryRule | null) {
  return <D extends DType>(input: Tensor<D>): Tensor<FloatOf<D>> => {
    checkTensor(op, input);
    return applyUnary(op, input, saves, rule) as Tensor<FloatOf<D>>;
  };
}

/** Defines a test of each element of a float tensor; `ofInteger` is the answer for all integers. */
export function unaryTest(op: OpName, ofInteger: boolean) {
  return (input: AnyTensor): Tensor<'bool'> => {
    checkTensor(op, input);
    if (!isFloat(input.dtype)) return full(input.shape, ofInteger, { dtype: 'bool', like: input });
    const x = isHalf(input.dtype) ? cast(input, 'float32') : input;
    return run(op, [x], x.shape, 'bool');
  };
}

// ---- two inputs

/** The dtype that two operands meet in; a number joins the tensor's dtype if that can hold it. */
export function operandDType(a: Operand, b: Operand): DType {
  if (typeof a !== 'number' && typeof b !== 'number') return promote(a.dtype, b.dtype);
  const { dtype } = (typeof a === 'number' ? b : a) as AnyTensor;
  const value = (typeof a === 'number' ? a : b) as number;
  if (isFloat(dtype)) return dtype;
  if (!Number.isInteger(value)) return 'float32';
  return dtype === 'bool' ? 'int32' : dtype;
}

/** An operand as a tensor of `dtype`; a number on the device of `other`. */
export function operand(value: Operand, dtype: DType, other: Operand): AnyTensor {
  if (typeof value === 'number') return full([], value, typeof other === 'number' ? { dtype } : { dtype, like: other });
  return value.dtype === dtype ? value : cast(value, dtype);
}

export function checkOperand(op: string, value: unknown): void {
  if (typeof value !== 'number' && !isTensor(value)) {
    throw new TypeError(`${op}: expected a tensor or a number, got ${describe(value)}`);
  }
  if (typeof value !== 'number') value._check(op);
}

/** Both operands in the dtype the op works in, and the dtype of its result if it keeps theirs. */
function prepare(op: OpName, a: Operand, b: Operand): [AnyTensor, AnyTensor, DType] {
  checkOperand(op, a);
  checkOperand(op, b);
  if (typeof a === 'number' && typeof b === 'number') {
    throw new TypeError(`${op}: at least one operand must be a tensor`);
  }
  const common = operandDType(a, b);
  const dtype = workingDType(op, common);
  return [operand(a, dtype, b), operand(b, dtype, a), isHalf(common) ? common : dtype];
}

export type BinaryRule = (
  grad: Tensor,
  a: Tensor,
  b: Tensor,
  y: Tensor,
) => readonly [() => Tensor | null, () => Tensor | null];

/**
 * Defines an op of two inputs. The rule gives the gradients for operands of the result's shape, each
 * computed only where it is wanted; what broadcasting repeated is summed here.
 */
export function binary(op: OpName, saves: readonly ('a' | 'b' | 'y')[], rule: BinaryRule | null) {
  return <A extends DType = 'float32', B extends DType = 'float32'>(
    first: Tensor<A> | number,
    second: Tensor<B> | number,
  ): Tensor<Promoted<A, B>> => {
    const [a, b, dtype] = prepare(op, first, second);
    const y = run(op, [a, b], broadcastShapes(op, a.shape, b.shape), a.dtype);
    if (rule !== null && isRecording(a, b)) {
      const { shape: aShape } = a;
      const { shape: bShape } = b;
      const all = { a, b, y };
      record(
        op,
        y,
        [a, b],
        saves.map((name) => all[name]),
        (grad, { saved, needs }) => {
          const at = (name: 'a' | 'b' | 'y'): Tensor => saved[saves.indexOf(name)] as Tensor;
          const [toA, toB] = rule(grad, at('a'), at('b'), at('y'));
          const reduce = (part: Tensor | null, shape: typeof aShape): Tensor | null =>
            part === null ? null : sumTo(part, shape);
          return [needs[0] ? reduce(toA(), aShape) : null, needs[1] ? reduce(toB(), bShape) : null];
        },
      );
    }
    return (y.dtype === dtype ? y : cast(y, dtype)) as Tensor<Promoted<A, B>>;
  };
}

/** Defines a comparison: both operands in a common dtype, the result bool. */
export function compare(op: OpName) {
  return (first: Operand, second: Operand): Tensor<'bool'> => {
    const [a, b] = prepare(op, first, second);
    return run(op, [a, b], broadcastShapes(op, a.shape, b.shape), 'bool');
  };
}

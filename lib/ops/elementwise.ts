/** Elementwise operations: one or two inputs, broadcast as in NumPy, dtypes promoted as in PyTorch. */
import { isRecording, record } from '../autograd/node';
import { DTypeError } from '../errors';
import { full } from '../tensor/creation';
import { promote, type DType } from '../tensor/dtype';
import { broadcastShapes, describe } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { Tensor } from '../tensor/tensor';
import { isTensor, type AnyTensor } from '../tensor/tensor';
import { cast } from './copies';
import { sumTo } from './reduce';
import { run } from './run';
import { opTable, type OpName } from './table';

/** A tensor or a number; a number takes the other operand's dtype where it can. */
export type Operand = AnyTensor | number;

/** The dtype of an operation's result on A and B: bool < int32 < float32. */
export type Promoted<A extends DType, B extends DType> = 'float32' extends A | B
  ? 'float32'
  : 'int32' extends A | B
    ? 'int32'
    : 'bool';

function checkDTypes(op: OpName, dtype: DType): void {
  const { dtypes } = opTable[op];
  if (!dtypes.includes(dtype)) {
    throw new DTypeError(`${op}: dtype ${dtype} is not supported, only ${dtypes.join(' and ')}`);
  }
}

// ---- one input

type UnaryRule = (grad: Tensor, x: Tensor, y: Tensor) => Tensor;

/** Defines an op of one input. `saves` says what its gradient rule reads: the input or the output. */
function unary(op: OpName, saves: 'input' | 'output' | 'none', rule: UnaryRule | null) {
  const { dtypes } = opTable[op];
  const floatOnly = dtypes.length === 1 && dtypes[0] === 'float32';
  return <D extends DType>(input: Tensor<D>): Tensor<D> => {
    if (!isTensor(input)) throw new TypeError(`${op}: expected a tensor, got ${describe(input)}`);
    input._check(op);
    const x = (floatOnly && input.dtype !== 'float32' ? cast(input, 'float32') : input) as Tensor<D>;
    checkDTypes(op, x.dtype);
    const y = run(op, [x], x.shape, x.dtype);
    if (rule !== null && isRecording(x)) {
      const saved: AnyTensor[] = saves === 'input' ? [x] : saves === 'output' ? [y] : [];
      record(op, y, [x], saved, (grad, node) => {
        const [kept] = node.saved as Tensor[];
        return [rule(grad, kept, kept)];
      });
    }
    return y;
  };
}

/** -x */
export const neg = unary('neg', 'none', (g) => neg(g));
/** |x| */
export const abs = unary('abs', 'input', (g, x) => mul(g, sign(x)));
/** -1, 0 or 1; NaN for NaN. Its gradient is 0. */
export const sign = unary('sign', 'none', null);
/** e^x */
export const exp = unary('exp', 'output', (g, _, y) => mul(g, y));
/** Natural logarithm; -Infinity at 0, NaN below. */
export const log = unary('log', 'input', (g, x) => div(g, x));
/** Square root; NaN below 0. */
export const sqrt = unary('sqrt', 'output', (g, _, y) => div(mul(g, 0.5), y));
/** x² */
export const square = unary('square', 'input', (g, x) => mul(g, mul(x, 2)));
/** 1 / x */
export const reciprocal = unary('reciprocal', 'output', (g, _, y) => neg(mul(g, square(y))));
/** Hyperbolic tangent. */
export const tanh = unary('tanh', 'output', (g, _, y) => mul(g, sub(1, square(y))));
/** 1 / (1 + e^-x) */
export const sigmoid = unary('sigmoid', 'output', (g, _, y) => mul(g, mul(y, sub(1, y))));
/** max(x, 0); its gradient at 0 is 0. */
export const relu = unary('relu', 'output', (g, _, y) => reluBackward(g, y));
/** not x, for bool tensors. */
export const logicalNot = unary('logicalNot', 'none', null);

// ---- two inputs

function operandDType(a: Operand, b: Operand): DType {
  if (typeof a !== 'number' && typeof b !== 'number') return promote(a.dtype, b.dtype);
  const tensor = (typeof a === 'number' ? b : a) as AnyTensor;
  const value = (typeof a === 'number' ? a : b) as number;
  if (tensor.dtype === 'float32') return 'float32';
  return Number.isInteger(value) ? 'int32' : 'float32';
}

/** An operand as a tensor of `dtype`. */
function operand(value: Operand, dtype: DType): AnyTensor {
  if (typeof value === 'number') return full([], value, { dtype });
  return value.dtype === dtype ? value : cast(value, dtype);
}

function checkOperand(op: OpName, value: unknown): void {
  if (typeof value !== 'number' && !isTensor(value)) {
    throw new TypeError(`${op}: expected a tensor or a number, got ${describe(value)}`);
  }
  if (typeof value !== 'number') value._check(op);
}

function prepare(op: OpName, a: Operand, b: Operand): [AnyTensor, AnyTensor] {
  checkOperand(op, a);
  checkOperand(op, b);
  if (typeof a === 'number' && typeof b === 'number') {
    throw new TypeError(`${op}: at least one operand must be a tensor`);
  }
  let dtype = operandDType(a, b);
  const { dtypes } = opTable[op];
  // bool joins arithmetic as int32, integers join float operations as float32.
  if (!dtypes.includes(dtype)) {
    if (dtype === 'bool' && dtypes.includes('int32')) dtype = 'int32';
    else if (dtypes.includes('float32')) dtype = 'float32';
    else checkDTypes(op, dtype);
  }
  return [operand(a, dtype), operand(b, dtype)];
}

type BinaryRule = (
  grad: Tensor,
  a: Tensor,
  b: Tensor,
  y: Tensor,
) => readonly [() => Tensor | null, () => Tensor | null];

/**
 * Defines an op of two inputs. The rule gives the gradients for operands of the result's shape, each
 * computed only where it is wanted; what broadcasting repeated is summed here.
 */
function binary(op: OpName, saves: readonly ('a' | 'b' | 'y')[], rule: BinaryRule) {
  return <A extends DType = 'float32', B extends DType = 'float32'>(
    first: Tensor<A> | number,
    second: Tensor<B> | number,
  ): Tensor<Promoted<A, B>> => {
    const [a, b] = prepare(op, first, second);
    const y = run(op, [a, b], broadcastShapes(op, a.shape, b.shape), a.dtype);
    if (isRecording(a, b)) {
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
    return y as Tensor<Promoted<A, B>>;
  };
}

/** a + b */
export const add = binary('add', [], (g) => [() => g, () => g]);
/** a - b */
export const sub = binary('sub', [], (g) => [() => g, () => neg(g)]);
/** a · b, element by element. */
export const mul = binary('mul', ['a', 'b'], (g, a, b) => [() => mul(g, b), () => mul(g, a)]);
/** a / b in float32, also for integers. */
export const div = binary('div', ['b', 'y'], (g, _, b, y) => [() => div(g, b), () => neg(div(mul(g, y), b))]);
/** a^b in float32. */
export const pow = binary('pow', ['a', 'b', 'y'], (g, a, b, y) => [
  // b·a^(b-1), and 0 where b is 0 also at a = 0; y·ln(a), and 0 where a is 0.
  () => mul(g, where(equal(b, 0), 0, mul(b, pow(a, sub(b, 1))))),
  () => mul(g, where(equal(a, 0), 0, mul(y, log(a)))),
]);
/** The larger of each pair; NaN where either is NaN. Ties share the gradient. */
export const maximum = binary('maximum', ['a', 'b'], (g, a, b) => [
  () => mul(g, pickWeight(greater(a, b), equal(a, b))),
  () => mul(g, pickWeight(less(a, b), equal(a, b))),
]);
/** The smaller of each pair; NaN where either is NaN. Ties share the gradient. */
export const minimum = binary('minimum', ['a', 'b'], (g, a, b) => [
  () => mul(g, pickWeight(less(a, b), equal(a, b))),
  () => mul(g, pickWeight(greater(a, b), equal(a, b))),
]);
/** `grad` where relu's output `y` is above 0, else 0: the gradient of {@link relu}. */
const reluBackward = binary('reluBackward', ['b'], (g, _, y) => [() => reluBackward(g, y), () => null]);
/** a and b, for bool tensors. */
export const logicalAnd = binary('logicalAnd', [], () => [() => null, () => null]);
/** a or b, for bool tensors. */
export const logicalOr = binary('logicalOr', [], () => [() => null, () => null]);

function pickWeight(wins: Tensor<'bool'>, ties: Tensor<'bool'>): Tensor {
  return where(wins, 1, mul(cast(ties, 'float32'), 0.5));
}

// ---- comparisons

function compare(op: OpName) {
  return (first: Operand, second: Operand): Tensor<'bool'> => {
    const [a, b] = prepare(op, first, second);
    return run(op, [a, b], broadcastShapes(op, a.shape, b.shape), 'bool');
  };
}

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
  const x = operand(a, dtype);
  const y = operand(b, dtype);
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

// ---- methods

const unaryMethods = { neg, abs, sign, exp, log, sqrt, square, reciprocal, tanh, sigmoid, relu, logicalNot };
const binaryMethods = { add, sub, mul, div, pow, maximum, minimum, logicalAnd, logicalOr };
const compareMethods = { equal, notEqual, less, lessEqual, greater, greaterEqual };

type UnaryMethods<D extends DType> = { [K in keyof typeof unaryMethods]: () => Tensor<D> };
type BinaryMethods<D extends DType> = {
  [K in keyof typeof binaryMethods]: <B extends DType = D>(other: Tensor<B> | number) => Tensor<Promoted<D, B>>;
};
type CompareMethods = { [K in keyof typeof compareMethods]: (other: Operand) => Tensor<'bool'> };

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> extends UnaryMethods<D>, BinaryMethods<D>, CompareMethods {}
}

defineMethods({ ...unaryMethods, ...binaryMethods, ...compareMethods });

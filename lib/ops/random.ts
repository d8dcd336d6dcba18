/** Random choices. The numbers come from a Philox counter: they depend on the seed, not on threads or the CPU. */
import { permutation as shuffle } from '../tensor/shuffle';
import { ShapeError } from '../errors';
import { rand, tensor } from '../tensor/creation';
import type { DType } from '../tensor/dtype';
import { defaultGenerator, type Generator } from '../tensor/generator';
import { live } from '../tensor/recorder';
import { checkInteger, checkNumber, formatShape, sizeOf } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { add, div, mul } from './binary';
import { less } from './compare';
import { cast } from './copies';
import { argmax, requireFloat, sum } from './reduce';
import { run } from './run';
import { cumsum } from './scan';
import { searchSorted, topK } from './sort';
import { log, neg } from './unary';

/** Where random numbers come from. */
export interface GeneratorOption {
  /** Default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/**
 * 1 with the given probability, else 0, independently for each element.
 * @param probability float tensor with values in [0, 1]
 * @returns a tensor of probability's shape and dtype; no gradient flows through
 */
export function bernoulli<D extends DType>(probability: Tensor<D>, options: GeneratorOption = {}): Tensor<D> {
  const p = requireFloat('bernoulli', 'probability', probability);
  const draw = rand(p.shape, { ...options, like: p });
  return cast(less(draw, cast(p.detach(), 'float32')), probability.dtype);
}

/**
 * A class for each row, drawn with the probabilities softmax(logits) (by the Gumbel-max trick; Maddison et al., 2014).
 * @param logits float [..., classes], unnormalized log-probabilities
 * @returns int32 [...]
 */
export function categorical(logits: AnyTensor, options: GeneratorOption = {}): Tensor<'int32'> {
  const x = requireFloat('categorical', 'logits', logits);
  if (x.rank === 0 || x.shape[x.rank - 1] === 0) {
    throw new ShapeError(`categorical: logits ${formatShape(x.shape)} have no classes`);
  }
  return argmax(add(x.detach(), cast(gumbel(x, options), x.dtype)), -1);
}

/** -log(-log u) for uniform u in (0, 1). */
function gumbel(x: Tensor, options: GeneratorOption): Tensor {
  // Not 0, whose logarithm is infinite; the smallest draw of 24 bits is far above this.
  const u = rand(x.shape, { range: [2 ** -25, 1], generator: options.generator, like: x });
  return neg(log(neg(log(u))));
}

/** Options of {@link multinomial}. */
export interface MultinomialOptions extends GeneratorOption {
  /** Whether a class may be drawn more than once. Default false, as in PyTorch. */
  replacement?: boolean;
}

/**
 * Draws `count` classes for each row.
 * @param weights float [classes] or [n, classes], not negative; need not sum to 1
 * @returns int32 [count] or [n, count]
 * @throws RangeError if more classes are asked for than a row has, unless with replacement.
 */
export function multinomial(weights: AnyTensor, count: number, options: MultinomialOptions = {}): Tensor<'int32'> {
  const w = requireFloat('multinomial', 'weights', weights).detach();
  if (w.rank !== 1 && w.rank !== 2) {
    throw new ShapeError(`multinomial: weights must be [classes] or [n, classes], got ${formatShape(w.shape)}`);
  }
  const classes = w.shape[w.rank - 1];
  const { replacement = false, generator } = options;
  checkInteger('multinomial', 'count', count, 0, replacement ? 2 ** 31 - 1 : classes);
  if (!replacement) return topK(add(log(w), cast(gumbel(w, { generator }), w.dtype)), count).indices;
  const running = div(cumsum(w, -1), sum(w, -1, { keepDims: true }));
  const draws = cast(rand([...w.shape.slice(0, -1), count], { generator, like: w }), w.dtype);
  // The last sum may be rounded below the largest draw.
  return searchSorted(running, draws, { right: true }).minimum(classes - 1);
}

/** The numbers 0 to n - 1 in random order, int32. PyTorch's randperm. */
export function permutation(n: number, options: GeneratorOption = {}): Tensor<'int32'> {
  checkInteger('permutation', 'n', n, 0, 2 ** 31 - 1);
  return tensor(shuffle(n, (options.generator ?? defaultGenerator()).fork()));
}

/** Options of {@link dropout}. */
export interface DropoutOptions extends GeneratorOption {
  /** Whether to drop at all. Default true; layers give their own mode. */
  training?: boolean;
  /** Axes along which all elements are dropped or kept together. Default none. */
  together?: readonly number[];
}

/**
 * Zeroes each element with probability `p` and scales the others by 1/(1 - p), so that the expectation stays
 * (Srivastava et al., 2014).
 * @param p in [0, 1]; default 0.5
 * @throws RangeError for a p outside [0, 1].
 */
export function dropout<D extends DType>(x: Tensor<D>, p = 0.5, options: DropoutOptions = {}): Tensor<D> {
  const input = requireFloat('dropout', 'x', x);
  checkNumber('dropout', 'p', p, 0, 1);
  if (options.training === false || p === 0) return x;
  const together = options.together ?? [];
  const shape = input.shape.map((extent, axis) => (together.includes(axis) ? 1 : extent));
  const mask = live(() => {
    const ints = (options.generator ?? defaultGenerator()).take(sizeOf(shape));
    return run('randomBernoulli', [], shape, 'float32', ints, [1 - p, p === 1 ? 0 : 1 / (1 - p)], input._device);
  });
  return mul(input, cast(mask, input.dtype)) as unknown as Tensor<D>;
}

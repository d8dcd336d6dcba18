/** Losses over classes: cross-entropy and the negative log-likelihood. */
import { isRecording, record } from '../../autograd/node';
import { ShapeError } from '../../errors';
import { checkInteger, checkNumber, formatShape, sameShape } from '../../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../../tensor/tensor';
import { add, div, mul, neg, notEqual, sub, where } from '../elementwise';
import { indexSelect, oneHot, type Index } from '../gather';
import { mean, requireFloat, requireSame, sum } from '../reduce';
import { run } from '../run';
import { logSoftmax, softmax } from '../softmax';
import { permute, reshape, squeeze, unsqueeze } from '../views';
import {
  checkClassWeight,
  checkReduction,
  choose,
  isIndices,
  requireIndices,
  type LossOptions,
  type Reduction,
} from './common';
import { pickLabels } from './labels';

/** Options of {@link nllLoss}. */
export interface NllOptions extends LossOptions {
  /** Floating [classes]: how much each class counts; 'mean' divides by the sum of the weights. Default 1 each. */
  weight?: AnyTensor;
  /** A label that marks positions to leave out of the loss and its mean. Default -100. */
  ignoreIndex?: number;
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends NllOptions {
  /** In [0, 1]: the share of the target that is spread evenly over all classes. Default 0. */
  labelSmoothing?: number;
}

/** PyTorch's default. */
const defaultIgnoreIndex = -100;

/** [n, c, d1, ...] as [n·d1·..., c]; [c] as [1, c]. */
function toRows(x: Tensor): Tensor {
  if (x.rank === 1) return unsqueeze(x, 0);
  if (x.rank === 2) return x;
  const axes = x.shape.map((_, axis) => axis);
  return reshape(permute(x, [0, ...axes.slice(2), 1]), [x.size / x.shape[1], x.shape[1]]);
}

/** The shape without the class axis. */
function sampleShape(x: Tensor): number[] {
  return x.rank === 1 ? [] : x.shape.filter((_, axis) => axis !== 1);
}

function classesOf(op: string, name: string, x: Tensor): number {
  if (x.rank === 0) {
    throw new ShapeError(`${op}: expected ${name} [n, classes] and labels [n], got a scalar`);
  }
  const classes = x.shape[x.rank === 1 ? 0 : 1];
  if (classes === 0) throw new ShapeError(`${op}: ${name} ${formatShape(x.shape)} have no classes`);
  return classes;
}

function checkLabels(op: string, name: string, x: Tensor, labels: AnyTensor): Tensor<'int32'> {
  const checked = requireIndices(op, 'labels', labels);
  if (!sameShape(checked.shape, sampleShape(x))) {
    throw new ShapeError(
      `${op}: expected ${name} [n, classes] and labels [n] (or [n, classes, d1, ...] and [n, d1, ...]), got ` +
        `${formatShape(x.shape)} and ${formatShape(checked.shape)}`,
    );
  }
  return checked;
}

/** -log softmax(row)[label], one fused pass over each row. @throws RangeError for a label out of range. */
function fusedCrossEntropy(rows: Tensor, labels: Tensor<'int32'>): Tensor {
  const loss = run('crossEntropy', [rows, labels], [labels.size], rows.dtype);
  if (isRecording(rows)) {
    record('crossEntropy', loss, [rows], [rows, labels], (grad, { saved }) => {
      const [x, y] = saved;
      return [crossEntropyBackward(x as Tensor, y as Tensor<'int32'>, grad)];
    });
  }
  return loss;
}

/** (softmax(logits) - onehot(labels))·grad, one pass over each row. */
function crossEntropyBackward(logits: Tensor, labels: Tensor<'int32'>, grad: Tensor): Tensor {
  const out = run('crossEntropyBackward', [logits, labels, grad], logits.shape, logits.dtype);
  if (isRecording(logits, grad)) {
    record('crossEntropyBackward', out, [logits, grad], [logits, labels, grad], (second, { saved, needs }) => {
      const [x, y, g] = saved as [Tensor, Tensor<'int32'>, Tensor];
      const p = softmax(x);
      const scaled = mul(second, unsqueeze(g, 1));
      return [
        needs[0] ? mul(p, sub(scaled, sum(mul(scaled, p), -1, { keepDims: true }))) : null,
        needs[1] ? sum(mul(second, sub(p, oneHot(y, x.shape[1], { dtype: x.dtype }))), -1) : null,
      ];
    });
  }
  return out;
}

/** -row[label] of each row. */
function pickNegative(rows: Tensor, labels: Tensor<'int32'>): Tensor {
  return neg(squeeze(pickLabels('nllLoss', rows, labels), 1));
}

type RowLoss = (rows: Tensor, labels: Tensor<'int32'>) => Tensor;

interface RowOptions {
  readonly weight: Tensor | undefined;
  readonly ignoreIndex: number;
  readonly reduction: Reduction;
  /** The shape of the result where it is not reduced. */
  readonly shape: readonly number[];
  /** With label smoothing: its amount, and the loss against evenly spread targets times it, one per row. */
  readonly smoothing?: { readonly amount: number; readonly spread: Tensor };
}

/** Reduces `lossOf` over the rows with class weights, ignored labels and smoothing. */
function reduceRows(rows: Tensor, labels: Tensor<'int32'>, lossOf: RowLoss, options: RowOptions): Tensor {
  const { weight, smoothing, reduction } = options;
  const isValid = notEqual(labels, options.ignoreIndex);
  // Ignored labels may be anything: they are replaced before something is looked up with them.
  const safe = where(isValid, labels as AnyTensor, 0) as unknown as Tensor<'int32'>;
  const plain = lossOf(rows, safe);
  const share = weight === undefined ? 1 : indexSelect(weight, safe);
  let loss = typeof share === 'number' ? plain : mul(plain, share);
  if (smoothing !== undefined) loss = add(mul(loss, 1 - smoothing.amount), smoothing.spread);
  loss = choose(isValid, loss, 0);
  if (reduction === 'none') return reshape(loss, options.shape);
  return reduction === 'sum' ? sum(loss) : div(sum(loss), sum(choose(isValid, share, 0)));
}

/** Labels as a vector, in the order of {@link toRows}. */
function flatLabels(labels: Tensor<'int32'>): Tensor<'int32'> {
  return labels.rank === 1 ? labels : reshape(labels, [labels.size]);
}

/**
 * The negative log-likelihood -logProbs[label], for predictions that are logarithms of probabilities
 * already ({@link logSoftmax}). {@link crossEntropy} does both at once.
 * @param logProbs floating [n, classes], or [n, classes, d1, ...], or [classes]
 * @param labels int32 or int64 [n], or [n, d1, ...], or a scalar, with values in [0, classes)
 * @param options `weight` [classes]; `ignoreIndex`: default -100; `reduction`: default 'mean', which divides
 * by the sum of the weights of the labels that are not ignored
 * @throws RangeError for a label that is out of range; ShapeError, DTypeError.
 */
export function nllLoss(logProbs: AnyTensor, labels: Index, options: NllOptions = {}): Tensor {
  const x = requireFloat('nllLoss', 'logProbs', logProbs);
  const reduction = checkReduction('nllLoss', options.reduction);
  const classes = classesOf('nllLoss', 'logProbs', x);
  const target = checkLabels('nllLoss', 'logProbs', x, labels);
  return reduceRows(toRows(x), flatLabels(target), pickNegative, {
    weight: options.weight && checkClassWeight('nllLoss', options.weight, x, classes),
    ignoreIndex: checkIgnoreIndex('nllLoss', options.ignoreIndex),
    reduction,
    shape: target.shape,
  });
}

function checkIgnoreIndex(op: string, ignoreIndex = defaultIgnoreIndex): number {
  return checkInteger(op, 'ignoreIndex', ignoreIndex, -(2 ** 31), 2 ** 31 - 1);
}

/** Cross-entropy against class numbers; `map` is applied to the loss of each row before it is weighted. */
export function crossEntropyRows(
  op: string,
  logits: AnyTensor,
  labels: AnyTensor,
  options: CrossEntropyOptions,
  map?: (loss: Tensor) => Tensor,
): Tensor {
  const input = requireFloat(op, 'logits', logits);
  const reduction = checkReduction(op, options.reduction);
  const classes = classesOf(op, 'logits', input);
  const target = checkLabels(op, 'logits', input, labels);
  const weight = options.weight && checkClassWeight(op, options.weight, input, classes);
  const ignoreIndex = checkIgnoreIndex(op, options.ignoreIndex);
  const rows = toRows(input);
  const flat = flatLabels(target);
  const lossOf: RowLoss = map === undefined ? fusedCrossEntropy : (x, y) => map(fusedCrossEntropy(x, y));
  const labelSmoothing = options.labelSmoothing ?? 0;
  if (weight === undefined && options.ignoreIndex === undefined && labelSmoothing === 0) {
    const loss = withValidLabels(() => lossOf(rows, flat));
    if (loss !== null) return reduction === 'none' ? reshape(loss, target.shape) : reduce(loss, reduction);
  }
  const smoothing = labelSmoothing > 0 ? smooth(rows, weight, labelSmoothing) : undefined;
  return reduceRows(rows, flat, lossOf, { weight, ignoreIndex, reduction, shape: target.shape, smoothing });
}

/** `amount` times the loss against evenly spread targets. */
function smooth(rows: Tensor, weight: Tensor | undefined, amount: number): RowOptions['smoothing'] {
  const logProbs = logSoftmax(rows);
  const total = sum(weight === undefined ? logProbs : mul(logProbs, weight), -1);
  return { amount, spread: mul(total, -amount / rows.shape[1]) };
}

function reduce(loss: Tensor, reduction: 'mean' | 'sum'): Tensor {
  return reduction === 'sum' ? sum(loss) : mean(loss);
}

/**
 * The loss per row, or null where a label is out of range: it may be the one that is ignored by default.
 * Kernels refuse such labels before they compute anything, so that looking for it first would cost more.
 */
function withValidLabels(compute: () => Tensor): Tensor | null {
  // In a compiled step there is no second try: it takes the default as a label out of range.
  try {
    return compute();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Cross-entropy against probabilities. */
function againstProbabilities(input: Tensor, target: Tensor, options: CrossEntropyOptions): Tensor {
  const op = 'crossEntropy';
  const { labelSmoothing = 0, reduction = 'mean' } = options;
  const classes = classesOf(op, 'logits', input);
  if (options.ignoreIndex !== undefined) {
    throw new TypeError(`${op}: ignoreIndex goes with class numbers, the target is ${target.dtype} probabilities`);
  }
  const weight = options.weight && checkClassWeight(op, options.weight, input, classes);
  const probabilities = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target;
  const logProbs = logSoftmax(toRows(input));
  const terms = mul(toRows(probabilities), weight === undefined ? logProbs : mul(logProbs, weight));
  const loss = neg(sum(terms, -1));
  return reduction === 'none' ? reshape(loss, sampleShape(input)) : reduce(loss, reduction);
}

/**
 * Cross-entropy between logits and the right classes, or probabilities of the classes:
 * -Σ target·log softmax(logits), computed stably. For class numbers without options it is one fused pass.
 * @param logits floating [n, classes], or [n, classes, d1, ...], or [classes]; unnormalized
 * @param target int32 or int64 class numbers in [0, classes): [n], or [n, d1, ...], or a scalar; or floating
 * probabilities of the shape of the logits
 * @param options `weight` [classes]; `ignoreIndex`: default -100, for class numbers only; `labelSmoothing`
 * in [0, 1]: default 0 (Szegedy et al., 2016); `reduction`: default 'mean', which for class numbers
 * divides by the sum of the weights of the labels that are not ignored, for probabilities by their number
 * @throws RangeError naming the first label that is out of range; ShapeError, DTypeError; TypeError for
 * `ignoreIndex` with probabilities.
 */
export function crossEntropy(logits: AnyTensor, target: AnyTensor, options: CrossEntropyOptions = {}): Tensor {
  const input = requireFloat('crossEntropy', 'logits', logits);
  checkReduction('crossEntropy', options.reduction);
  checkNumber('crossEntropy', 'labelSmoothing', options.labelSmoothing ?? 0, 0, 1);
  if (!isTensor(target)) throw new TypeError('crossEntropy: labels must be an int32 tensor');
  target._check('crossEntropy');
  if (isIndices(target)) return crossEntropyRows('crossEntropy', input, target, options);
  const probabilities = requireFloat('crossEntropy', 'target', target);
  if (!sameShape(input.shape, probabilities.shape)) {
    throw new ShapeError(
      `crossEntropy: labels must be int32 class numbers, or probabilities of the logits' shape ` +
        `${formatShape(input.shape)}, got ${target.dtype} ${formatShape(target.shape)}`,
    );
  }
  requireSame('crossEntropy', input, probabilities);
  return againstProbabilities(input, probabilities, options);
}

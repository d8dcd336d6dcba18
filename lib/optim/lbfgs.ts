import { GradientError } from '../errors';
import { noGrad } from '../autograd/node';
import { assign } from '../ops/update';
import { tensor } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { checkInteger, checkNumber } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';

/** Options of {@link LBFGS}. */
export interface LBFGSOptions {
  /** Length of a step. Default 1. */
  lr?: number;
  /** Iterations in one call of `step`. Default 20. */
  maxIterations?: number;
  /** Evaluations in one call of `step`. Default 1.25·maxIterations. */
  maxEvaluations?: number;
  /** Stop where the largest element of the gradient is below. Default 1e-7. */
  toleranceGrad?: number;
  /** Stop where steps or the loss change less. Default 1e-9. */
  toleranceChange?: number;
  /** How many past steps the curvature is estimated from. Default 100. */
  historySize?: number;
  /** 'strongWolfe' chooses the length of each step by Wolfe's conditions. Default none. */
  lineSearch?: 'strongWolfe';
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
const largest = (a: Float64Array): number => a.reduce((top, x) => Math.max(top, Math.abs(x)), 0);

interface Point {
  t: number;
  loss: number;
  grad: Float64Array;
  slope: number;
}

/**
 * Limited-memory BFGS (Liu and Nocedal, 1989): for small problems that are computed as a whole. The iterations are
 * PyTorch's; the vectors are kept in float64. `step` takes the closure that clears the gradients, computes the loss and
 * calls `backward`.
 */
export class LBFGS {
  readonly parameters: readonly Tensor[];
  lr: number;
  private readonly options: Required<Omit<LBFGSOptions, 'lr' | 'lineSearch'>>;
  private readonly lineSearch: boolean;
  private readonly steps: Float64Array[] = [];
  private readonly changes: Float64Array[] = [];
  private direction: Float64Array | null = null;
  private previous: Float64Array | null = null;
  private length = 0;
  private curvature = 1;
  private iterations = 0;
  private evaluations = 0;

  constructor(parameters: Iterable<Tensor>, options: LBFGSOptions = {}) {
    const { lr = 1, maxIterations = 20, toleranceGrad = 1e-7, toleranceChange = 1e-9, historySize = 100 } = options;
    const { maxEvaluations = Math.floor(1.25 * maxIterations), lineSearch } = options;
    checkNumber('LBFGS', 'lr', lr, 0);
    checkInteger('LBFGS', 'maxIterations', maxIterations, 1, 2 ** 31 - 1);
    checkInteger('LBFGS', 'maxEvaluations', maxEvaluations, 1, 2 ** 31 - 1);
    checkInteger('LBFGS', 'historySize', historySize, 1, 2 ** 31 - 1);
    checkNumber('LBFGS', 'toleranceGrad', toleranceGrad, 0);
    checkNumber('LBFGS', 'toleranceChange', toleranceChange, 0);
    if (lineSearch !== undefined && (lineSearch as string) !== 'strongWolfe') {
      throw new TypeError(`LBFGS: unknown lineSearch ${lineSearch}; known is strongWolfe`);
    }
    this.parameters = [...parameters];
    this.parameters.forEach((parameter, i) => {
      if (!isTensor(parameter)) throw new TypeError(`LBFGS: parameter ${String(i)} is not a tensor`);
    });
    this.lr = lr;
    this.options = { maxIterations, maxEvaluations, toleranceGrad, toleranceChange, historySize };
    this.lineSearch = lineSearch !== undefined;
  }

  /** Drops the gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /**
   * Up to `maxIterations` iterations.
   * @returns the loss before them
   * @throws GradientError if the closure leaves no gradients.
   */
  step(closure: () => Tensor): number {
    const { maxIterations, toleranceGrad, toleranceChange } = this.options;
    const first = this.evaluate(closure);
    let { loss, grad } = first;
    if (largest(grad) <= toleranceGrad) return first.loss;
    this.evaluations = 1;
    for (let n = 1; n <= maxIterations; n++) {
      this.iterations++;
      this.chooseDirection(grad);
      const direction = this.direction as Float64Array;
      this.previous = grad;
      const before = loss;
      const slope = dot(grad, direction);
      this.length =
        this.iterations === 1 ? Math.min(1, 1 / grad.reduce((sum, x) => sum + Math.abs(x), 0)) * this.lr : this.lr;
      if (slope > -toleranceChange) break;
      const start = this.gather();
      if (this.lineSearch) {
        const found = this.search(closure, start, direction, { t: 0, loss, grad, slope });
        this.length = found.t;
        ({ loss, grad } = found);
        this.move(start, direction, this.length);
      } else {
        this.move(start, direction, this.length);
        if (n === maxIterations) break;
        ({ loss, grad } = this.evaluate(closure));
        this.evaluations++;
      }
      const isDone =
        this.evaluations >= this.options.maxEvaluations ||
        largest(grad) <= toleranceGrad ||
        largest(direction) * this.length <= toleranceChange ||
        Math.abs(loss - before) < toleranceChange;
      if (isDone) break;
    }
    return first.loss;
  }

  /** -H·grad by the two-loop recursion over the history. */
  private chooseDirection(grad: Float64Array): void {
    if (this.iterations === 1 || this.previous === null || this.direction === null) {
      this.direction = grad.map((x) => -x);
      return;
    }
    const { previous, direction, length } = this;
    const change = grad.map((x, i) => x - previous[i]);
    const step = direction.map((x) => x * length);
    const product = dot(change, step);
    if (product > 1e-10) {
      if (this.steps.length === this.options.historySize) {
        this.steps.shift();
        this.changes.shift();
      }
      this.steps.push(step);
      this.changes.push(change);
      this.curvature = product / dot(change, change);
    }
    const weights = new Array<number>(this.steps.length);
    const q = grad.map((x) => -x);
    for (let i = this.steps.length - 1; i >= 0; i--) {
      weights[i] = dot(this.steps[i], q) / dot(this.changes[i], this.steps[i]);
      for (let j = 0; j < q.length; j++) q[j] -= weights[i] * this.changes[i][j];
    }
    for (let j = 0; j < q.length; j++) q[j] *= this.curvature;
    for (let i = 0; i < this.steps.length; i++) {
      const back = dot(this.changes[i], q) / dot(this.changes[i], this.steps[i]);
      for (let j = 0; j < q.length; j++) q[j] += this.steps[i][j] * (weights[i] - back);
    }
    this.direction = q;
  }

  /** A length that meets the strong Wolfe conditions: brackets it, then halves by cubic interpolation. */
  private search(closure: () => Tensor, start: Float64Array, direction: Float64Array, from: Point): Point {
    const [decrease, flatten] = [1e-4, 0.9];
    const at = (t: number): Point => {
      this.move(start, direction, t);
      this.evaluations++;
      const { loss, grad } = this.evaluate(closure);
      return { t, loss, grad, slope: dot(grad, direction) };
    };
    const isTooHigh = (p: Point, low: Point): boolean =>
      p.loss > from.loss + decrease * p.t * from.slope || p.loss >= low.loss;
    let low = from;
    let high: Point | null = null;
    let t = this.length;
    for (let i = 0; i < 25; i++) {
      const p = at(t);
      if (!Number.isFinite(p.loss) || (isTooHigh(p, low) && (high !== null || i > 0 || p.loss > from.loss))) high = p;
      else if (Math.abs(p.slope) <= -flatten * from.slope && p.loss <= from.loss + decrease * p.t * from.slope)
        return p;
      else if (p.slope >= 0 || (high !== null && p.slope * (high.t - low.t) >= 0)) {
        high = high !== null && p.slope < 0 ? high : low;
        low = p;
      } else low = p;
      if (high === null) {
        t = Math.min(10 * p.t, p.t * 2.5);
        continue;
      }
      if (Math.abs(high.t - low.t) * largest(direction) < this.options.toleranceChange) break;
      t = between(low, high);
    }
    return low.t > 0 ? low : at(this.length);
  }

  private evaluate(closure: () => Tensor): { loss: number; grad: Float64Array } {
    const loss = tidy(() => closure().item());
    const parts = this.parameters.map((parameter) => {
      const { grad } = parameter;
      return grad === null ? new Float64Array(parameter.size) : Float64Array.from(grad.dataSync());
    });
    if (this.parameters.every(({ grad }) => grad === null)) {
      throw new GradientError('LBFGS: the closure left no gradients; it must call backward()');
    }
    return { loss, grad: join(parts) };
  }

  private gather(): Float64Array {
    return join(this.parameters.map((parameter) => Float64Array.from(parameter.dataSync())));
  }

  /** The parameters at start + t·direction. */
  private move(start: Float64Array, direction: Float64Array, t: number): void {
    let offset = 0;
    noGrad(() => {
      tidy(() => {
        for (const parameter of this.parameters) {
          const values = Float64Array.from(
            { length: parameter.size },
            (_, i) => start[offset + i] + t * direction[offset + i],
          );
          assign(parameter, tensor(values, { shape: parameter.shape, dtype: parameter.dtype }));
          offset += parameter.size;
        }
      });
    });
  }
}

/** The minimum of the cubic through two points, or their middle where it lies too near an end. */
function between(a: Point, b: Point): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 * d1 - a.slope * b.slope;
  const middle = (a.t + b.t) / 2;
  if (!(square >= 0)) return middle;
  const d2 = Math.sign(b.t - a.t) * Math.sqrt(square);
  const t = b.t - ((b.t - a.t) * (b.slope + d2 - d1)) / (b.slope - a.slope + 2 * d2);
  const [low, high] = [Math.min(a.t, b.t), Math.max(a.t, b.t)];
  const margin = 0.1 * (high - low);
  return t > low + margin && t < high - margin ? t : middle;
}

function join(parts: readonly Float64Array[]): Float64Array {
  const result = new Float64Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

import { noGrad } from '../autograd/node';
import { GradientError, ShapeError } from '../errors';
import { assign } from '../ops/update';
import { tensor } from '../tensor/creation';
import { tidy } from '../tensor/scope';
import { checkInteger, checkNumber, describe } from '../tensor/shape';
import { isTensor, type Tensor } from '../tensor/tensor';
import { strongWolfe, type Trial } from './lineSearch';
import { lossOf, Optimizer, type GroupSettings, type ParameterGroup, type Parameters } from './optimizer';
import { denseGrad } from './sparse';
import { checkSaved, type OptimizerState, type SavedSlot } from './state';

/** Settings of {@link LBFGS}. */
export interface LBFGSSettings extends GroupSettings {
  /** Iterations in one call of `step`. Default 20. */
  maxIter: number;
  /** Evaluations in one call of `step`. Default 1.25·maxIter. */
  maxEval: number;
  /** Stop where the largest element of the gradient is below. Default 1e-7. */
  toleranceGrad: number;
  /** Stop where steps or the loss change less. Default 1e-9. */
  toleranceChange: number;
  /** How many past steps the curvature is estimated from. Default 100. */
  historySize: number;
  /** 'strongWolfe' chooses the length of each step by Wolfe's conditions; 'none' (default) takes `lr`. */
  lineSearchFn: 'none' | 'strongWolfe';
}

/** Options of {@link LBFGS}; `lr` defaults to 1. */
export type LBFGSOptions = Partial<LBFGSSettings>;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addScaled(to: Float64Array, from: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i] += factor * from[i];
}

const largest = (a: Float64Array): number => a.reduce((top, x) => Math.max(top, Math.abs(x)), 0);

/** What is known of the curvature. */
interface Memory {
  direction: Float64Array;
  /** The gradient before the last step, and that step's length. */
  previous: Float64Array;
  length: number;
  /** Past steps and what they changed of the gradient, the oldest first. */
  steps: Float64Array[];
  changes: Float64Array[];
  /** Of the last step: the inverse Hessian's first approximation. */
  scale: number;
}

/**
 * Limited-memory BFGS (Liu and Nocedal, 1989): for small problems that are computed as a whole. The iterations are
 * PyTorch's; the vectors are kept in float64. `step` takes the closure that clears the gradients, computes the loss and
 * calls `backward`; it calls it several times. All parameters are in one group.
 */
export class LBFGS extends Optimizer<LBFGSSettings> {
  private memory: Memory | null = null;
  private iterations = 0;

  constructor(parameters: Parameters<LBFGSSettings>, options: LBFGSOptions = {}) {
    const maxIter = options.maxIter ?? 20;
    const defaults: LBFGSSettings = {
      lr: 1,
      maxIter,
      maxEval: Math.floor(1.25 * maxIter),
      toleranceGrad: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearchFn: 'none',
    };
    super('LBFGS', parameters, defaults, options);
  }

  override addParamGroup(group: ParameterGroup<LBFGSSettings>): void {
    if (this.paramGroups.length > 0) throw new RangeError('LBFGS: all parameters must be in one group');
    super.addParamGroup(group);
  }

  protected override check(s: LBFGSSettings): void {
    checkInteger('LBFGS', 'maxIter', s.maxIter, 1, 2 ** 31 - 1);
    checkInteger('LBFGS', 'maxEval', s.maxEval, 1, 2 ** 31 - 1);
    checkInteger('LBFGS', 'historySize', s.historySize, 1, 2 ** 31 - 1);
    checkNumber('LBFGS', 'toleranceGrad', s.toleranceGrad, 0);
    checkNumber('LBFGS', 'toleranceChange', s.toleranceChange, 0);
    if (!['none', 'strongWolfe'].includes(s.lineSearchFn)) {
      throw new RangeError(`LBFGS: unknown lineSearchFn ${describe(s.lineSearchFn)}; known are none, strongWolfe`);
    }
  }

  override step(): void;
  override step(closure: () => Tensor): number;
  /**
   * Up to `maxIter` iterations.
   * @returns the loss before them
   * @throws GradientError if the closure leaves no gradients; TypeError if there is none.
   */
  override step(closure?: () => Tensor): number {
    if (closure === undefined) {
      throw new TypeError('LBFGS: step needs a closure that computes the loss and calls backward()');
    }
    const [s] = this.paramGroups;
    checkNumber('step', 'lr', s.lr, 0);
    const first = this.evaluate(closure);
    let { loss, grad } = first;
    if (largest(grad) <= s.toleranceGrad) return first.loss;
    let evaluations = 1;
    for (let n = 1; n <= s.maxIter; n++) {
      this.iterations++;
      const memory = this.advance(grad);
      const { direction } = memory;
      const before = loss;
      const slope = dot(grad, direction);
      if (slope > -s.toleranceChange) break;
      const start = this.gather();
      if (s.lineSearchFn === 'strongWolfe') {
        const at = (t: number): Trial => {
          this.move(start, direction, t);
          evaluations++;
          const found = this.evaluate(closure);
          return { t, ...found, slope: dot(found.grad, direction) };
        };
        const from = { t: 0, loss, grad, slope };
        const found = strongWolfe(at, from, memory.length, largest(direction), s.toleranceChange);
        memory.length = found.t;
        ({ loss, grad } = found);
        this.move(start, direction, found.t);
      } else {
        this.move(start, direction, memory.length);
        if (n === s.maxIter) break;
        ({ loss, grad } = this.evaluate(closure));
        evaluations++;
      }
      const isDone =
        evaluations >= s.maxEval ||
        largest(grad) <= s.toleranceGrad ||
        largest(direction) * memory.length <= s.toleranceChange ||
        Math.abs(loss - before) < s.toleranceChange;
      if (isDone) break;
    }
    return first.loss;
  }

  /** Notes what the last step changed and chooses the next direction and the length to begin with. */
  private advance(grad: Float64Array): Memory {
    const { lr, historySize } = this.paramGroups[0];
    const { memory } = this;
    if (memory === null) {
      const length = Math.min(1, 1 / grad.reduce((sum, x) => sum + Math.abs(x), 0));
      const direction = grad.map((x) => -x);
      return (this.memory = { direction, previous: grad, length: length * lr, steps: [], changes: [], scale: 1 });
    }
    const change = grad.map((x, i) => x - memory.previous[i]);
    const step = memory.direction.map((x) => x * memory.length);
    const product = dot(change, step);
    if (product > 1e-10) {
      memory.steps.push(step);
      memory.changes.push(change);
      const surplus = Math.max(0, memory.steps.length - historySize);
      memory.steps.splice(0, surplus);
      memory.changes.splice(0, surplus);
      memory.scale = product / dot(change, change);
    }
    memory.direction = newtonDirection(grad, memory);
    memory.previous = grad;
    memory.length = lr;
    return memory;
  }

  private evaluate(closure: () => Tensor): { loss: number; grad: Float64Array } {
    const loss = lossOf(closure);
    const { parameters } = this;
    if (parameters.every(({ grad, sparseGrad }) => grad === null && sparseGrad === null)) {
      throw new GradientError('LBFGS: the closure left no gradients; it must call backward()');
    }
    return { loss, grad: join(parameters.map(gradOf)) };
  }

  private gather(): Float64Array {
    return join(this.parameters.map((parameter) => parameter.dataSync()));
  }

  /** The parameters at start + t·direction. */
  private move(start: Float64Array, direction: Float64Array, t: number): void {
    let offset = 0;
    noGrad(() => {
      tidy(() => {
        for (const parameter of this.parameters) {
          const values = start.slice(offset, offset + parameter.size);
          addScaled(values, direction.subarray(offset, offset + parameter.size), t);
          assign(parameter, tensor(values, { shape: parameter.shape, like: parameter }));
          offset += parameter.size;
        }
      });
    });
  }

  /** What is known of the curvature, under '0', in new tensors; the settings. */
  override stateDict(): OptimizerState {
    const { memory } = this;
    if (memory === null) return { state: {}, groups: this.savedGroups() };
    const size = memory.direction.length;
    const matrix = (rows: readonly Float64Array[]): Tensor<'float64'> =>
      tensor(join(rows), { shape: [rows.length, size], dtype: 'float64' });
    const tensors = [[memory.direction], [memory.previous], memory.steps, memory.changes].map(matrix);
    const slot = { steps: this.iterations, tensors, numbers: [memory.length, memory.scale] };
    return { state: { 0: slot }, groups: this.savedGroups() };
  }

  override loadStateDict(saved: OptimizerState): void {
    checkSaved('LBFGS', saved);
    const groups = this.loadedGroups(saved);
    const slot = (saved.state as Readonly<Record<string, SavedSlot | null | undefined>>)['0'];
    if (slot !== undefined && (typeof slot !== 'object' || slot === null)) {
      throw new TypeError(`LBFGS: the saved state is ${describe(slot)}`);
    }
    const memory = slot === undefined ? null : this.memoryOf(slot);
    this.iterations = slot?.steps ?? 0;
    this.memory = memory;
    this.loadGroups(groups);
  }

  private memoryOf({ steps, tensors, numbers }: SavedSlot): Memory {
    checkInteger('LBFGS', 'the saved steps', steps, 0, Number.MAX_SAFE_INTEGER);
    const size = this.parameters.reduce((sum, parameter) => sum + parameter.size, 0);
    const given: readonly unknown[] = Array.isArray(tensors) ? tensors : [];
    const matrices = given.filter(isTensor).filter((x) => x.rank === 2 && x.dtype === 'float64' && x.shape[1] === size);
    const counts = matrices.map(({ shape }) => shape[0]);
    const fits = given.length === 4 && counts.length === 4 && counts[0] === 1 && counts[1] === 1;
    if (!fits || counts[2] !== counts[3] || !Array.isArray(numbers) || numbers.length !== 2) {
      throw new ShapeError(`LBFGS: the saved state does not fit parameters of ${size} elements`);
    }
    const [[direction], [previous], past, changes] = matrices.map((x, i) => {
      const values = Float64Array.from(x.dataSync() as Float64Array);
      return Array.from({ length: counts[i] }, (_, row) => values.slice(row * size, (row + 1) * size));
    });
    const [length, scale] = numbers.map((x) => checkNumber('LBFGS', 'a saved number', x));
    return { direction, previous, length, steps: past, changes, scale };
  }

  /** Forgets the curvature; the next step starts afresh. */
  override dispose(): void {
    this.memory = null;
    this.iterations = 0;
  }
}

/** -H·grad by the two-loop recursion over the history. */
function newtonDirection(grad: Float64Array, { steps, changes, scale }: Memory): Float64Array {
  const q = grad.map((x) => -x);
  const inverse = steps.map((step, i) => 1 / dot(changes[i], step));
  const weights = new Float64Array(steps.length);
  for (let i = steps.length - 1; i >= 0; i--) {
    weights[i] = dot(steps[i], q) * inverse[i];
    addScaled(q, changes[i], -weights[i]);
  }
  for (let j = 0; j < q.length; j++) q[j] *= scale;
  for (let i = 0; i < steps.length; i++) {
    addScaled(q, steps[i], weights[i] - dot(changes[i], q) * inverse[i]);
  }
  return q;
}

function gradOf(parameter: Tensor): ArrayLike<number> {
  const { grad, sparseGrad } = parameter;
  if (sparseGrad !== null) return tidy(() => denseGrad(grad, sparseGrad, parameter).dataSync());
  return grad === null ? new Float64Array(parameter.size) : grad.dataSync();
}

function join(parts: readonly ArrayLike<number>[]): Float64Array {
  const result = new Float64Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

/** {@link LBFGS} */
export const lbfgs = (parameters: Parameters<LBFGSSettings>, options?: LBFGSOptions): LBFGS =>
  new LBFGS(parameters, options);

/** The length of a step by the strong Wolfe conditions. */

/** The loss along a direction: `slope` is its derivative by `t`. */
export interface Trial {
  readonly t: number;
  readonly loss: number;
  readonly grad: Float64Array;
  readonly slope: number;
}

/** How much of the decrease that the slope promises must be there, and how much flatter the slope must be. */
const decrease = 1e-4;
const flatness = 0.9;
const mostTrials = 25;

/** The minimum of the cubic through two points and their slopes within [low, high]; their middle where it has none. */
function cubicMinimum(p: Trial, q: Trial, low: number, high: number): number {
  const [a, b] = p.t <= q.t ? [p, q] : [q, p];
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 * d1 - a.slope * b.slope;
  const d2 = Math.sqrt(square);
  const t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2));
  return Number.isNaN(t) ? (low + high) / 2 : Math.min(Math.max(t, low), high);
}

/** A trial between the ends of the bracket that does not creep along one of them. */
class Narrowing {
  private stalled = false;

  next(p: Trial, q: Trial): number {
    const [low, high] = [Math.min(p.t, q.t), Math.max(p.t, q.t)];
    const t = cubicMinimum(p, q, low, high);
    const margin = 0.1 * (high - low);
    if (Math.min(high - t, t - low) >= margin) {
      this.stalled = false;
      return t;
    }
    // One trial near an end may be right; a second, or the end itself, is moved away from it.
    if (!this.stalled && t > low && t < high) {
      this.stalled = true;
      return t;
    }
    this.stalled = false;
    return high - t < t - low ? high - margin : low + margin;
  }
}

/**
 * A step that meets the strong Wolfe conditions, or the best that was found (Nocedal and Wright, 2006, algorithms 3.5
 * and 3.6, with the interpolation and the safeguards of minFunc, as in PyTorch).
 * @param evaluate the loss at a length
 * @param from the start, with t = 0
 * @param first the length to try first
 * @param span the largest element of the direction
 * @param tolerance the bracket may shrink to this, in terms of the parameters
 */
export function strongWolfe(
  evaluate: (t: number) => Trial,
  from: Trial,
  first: number,
  span: number,
  tolerance: number,
): Trial {
  // A loss that is not a number is too high as well.
  const isTooHigh = (p: Trial): boolean => !(p.loss <= from.loss + decrease * p.t * from.slope);
  const isFlat = (p: Trial): boolean => Math.abs(p.slope) <= -flatness * from.slope;
  let previous = from;
  let p = evaluate(first);
  let trials = 0;
  for (; trials < mostTrials; trials++) {
    if (isTooHigh(p) || (trials > 1 && p.loss >= previous.loss)) break;
    if (isFlat(p)) return p;
    if (p.slope >= 0) break;
    const t = cubicMinimum(previous, p, p.t + 0.01 * (p.t - previous.t), p.t * 10);
    previous = p;
    p = evaluate(t);
  }
  if (trials === mostTrials) previous = from;
  let [low, high] = p.loss < previous.loss ? [p, previous] : [previous, p];
  const narrowing = new Narrowing();
  for (; trials < mostTrials && Math.abs(high.t - low.t) * span >= tolerance; trials++) {
    p = evaluate(narrowing.next(low, high));
    if (isTooHigh(p) || p.loss >= low.loss) {
      high = p;
      if (high.loss < low.loss) [low, high] = [high, low];
      continue;
    }
    const done = isFlat(p);
    if (!done && p.slope * (high.t - low.t) >= 0) high = low;
    low = p;
    if (done) break;
  }
  return low;
}

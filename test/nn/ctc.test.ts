/** CTC against all paths, and what its fused gradient must satisfy. */
import { gradients, logSoftmax, nn, numThreads, setNumThreads, tensor, zeros, type Tensor } from '../../lib';

const F = nn.functional;
const labels = (...values: number[]): Tensor<'int32'> => tensor(Int32Array.from(values));

describe('ctcLoss', () => {
  /** -log of the summed probability of all paths that collapse to the target, by trying every path. */
  function bruteForce(probs: number[][], target: readonly number[], blank: number): number {
    const [{ length: classes }] = probs;
    let total = 0;
    for (let path = 0; path < classes ** probs.length; path++) {
      const steps = probs.map((_, t) => Math.floor(path / classes ** t) % classes);
      const spelled = steps.filter((c, t) => c !== blank && c !== steps[t - 1]);
      if (spelled.join() === target.join()) total += steps.reduce((p, c, t) => p * probs[t][c], 1);
    }
    return -Math.log(total);
  }

  test.each([
    [[1, 2], 0],
    [[1, 1], 0],
    [[2, 1, 2], 0],
    [[], 0],
    [[0, 0], 2],
    [[1, 0, 1], 2],
  ])('sums over all paths that spell %p, blank %p', (target, blank) => {
    const steps = 5;
    const x = tensor(Array.from({ length: steps * 3 }, (_, i) => Math.sin(i * 2.7) * 2)).reshape([steps, 1, 3]);
    const logProbs = logSoftmax(x);
    const probs = (logProbs.toArray() as number[][][]).map(([row]) => row.map(Math.exp));
    const y = tensor(Int32Array.from(target), { shape: [1, target.length] });
    const loss = F.ctcLoss(logProbs, y, [steps], [target.length], { blank, reduction: 'none' });
    expect(loss.toArray()).toEqual([expect.closeTo(bruteForce(probs, target, blank), 5)]);
  });

  /** Some samples whose lengths differ, as float32 logits. */
  function batch(steps: number, samples: number, classes: number, longest: number) {
    const x = tensor(
      Float32Array.from({ length: steps * samples * classes }, (_, i) => Math.sin(i * 1.37) * 3),
      { shape: [steps, samples, classes], requiresGrad: true },
    );
    const y = tensor(
      Int32Array.from({ length: samples * longest }, (_, i) => 1 + ((i * 7) % (classes - 1))),
      { shape: [samples, longest] },
    );
    const inputs = Array.from({ length: samples }, (_, n) => steps - (n % 3));
    const lengths = Array.from({ length: samples }, (_, n) => longest - (n % 4));
    return { x: x, y, inputs, lengths };
  }

  test('the fused gradient sums to minus one at each step, and is zero beyond the input', () => {
    const { x, y, inputs, lengths } = batch(60, 9, 13, 20);
    const [grad] = gradients(F.ctcLoss(x, y, inputs, lengths, { reduction: 'sum' }), [x]);
    const sums = grad.sum(-1).toArray() as number[][];
    sums.forEach((row, t) => {
      row.forEach((value, n) => {
        expect(value).toBeCloseTo(t < inputs[n] ? -1 : 0, 4);
      });
    });
  });

  test('the fused and the differentiable gradient agree', () => {
    const { x, y, inputs, lengths } = batch(23, 5, 6, 7);
    const call = (): Tensor => F.ctcLoss(logSoftmax(x), y, inputs, lengths);
    const fused = gradients(call(), [x])[0].dataSync();
    const composed = gradients(call(), [x], { createGraph: true })[0];
    expect(composed.requiresGrad).toBe(true);
    composed.dataSync().forEach((value, i) => {
      expect(Math.abs(value - fused[i])).toBeLessThan(2e-6);
    });
  });

  test('does not depend on the number of threads, nor on the other samples', () => {
    const { x, y, inputs, lengths } = batch(200, 8, 30, 40);
    const compute = (): Float32Array[] => {
      const losses = F.ctcLoss(logSoftmax(x), y, inputs, lengths, { reduction: 'none' });
      return [losses.dataSync(), gradients(losses.sum(), [x])[0].dataSync()];
    };
    const threads = numThreads();
    const [values, slopes] = compute();
    try {
      for (const count of [1, 2, 3, 8]) {
        setNumThreads(count);
        const [otherValues, otherSlopes] = compute();
        expect(otherValues).toEqual(values);
        expect(otherSlopes).toEqual(slopes);
      }
    } finally {
      setNumThreads(threads);
    }
    values.forEach((value, n) => {
      const own = [x.slice(null, [n, n + 1]), y.slice([n, n + 1])] as const;
      const alone = F.ctcLoss(logSoftmax(own[0]), own[1], [inputs[n]], [lengths[n]], { reduction: 'none' });
      expect(alone.item()).toBe(value);
    });
  });

  test('keeps its digits over long and peaked sequences', () => {
    // One path: the label or the blank is certain at each step, all else is hopeless.
    const steps = 2000;
    const data = new Float32Array(steps * 4).fill(-1e4);
    for (let t = 0; t < steps; t++) data[4 * t + (t % 2 === 0 ? 0 : 1 + (((t - 1) / 2) % 3))] = -0.001;
    const x = tensor(data, { shape: [steps, 1, 4], requiresGrad: true });
    const y = tensor(
      Int32Array.from({ length: steps / 2 }, (_, i) => 1 + (i % 3)),
      { shape: [1, steps / 2] },
    );
    const loss = F.ctcLoss(x, y, [steps], [steps / 2], { reduction: 'sum' });
    expect(loss.item()).toBeCloseTo(2, 4);
    const grad = gradients(loss, [x])[0].dataSync();
    grad.forEach((value, i) => {
      expect(value).toBeCloseTo(data[i] > -1 ? -1 : 0, 5);
    });
  });

  test('a target that does not fit is infinite, or 0 where asked, with gradient 0', () => {
    const x = zeros([3, 2, 4], { requiresGrad: true });
    const y = tensor(Int32Array.from([1, 1, 1, 2]), { shape: [2, 2] });
    const call = (zeroInfinity: boolean): Tensor =>
      F.ctcLoss(logSoftmax(x), y, [2, 2], [2, 2], { zeroInfinity, reduction: 'none' });
    expect(call(false).toArray()).toEqual([Infinity, expect.closeTo(Math.log(16), 5)]);
    expect(call(true).toArray()).toEqual([0, expect.closeTo(Math.log(16), 5)]);
    for (const createGraph of [false, true]) {
      const [grad] = gradients(call(true).sum(), [x], { createGraph });
      const rows = grad.toArray() as number[][][];
      rows.forEach(([impossible, possible], t) => {
        expect(impossible.map(Math.abs)).toEqual([0, 0, 0, 0]);
        expect(possible.some((value) => value !== 0)).toBe(t < 2);
        expect(possible.every(Number.isFinite)).toBe(true);
      });
    }
  });

  test('no steps spell the empty target only', () => {
    const x = zeros([0, 2, 3]);
    const y = tensor(Int32Array.from([1, 1]), { shape: [2, 1] });
    expect(F.ctcLoss(x, y, [0, 0], [0, 1], { reduction: 'none' }).toArray()).toEqual([0, Infinity]);
  });

  test('lengths as tensors, and targets in one vector', () => {
    const { x, y, inputs } = batch(12, 3, 5, 4);
    const flat = labels(...(y.toArray() as number[][]).flatMap((row, n) => row.slice(0, 4 - n)));
    const lengths = labels(4, 3, 2);
    const expected = F.ctcLoss(logSoftmax(x), y, inputs, [4, 3, 2]).item();
    expect(F.ctcLoss(logSoftmax(x), flat, labels(...inputs), lengths).item()).toBe(expected);
    expect(new nn.CTCLoss().forward(logSoftmax(x), flat, inputs, lengths).item()).toBe(expected);
  });

  test('NaN in the input is not hidden', () => {
    const x = zeros([3, 1, 3]).mul(NaN);
    expect(F.ctcLoss(x, labels(1).reshape([1, 1]), [3], [1]).item()).toBeNaN();
  });
});

/** The arithmetic of `npm run bench`: what is made of rounds, and the tables. */
import { selectCases, type Case } from '../../scripts/bench/kernels/cases';
import { agree, type Timings } from '../../scripts/bench/kernels/measure';
import { bestPeer, meansOf, rowOf } from '../../scripts/bench/kernels/results';
import { familyCells, markdownOf, textOf } from '../../scripts/bench/kernels/table';
import { geometricMean, median, quantile } from '../../scripts/bench/statistics';

const work = (family: string, name: string): Case => ({
  family,
  name,
  spec: 'matmul',
  work: 6e9,
  unit: 'flop',
  counts: '2mnk',
});

const timings = (name: string, seconds: readonly number[], amount = 6e9): Timings => ({ name, work: amount, seconds });

const first = rowOf(work('gemm', 'first'), [
  timings('kindling', [1, 2, 4]),
  timings('limits', [1, 2, 1], 12e9),
  timings('blis', [2, 2, 2]),
  timings('pytorch', [4, 8, 16]),
]);
const second = rowOf(work('gemm', 'second'), [
  timings('kindling', [2, 2, 2]),
  timings('limits', [1, 1, 1], 12e9),
  timings('pytorch', [8, 8, 8]),
]);
const lonely = rowOf(work('conv', 'third'), [timings('kindling', [3])]);

describe('statistics', () => {
  test('quantiles lie on the line between the sorted values', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([5, 1, 3], 0.25)).toBe(2);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([7])).toBe(7);
  });

  test('the geometric mean of a ratio and its inverse is 1', () => {
    expect(geometricMean([4, 0.25])).toBeCloseTo(1);
    expect(geometricMean([1, 2, 4])).toBeCloseTo(2);
    expect(geometricMean([])).toBeNaN();
  });
});

describe('results', () => {
  test('rates come from medians, ratios from the rounds', () => {
    expect(first.own).toEqual({ name: 'kindling', seconds: 2, rate: 3, spread: 0.75, ratio: 1 });
    expect(first.unit).toBe('GFLOP/s');
    expect(first.limit).toBe(12);
    // 2/1, 2/2 and 2/4
    expect(first.peers.map(({ name, ratio }) => [name, ratio])).toEqual([
      ['blis', 1],
      ['pytorch', 4],
    ]);
  });

  test('the best peer is the fastest one', () => {
    expect(bestPeer(first)?.name).toBe('blis');
    expect(bestPeer(second)?.name).toBe('pytorch');
    expect(bestPeer(lonely)).toBeNull();
  });

  test('means go over the cases that a peer has', () => {
    const [gemm, conv] = meansOf([first, second, lonely]);
    expect(gemm).toEqual({ family: 'gemm', peers: { blis: 1, pytorch: 4 }, best: 2 });
    expect(conv).toEqual({ family: 'conv', peers: {}, best: NaN });
  });

  test('a case that Kindling has not run is an error', () => {
    expect(() => rowOf(work('gemm', 'x'), [timings('blis', [1])])).toThrow('gemm: x was not measured');
  });
});

describe('checks', () => {
  const y = { name: 'y', sum: 3, magnitude: 1000 };

  test('results agree up to rounding, in any order', () => {
    expect(
      agree(
        [y, { ...y, name: 'dx' }],
        [
          { ...y, name: 'dx' },
          { ...y, sum: 3.9 },
        ],
      ),
    ).toBe(true);
    expect(agree([], [])).toBe(true);
  });

  test.each([
    ['another sum', [{ ...y, sum: 5 }]],
    ['another magnitude', [{ ...y, magnitude: 1002 }]],
    ['a number that is not finite', [{ ...y, sum: null }]],
    ['another result', [{ ...y, name: 'dx' }]],
    ['a result less', []],
    ['a result more', [y, y]],
  ])('%s does not agree', (_, other) => {
    expect(agree([y], other)).toBe(false);
  });
});

describe('tables', () => {
  const cells = familyCells([first, second]);

  test('every line has a cell for every heading', () => {
    expect(cells[0]).toEqual(['case', 'Kindling GFLOP/s', 'spread', 'of limit', 'blis', 'pytorch', 'best', 'counted']);
    expect(cells[1]).toEqual(['first', '3.00', '75 %', '25 %', '3.00 (1.00)', '0.75 (4.00)', '1.00 blis', '2mnk']);
    expect(cells[2].slice(4)).toEqual(['', '0.75 (4.00)', '4.00 pytorch', '2mnk']);
    expect(cells[3]).toEqual(['geometric mean', '', '', '', '(1.00)', '(4.00)', '2.00', '']);
  });

  test('text is aligned, Markdown has its rule', () => {
    const lines = textOf(cells).split('\n');
    expect(lines).toHaveLength(4);
    expect(new Set(lines.slice(0, 3).map((line) => line.indexOf('2mnk'))).size).toBe(2);
    expect(markdownOf(cells).split('\n')[1]).toBe('| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |');
  });

  test('without peers there are only our own figures', () => {
    expect(familyCells([lonely])[1]).toEqual(['third', '2.00', '0 %', '', '', '2mnk']);
  });
});

describe('selection', () => {
  const cases = [work('gemm', '256'), work('conv', 'k3'), work('conv', 'k1')];

  test('by family and by a part of the title', () => {
    expect(selectCases(cases, { families: null, filter: '' })).toHaveLength(3);
    expect(selectCases(cases, { families: ['conv'], filter: '' }).map(({ name }) => name)).toEqual(['k3', 'k1']);
    expect(selectCases(cases, { families: null, filter: 'conv: k1' }).map(({ name }) => name)).toEqual(['k1']);
  });

  test('an unknown family is named', () => {
    expect(() => selectCases(cases, { families: ['lstm'], filter: '' })).toThrow(
      'unknown family lstm; known are gemm, conv',
    );
  });
});

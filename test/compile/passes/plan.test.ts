/** Memory for results, by lifetimes. */
import fc from 'fast-check';
import type { Value } from '../../../lib/compile/ir';
import { planMemory, type Plan } from '../../../lib/compile/passes/plan';
import { Sketch } from './sketch';

const none = new Map<Value, number>();

/** Where a value is in the arena. */
function at(plan: Plan, value: Value): number {
  const place = plan.places.get(value);
  return place !== undefined && 'arena' in place ? place.arena : NaN;
}

test('results that are never needed at the same time share a place', () => {
  const p = new Sketch();
  const a = p.op('a', 'full', [], { shape: [16], floats: [1] });
  const b = p.op('b', 'neg', [a]);
  const c = p.op('c', 'neg', [b]);
  const d = p.op('d', 'neg', [c]);
  const plan = planMemory(p.graph(), none);
  expect([a, b, c, d].map((value) => at(plan, value))).toEqual([0, 64, 0, 64]);
  expect([plan.arenaBytes, plan.unplannedBytes]).toEqual([128, 256]);
});

test('an operation does not write over what it reads, nor one result over another', () => {
  const p = new Sketch();
  const a = p.op('a', 'full', [], { shape: [16], floats: [1] });
  const [b, c] = p.many(['b', 'c'], 'sort', [a], { ints: [0] });
  const plan = planMemory(p.graph(), none);
  expect(new Set([a, b, c].map((value) => at(plan, value)))).toEqual(new Set([0, 64, 128]));
});

test('a view and an update keep memory taken', () => {
  const p = new Sketch();
  const a = p.op('a', 'full', [], { shape: [16], floats: [1] });
  const b = p.op('b', 'full', [], { shape: [16], floats: [2] });
  const c = p.op('c', 'full', [], { shape: [16], floats: [3] });
  p.update('assign', [p.view(a, [4]), p.view(b, [4])]);
  const d = p.op('d', 'full', [], { shape: [16], floats: [3] });
  const plan = planMemory(p.graph(), none);
  expect(new Set([a, b, c].map((value) => at(plan, value))).size).toBe(3);
  expect(at(plan, d)).toBe(0);
});

test("what is the caller's takes no memory", () => {
  const p = new Sketch();
  const [x, w] = [p.input('x', [1000]), p.captured('w', [1000])];
  const a = p.op('a', 'add', [x, w]);
  const plan = planMemory(
    p.graph(a),
    new Map([
      [x, 0],
      [w, 1],
      [a, 2],
    ]),
  );
  expect([x, w, a].map((value) => plan.places.get(value))).toEqual([{ binding: 0 }, { binding: 1 }, { binding: 2 }]);
  expect([plan.arenaBytes, plan.unplannedBytes]).toEqual([0, 0]);
});

test('results have places on lines of the cache, empty ones too', () => {
  const p = new Sketch();
  const a = p.op('a', 'full', [], { shape: [0], floats: [1] });
  const b = p.op('b', 'full', [], { shape: [17], floats: [1] });
  const c = p.op('c', 'full', [], { shape: [3], dtype: 'float64', floats: [1] });
  p.op('d', 'where', [a, b, c], { shape: [1], dtype: 'bool' });
  const plan = planMemory(p.graph(), none);
  expect([b, a, c].map((value) => at(plan, value))).toEqual([0, 128, 192]);
  expect(plan.arenaBytes).toBe(320);
});

test('what is alive at the same time has places apart, in random programs', () => {
  const instruction = fc.record({
    size: fc.integer({ min: 0, max: 200 }),
    reads: fc.array(fc.nat(), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(instruction, { minLength: 1, maxLength: 40 }), (program) => {
      const p = new Sketch();
      const values: Value[] = [];
      const last: number[] = [];
      program.forEach(({ size, reads }, i) => {
        const read = values.length === 0 ? [] : reads.map((number) => number % values.length);
        for (const number of read) last[number] = i;
        last.push(i);
        values.push(
          p.op(
            `v${String(i)}`,
            'concat',
            read.map((number) => values[number]),
            { shape: [size] },
          ),
        );
      });
      const plan = planMemory(p.graph(), none);
      values.forEach((value, i) => {
        const [start, end] = [at(plan, value), at(plan, value) + 4 * value.shape[0]];
        expect([start % 64, end <= plan.arenaBytes]).toEqual([0, true]);
        for (let j = i + 1; j <= last[i]; j++) {
          const other = at(plan, values[j]);
          expect(end <= other || other + 4 * values[j].shape[0] <= start).toBe(true);
        }
      });
      expect(plan.arenaBytes).toBeLessThanOrEqual(plan.unplannedBytes);
    }),
    { numRuns: 200, seed: 1 },
  );
});

/** Who reads what among chains, and what goes into them. */
import { Units, type Unit } from '../../../lib/compile/passes/chains';
import { Sketch } from './sketch';

const unit = (p: Sketch, at: number, ...members: number[]): Unit => ({
  operations: members.map((member) => p.operations[member]),
  isChain: true,
  at,
});

test('readers of a value are the units that read it or a view of it, but its maker', () => {
  const p = new Sketch();
  const a = p.op('a', 'exp', [p.input('x')]);
  const b = p.op('b', 'neg', [a]);
  p.op('c', 'neg', [p.view(a, [2])]);
  p.op('d', 'neg', [b]);
  const all = [unit(p, 1, 0, 1), unit(p, 2, 2), unit(p, 3, 3)];
  const units = new Units(p.graph(), all, new Map());
  expect(units.readersOf(a, all[0])).toEqual([all[1]]);
  expect(units.readersOf(b, all[0])).toEqual([all[2]]);
  units.change(all[1], [p.operations[3]]);
  expect(units.readersOf(a, all[0])).toEqual([]);
  expect(units.readersOf(b, all[0])).toEqual([all[2], all[1]]);
});

test('what the caller gets has readers that are not known', () => {
  const p = new Sketch();
  const a = p.op('a', 'exp', [p.input('x')]);
  const all = [unit(p, 0, 0)];
  expect(new Units(p.graph(a), all, new Map()).readersOf(a, all[0])).toBeNull();
  expect(new Units(p.graph(p.view(a, [2])), all, new Map()).readersOf(a, all[0])).toBeNull();
});

test('an operation can run later as long as nothing has overwritten what it reads', () => {
  const p = new Sketch();
  const [w, x] = [p.captured('w'), p.input('x')];
  p.op('a', 'exp', [p.view(w, [2], 2)]);
  p.op('b', 'exp', [x]);
  p.op('c', 'add', [x, w]);
  p.update('assign', [p.view(w, [2]), p.view(x, [2])]);
  p.update('assign', [w, x]);
  const units = new Units(p.graph(), [], new Map());
  const canRun = p.operations.slice(0, 3).map((operation) => [2, 3, 4].map((at) => units.canRunAt(operation, at)));
  expect(canRun).toEqual([
    [true, false, false],
    [true, true, true],
    [true, false, false],
  ]);
});

test('operands, numbers and results of a chain', () => {
  const p = new Sketch();
  const x = p.input('x');
  const two = p.op('two', 'full', [], { shape: [], floats: [2] });
  const yes = p.op('yes', 'full', [], { shape: [], dtype: 'bool', floats: [1] });
  const a = p.op('a', 'mul', [x, two], { shape: [4] });
  const b = p.op('b', 'where', [yes, a, x], { shape: [4] });
  const c = p.op('c', 'neg', [b]);
  const d = p.op('d', 'mul', [c, a]);
  p.op('e', 'neg', [p.view(c, [2])]);
  const chain = unit(p, 5, 2, 3, 4, 5);
  const units = new Units(
    p.graph(d),
    [chain, unit(p, 6, 6)],
    new Map([
      [two, 2],
      [yes, 1],
    ]),
  );
  const { operands, numbers, results } = units.interfaceOf(chain);
  expect([operands, numbers, results].map((list) => list.map((value) => p.nameOf(value)))).toEqual([
    ['x', 'yes'],
    ['two'],
    ['c', 'd'],
  ]);
});

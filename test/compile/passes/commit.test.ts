/** Updates of what outlives a step come after all that can fail. */
import { tensor } from '../../../lib';
import { commitLast } from '../../../lib/compile/passes/commit';
import { Sketch } from './sketch';

const sgd = { ints: [0, 0], floats: [1, 0, 0, 0] };

test('updates move to the end, in their order', () => {
  const p = new Sketch();
  const [v, w, x] = [p.captured('v'), p.captured('w'), p.input('x')];
  p.update('assign', [w, x]);
  const a = p.op('a', 'exp', [x]);
  p.update('assign', [v, a]);
  const b = p.op('b', 'neg', [a]);
  expect(p.lines(commitLast(p.graph(b)))).toEqual(['a = exp(x)', 'b = neg(a)', 'assign(w, x)', 'assign(v, a)']);
});

test('an update that is read later goes to a copy, which is put in place at the end', () => {
  const p = new Sketch();
  const [w, x] = [p.captured('w'), p.input('x')];
  const a = p.op('a', 'neg', [w]);
  p.update('assign', [w, x]);
  const b = p.op('b', 'exp', [p.view(w, [2], 1)], { shape: [2] });
  const graph = commitLast(p.graph(a, b));
  expect(p.lines(graph)).toEqual([
    'a = neg(w)',
    'new0 = copy(w)',
    'assign(new0, x)',
    'b = exp(new0[2 at 1])',
    'assign(w, new0)',
  ]);
  // The passes that follow tell by these what is overwritten.
  expect(graph.operations.map(({ writes }) => writes.map((value) => p.nameOf(value)))).toEqual([
    [],
    [],
    ['new0'],
    [],
    ['w'],
  ]);
  expect(graph.operations[3].inputs[0]).toMatchObject({ kind: 'result', tensor: null });
});

test('one copy for all updates of a tensor, and none for the others', () => {
  const p = new Sketch();
  const [w, m, x] = [p.captured('w'), p.captured('m'), p.input('x')];
  p.update('assign', [w, x]);
  p.update('assign', [m, x]);
  p.update('averageStep', [w, x], { floats: [0.5] });
  const a = p.op('a', 'neg', [w]);
  expect(p.lines(commitLast(p.graph(a)))).toEqual([
    'new0 = copy(w)',
    'assign(new0, x)',
    'averageStep(new0, x, 0.5)',
    'a = neg(new0)',
    'assign(m, x)',
    'assign(w, new0)',
  ]);
});

test('an update that cannot wait takes with it what it reads of others', () => {
  const p = new Sketch();
  const [v, w, x] = [p.captured('v'), p.captured('w'), p.input('x')];
  p.update('assign', [v, x]);
  p.update('assign', [w, v]);
  const a = p.op('a', 'neg', [w]);
  expect(p.lines(commitLast(p.graph(a)))).toEqual([
    'new0 = copy(v)',
    'assign(new0, x)',
    'new1 = copy(w)',
    'assign(new1, new0)',
    'a = neg(new1)',
    'assign(v, new0)',
    'assign(w, new1)',
  ]);
});

test('an update by a result that is overwritten later cannot wait', () => {
  const p = new Sketch();
  const [w, x] = [p.captured('w'), p.input('x')];
  const a = p.op('a', 'neg', [x]);
  p.update('assign', [w, a]);
  p.update('assign', [a, x]);
  expect(p.lines(commitLast(p.graph(a)))).toEqual([
    'a = neg(x)',
    'new0 = copy(w)',
    'assign(new0, a)',
    'assign(a, x)',
    'assign(w, new0)',
  ]);
});

test('state of an optimizer waits with its parameter', () => {
  const p = new Sketch();
  const [w, m, x] = [p.captured('w'), p.captured('m'), p.input('x')];
  p.update('sgdStep', [w, x, m], sgd);
  const a = p.op('a', 'neg', [m]);
  expect(p.lines(commitLast(p.graph(a)))).toEqual([
    'new0 = copy(w)',
    'new1 = copy(m)',
    'sgdStep(new0, x, new1, 0, 0, 1, 0, 0, 0)',
    'a = neg(new1)',
    'assign(w, new0)',
    'assign(m, new1)',
  ]);
});

test('results are overwritten where they are', () => {
  const p = new Sketch();
  const [w, x] = [p.captured('w'), p.input('x')];
  const a = p.op('a', 'neg', [x]);
  p.update('assign', [a, w]);
  const b = p.op('b', 'neg', [a]);
  const graph = p.graph(b);
  expect(p.lines(commitLast(graph))).toEqual(p.lines(graph));
});

test('a tensor that is a view of another one cannot go to a copy', () => {
  const p = new Sketch();
  const w = p.captured('w', tensor([1, 2, 3, 4]).slice([0, 2]));
  p.update('assign', [w, p.input('x', [2])]);
  const a = p.op('a', 'neg', [w]);
  expect(() => commitLast(p.graph(a))).toThrow(/view of a parameter is updated in the middle/);
});

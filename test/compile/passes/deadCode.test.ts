/** Operations that nothing needs. */
import { removeDeadCode } from '../../../lib/compile/passes/deadCode';
import { Sketch } from './sketch';

test('what no output and no update needs goes, with all that leads to it', () => {
  const p = new Sketch();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  p.op('c', 'neg', [p.op('b', 'log', [a])]);
  const d = p.op('d', 'sqrt', [a]);
  p.op('e', 'randomUniform', [], { shape: [2], ints: [1, 2, 3, 4], floats: [0, 1] });
  expect(p.lines(removeDeadCode(p.graph(d)))).toEqual(['a = exp(x)', 'd = sqrt(a)']);
});

test('what is needed through a view, or for one of several results, stays', () => {
  const p = new Sketch();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const [, order] = p.many(['b', 'c'], 'sort', [p.view(a, [2], 2)], { ints: [0], shape: [2] });
  const graph = p.graph(p.op('d', 'neg', [order]));
  expect(p.lines(removeDeadCode(graph))).toEqual(p.lines(graph));
});

test('updates of tensors from outside stay, through views too, and what they read', () => {
  const p = new Sketch();
  const w = p.captured('w');
  const a = p.op('a', 'exp', [p.input('x', [2])]);
  p.update('assign', [p.view(w, [2]), a]);
  p.update('assign', [w, w]);
  const graph = p.graph();
  expect(p.lines(removeDeadCode(graph))).toEqual(['a = exp(x)', 'assign(w[2 at 0], a)', 'assign(w, w)']);
});

test('of results that are overwritten, the needed stay', () => {
  const p = new Sketch();
  const x = p.input('x');
  const [a, b] = [p.op('a', 'exp', [x]), p.op('b', 'log', [x])];
  const [c, d] = [p.op('c', 'sin', [x]), p.op('d', 'cos', [x])];
  p.update('assign', [p.view(a, [2]), p.view(c, [2])]);
  p.update('assign', [p.view(b, [2]), p.view(d, [2])]);
  expect(p.lines(removeDeadCode(p.graph(a)))).toEqual(['a = exp(x)', 'c = sin(x)', 'assign(a[2 at 0], c[2 at 0])']);
});

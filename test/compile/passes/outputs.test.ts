/** What a step returns is the caller's own. */
import { separateOutputs } from '../../../lib/compile/passes/outputs';
import { Sketch } from './sketch';

test('a result that an operation makes whole is returned as it is, overwritten or not', () => {
  const p = new Sketch();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const b = p.op('b', 'neg', [a]);
  p.update('assign', [b, x]);
  const graph = separateOutputs(p.graph(b, a));
  expect(p.lines(graph)).toEqual(['a = exp(x)', 'b = neg(a)', 'assign(b, x)']);
  expect(p.outputs(graph)).toEqual(['b', 'a']);
});

test('arguments, tensors from outside and views are copied, after everything else', () => {
  const p = new Sketch();
  const x = p.input('x');
  const w = p.captured('w');
  const a = p.op('a', 'exp', [x]);
  p.update('assign', [w, a]);
  const graph = separateOutputs(p.graph(x, w, p.view(a, [2], 1), a));
  expect(p.lines(graph)).toEqual([
    'a = exp(x)',
    'assign(w, a)',
    'new0 = copy(x)',
    'new1 = copy(w)',
    'new2 = copy(a[2 at 1])',
  ]);
  expect(p.outputs(graph)).toEqual(['new0', 'new1', 'new2', 'a']);
  expect(graph.outputs.map(({ kind, shape, isContiguous }) => [kind, shape, isContiguous])).toEqual([
    ['result', [4], true],
    ['result', [4], true],
    ['result', [2], true],
    ['result', [4], true],
  ]);
});

test('what is returned twice is copied once', () => {
  const p = new Sketch();
  const a = p.op('a', 'exp', [p.input('x')]);
  const graph = separateOutputs(p.graph(a, a));
  expect(p.lines(graph)).toEqual(['a = exp(x)', 'new0 = copy(a)']);
  expect(p.outputs(graph)).toEqual(['a', 'new0']);
});

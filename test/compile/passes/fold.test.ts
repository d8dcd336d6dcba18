/** Operations on constants, run when a step is compiled. */
import { compile, assign, tensor, zeros, type Tensor } from '../../../lib';
import { foldConstants } from '../../../lib/compile/passes/fold';
import type { Graph, Value } from '../../../lib/compile/ir';
import { Sketch } from './sketch';

/** The values of what was folded, by the operations that read it. */
function constantsOf({ operations }: Graph): number[][] {
  const roots = new Set(operations.flatMap(({ inputs }) => inputs.map(({ root }) => root)));
  return [...roots].flatMap(({ tensor }) => (tensor === null ? [] : [Array.from(tensor.dataSync(), Number)]));
}

const two = { shape: [2, 2], floats: [2] };

test('operations on constants run now, on views of them too', () => {
  const p = new Sketch();
  const x = p.input('x', [2]);
  const a = p.op('a', 'arange', [], { shape: [4], floats: [1, 1] });
  const b = p.op('b', 'exp', [p.op('c', 'full', [], { shape: [2], floats: [0] })]);
  const c = p.op('d', 'add', [p.view(a, [2], 2), b], { shape: [2] });
  const graph = foldConstants(p.graph(p.op('e', 'mul', [x, c])));
  expect(p.lines(graph)).toEqual(['e = mul(x, new0)']);
  expect(constantsOf(graph)).toEqual([[4, 5]]);
});

test('all results of an operation, and views that other operations read', () => {
  const p = new Sketch();
  const x = p.input('x', [1]);
  const identity = p.op('a', 'eye', [], { shape: [2, 2] });
  const [sign, log] = p.many(['b', 'c'], 'slogdet', [identity], { shape: [] });
  const y = p.op('y', 'add', [x, p.view(sign, [1])]);
  const graph = foldConstants(p.graph(y, p.op('z', 'sub', [x, log])));
  expect(p.lines(graph)).toEqual(['y = add(x, new0[1 at 0])', 'z = sub(x, new1)']);
  expect(constantsOf(graph)).toEqual([[1], [0]]);
});

describe('left alone', () => {
  function expectAll(p: Sketch, ...outputs: readonly Value[]): void {
    const graph = p.graph(...outputs);
    expect(p.lines(foldConstants(graph))).toEqual(p.lines(graph));
  }

  test('single numbers, and what is made of them', () => {
    const p = new Sketch();
    p.op('a', 'neg', [p.op('b', 'full', [], { shape: [1], floats: [1] })]);
    expectAll(p);
  });

  test('random numbers and what changes from run to run', () => {
    const p = new Sketch();
    p.op('a', 'neg', [p.op('b', 'randomNormal', [], { shape: [2], ints: [1, 2, 3, 4], floats: [0, 1] })]);
    p.op('c', 'neg', [p.op('d', 'full', [], { ...two, live: { section: 0, index: 0 } })]);
    expectAll(p);
  });

  test('arguments, and tensors from outside: they may have other values in each run', () => {
    const p = new Sketch();
    p.op('a', 'neg', [p.captured('w')]);
    p.op('b', 'neg', [p.input('x')]);
    expectAll(p);
  });

  test('what the caller gets', () => {
    const p = new Sketch();
    expectAll(p, p.op('a', 'full', [], two));
  });

  test('what is large', () => {
    const p = new Sketch();
    p.op('a', 'neg', [p.op('b', 'full', [], { shape: [1 << 17], floats: [1] })]);
    expectAll(p);
  });

  test('what is overwritten, through a view too, and what is made of it', () => {
    const p = new Sketch();
    const a = p.op('a', 'full', [], two);
    p.op('b', 'neg', [a]);
    p.update('assign', [p.view(a, [2]), p.input('x', [2])]);
    p.op('c', 'neg', [a]);
    expectAll(p);
  });

  test('an update, by a constant', () => {
    const p = new Sketch();
    const w = p.captured('w', [2, 2]);
    p.update('assign', [w, p.op('a', 'full', [], two)]);
    const graph = foldConstants(p.graph());
    expect(p.lines(graph)).toEqual(['assign(w, new0)']);
    expect(graph.operations[0].writes).toEqual([w]);
    expect(w.tensor?.dataSync()).toEqual(Float32Array.of(1, 1, 1, 1));
  });
});

test('a step may overwrite what it has filled', async () => {
  const step = compile((x: Tensor) => {
    const sum = zeros([2]);
    for (let i = 0; i < 2; i++) assign(sum, sum.add(x));
    return sum.mul(1);
  });
  for (let i = 0; i < 2; i++) expect((await step(tensor([1, 2]))).toArray()).toEqual([2, 4]);
});

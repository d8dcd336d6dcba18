/** Operations that are done twice, alone and in compiled steps. */
import { checkpoint, compile, gradients, rand, tensor, type Tensor } from '../../../lib';
import type { Value } from '../../../lib/compile/ir';
import { mergeCommon } from '../../../lib/compile/passes/commonSubexpressions';
import { Sketch } from './sketch';

/** More elements than are kept for their own sake. */
const large = [1 << 15];

describe('merges', () => {
  test('the same operation on the same inputs, and what follows from it', () => {
    const p = new Sketch();
    const x = p.input('x');
    const a = p.op('a', 'exp', [x]);
    const b = p.op('b', 'exp', [x]);
    const c = p.op('c', 'neg', [a]);
    const d = p.op('d', 'neg', [b]);
    const graph = mergeCommon(p.graph(p.op('e', 'add', [c, d])));
    expect(p.lines(graph)).toEqual(['a = exp(x)', 'c = neg(a)', 'e = add(c, c)']);
    expect(graph.merged).toBe(2);
  });

  test('operations without inputs, and views of what was merged', () => {
    const p = new Sketch();
    const a = p.op('a', 'full', [], { shape: [4], floats: [2] });
    const b = p.op('b', 'full', [], { shape: [4], floats: [2] });
    const c = p.op('c', 'neg', [p.view(a, [2], 1)]);
    const d = p.op('d', 'neg', [p.view(b, [2], 1)]);
    const graph = mergeCommon(p.graph(p.op('e', 'sub', [c, d])));
    expect(p.lines(graph)).toEqual(['a = full(2)', 'c = neg(a[2 at 1])', 'e = sub(c, c)']);
  });

  test('all results of an operation', () => {
    const p = new Sketch();
    const x = p.input('x');
    p.many(['a', 'b'], 'sort', [x], { ints: [0] });
    const [c, d] = p.many(['c', 'd'], 'sort', [x], { ints: [0] });
    const graph = mergeCommon(p.graph(p.op('e', 'sub', [c, d])));
    expect(p.lines(graph)).toEqual(['a, b = sort(x, 0)', 'e = sub(a, b)']);
  });

  test('with what the caller gets first', () => {
    const p = new Sketch();
    const x = p.input('x');
    const a = p.op('a', 'exp', [x]);
    const c = p.op('c', 'neg', [p.op('b', 'exp', [x])]);
    expect(p.lines(mergeCommon(p.graph(a, c)))).toEqual(['a = exp(x)', 'c = neg(a)']);
  });

  test('what is large where it is alive anyway or dear', () => {
    const p = new Sketch();
    const x = p.input('x', large);
    const a = p.op('a', 'exp', [x]);
    p.op('b', 'exp', [x]);
    const c = p.op('c', 'neg', [a]);
    p.op('d', 'cumsum', [c], { ints: [0, 0] });
    p.op('e', 'cumsum', [c], { ints: [0, 0] });
    expect(p.lines(mergeCommon(p.graph()))).toEqual(['a = exp(x)', 'c = neg(a)', 'd = cumsum(c, 0, 0)']);
  });
});

describe('leaves alone', () => {
  /** Every operation stays. */
  function expectAll(p: Sketch, ...outputs: readonly Value[]): void {
    const graph = p.graph(...outputs);
    const found = mergeCommon(graph);
    expect(p.lines(found)).toEqual(p.lines(graph));
    expect(found.merged).toBe(0);
  }

  test('other names, inputs, their order, attributes, dtypes and shapes', () => {
    const p = new Sketch();
    const [x, y] = [p.input('x'), p.input('y')];
    p.op('a', 'exp', [x]);
    p.op('b', 'log', [x]);
    p.op('c', 'exp', [y]);
    p.op('d', 'sub', [x, y]);
    p.op('e', 'sub', [y, x]);
    p.op('f', 'full', [], { shape: [2], floats: [0] });
    p.op('g', 'full', [], { shape: [2], floats: [-0] });
    p.op('h', 'full', [], { shape: [2], floats: [0], dtype: 'float64' });
    p.op('i', 'full', [], { shape: [2, 1], floats: [0] });
    p.op('j', 'full', [], { shape: [21], floats: [0] });
    p.op('k', 'cumsum', [x], { ints: [0, 1] });
    p.op('l', 'cumsum', [x], { ints: [0, 0] });
    expectAll(p);
  });

  test('other views of the same memory', () => {
    const p = new Sketch();
    const x = p.input('x');
    p.op('a', 'exp', [p.view(x, [2], 0)]);
    p.op('b', 'exp', [p.view(x, [2], 1)]);
    p.op('c', 'exp', [p.view(x, [2], 0, [2])]);
    p.op('d', 'exp', [p.view(x, [2, 2])], { shape: [2, 2] });
    p.op('e', 'exp', [p.view(x, [2, 2], 0, [1, 2])], { shape: [2, 2] });
    expectAll(p);
  });

  test('random numbers, and what changes from run to run', () => {
    const p = new Sketch();
    p.op('a', 'randomUniform', [], { shape: [2], ints: [1, 2, 3, 4], floats: [0, 1] });
    p.op('b', 'randomUniform', [], { shape: [2], ints: [1, 2, 3, 4], floats: [0, 1] });
    p.op('c', 'full', [], { shape: [2], floats: [1], live: { section: 0, index: 0 } });
    p.op('d', 'full', [], { shape: [2], floats: [1], live: { section: 0, index: 1 } });
    expectAll(p);
  });

  test('what was read before and after memory was overwritten, through views too', () => {
    const p = new Sketch();
    const w = p.captured('w');
    p.op('a', 'exp', [w]);
    p.op('b', 'exp', [p.view(w, [2], 2)]);
    p.update('assign', [p.view(w, [2]), p.input('x', [2])]);
    p.op('c', 'exp', [w]);
    p.op('d', 'exp', [p.view(w, [2], 2)]);
    expectAll(p);
  });

  test('updates, and results that are overwritten', () => {
    const p = new Sketch();
    const [w, x] = [p.captured('w'), p.input('x')];
    const a = p.op('a', 'full', [], { shape: [4], floats: [0] });
    p.op('b', 'full', [], { shape: [4], floats: [0] });
    p.update('averageStep', [a, x], { floats: [0.5] });
    p.update('averageStep', [a, x], { floats: [0.5] });
    p.update('sgdStep', [w, x, a], { ints: [0, 0], floats: [1, 0, 0, 0] });
    p.update('sgdStep', [w, x, a], { ints: [0, 0], floats: [1, 0, 0, 0] });
    expectAll(p);
  });

  test('what the caller gets second: it is a tensor of its own', () => {
    const p = new Sketch();
    const x = p.input('x');
    expectAll(p, p.op('a', 'exp', [x]), p.op('b', 'exp', [x]));
  });

  test('what is large, cheap and no longer needed', () => {
    const p = new Sketch();
    const x = p.input('x', large);
    p.op('a', 'neg', [p.op('b', 'exp', [x])]);
    p.op('c', 'sqrt', [p.op('d', 'exp', [x])]);
    expectAll(p);
  });

  test('sections that are apart, but not what is done twice in one', () => {
    const p = new Sketch();
    const x = p.input('x');
    p.op('a', 'exp', [x]);
    p.op('b', 'exp', [x], { apart: 0 });
    p.op('c', 'exp', [x], { apart: 1 });
    expectAll(p);
    p.op('d', 'exp', [x], { apart: 1 });
    expect(mergeCommon(p.graph()).merged).toBe(1);
  });
});

describe('in compiled steps', () => {
  const mergedIn = (text: string): number => Number(/(\d+) more merged/.exec(text)?.[1]);

  test('explain() says how many', async () => {
    const step = compile((x: Tensor) => x.exp().sum().add(x.exp().sum()));
    const x = tensor([1, 2]);
    expect((await step(x)).item()).toBe(x.exp().sum().mul(2).item());
    expect(mergedIn(step.explain())).toBe(2);
  });

  test('what a checkpoint computes again is computed again', async () => {
    const w = rand([30, 30], { requiresGrad: true });
    const block = (x: Tensor): Tensor => x.matmul(w).softmax();
    const run =
      (around: (x: Tensor) => Tensor) =>
      (x: Tensor): Tensor =>
        gradients(around(x).square().sum(), [w])[0];
    const saved = (x: Tensor): Tensor => checkpoint(block, x);
    const steps = [run(block), run(saved), run((x) => saved(x).add(saved(x)) as Tensor)].map((fn) => compile(fn));
    const x = rand([30, 30]);
    const [wanted, found] = [await steps[0](x), await steps[1](x), await steps[2](x)].map((result) => result.toArray());
    expect(found).toEqual(wanted);
    const softmaxes = steps.map((step) => step.explain().split(' = softmax(').length - 1);
    expect(softmaxes).toEqual([1, 2, 4]);
  });
});

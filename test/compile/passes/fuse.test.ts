/** Chains of elementwise operations. */
import type { Graph, Operation, Value } from '../../../lib/compile/ir';
import { fuseElementwise } from '../../../lib/compile/passes/fuse';
import { Op, type OpName } from '../../../lib/ops/table';
import { Sketch } from './sketch';

const names = Object.keys(Op) as OpName[];
/** Of `Place` in native/cpu/fused_loop.h, and how many sources operations have. */
const kinds = ['x', 'k', 's', 'r'];
const sourcesOf = (name: OpName): number =>
  name === 'where' ? 3 : ['add', 'sub', 'mul', 'div'].includes(name) ? 2 : 1;

/** What a chain does: from operands x0, x1, … and constants k0, … over slots s0, … to results r0, … */
function codeOf({ inputs, outputs }: Operation): { constants: number[]; body: string[] } {
  const words = inputs[0].tensor?.dataSync() as Int32Array;
  const [operands, constants, instructions, results] = words;
  expect([operands, results]).toEqual([inputs.length - 1, outputs.length]);
  const place = (word: number): string => `${kinds[Math.floor(word / 100)]}${String(word % 100)}`;
  const body = Array.from({ length: instructions }, (_, i) => {
    const [op, target, ...sources] = words.slice(4 + constants + 5 * i);
    const name = names[op];
    return `${place(target)} = ${name}(${sources.slice(0, sourcesOf(name)).map(place).join(', ')})`;
  });
  return { constants: Array.from(new Float32Array(words.slice(4, 4 + constants).buffer)), body };
}

/** The operations, chains without their code. */
function linesOf(p: Sketch, graph: Graph): string[] {
  const operations = graph.operations.map((operation) =>
    operation.name === 'fused' ? { ...operation, inputs: operation.inputs.slice(1) } : operation,
  );
  return p.lines({ ...graph, operations });
}

test('a chain becomes one operation, with the same arithmetic in the same order', () => {
  const p = new Sketch();
  const [x, y] = [p.input('x'), p.input('y', [1])];
  const two = p.op('two', 'full', [], { shape: [], floats: [2] });
  const a = p.op('a', 'mul', [x, two]);
  const b = p.op('b', 'exp', [a]);
  const c = p.op('c', 'sub', [b, y]);
  const d = p.op('d', 'sub', [y, c], { shape: [4] });
  const graph = fuseElementwise(p.graph(d, b));
  expect(linesOf(p, graph)).toEqual(['two = full(2)', 'b, d = fused(x, y)']);
  expect(codeOf(graph.operations[1])).toEqual({
    constants: [2],
    body: ['s0 = mul(x0, k0)', 'r0 = exp(s0)', 's0 = sub(r0, x1)', 'r1 = sub(x1, s0)'],
  });
});

test('a slot is free after its last use, and not before', () => {
  const p = new Sketch();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const b = p.op('b', 'neg', [a]);
  const c = p.op('c', 'add', [a, b]);
  const d = p.op('d', 'log', [c]);
  const [chain] = fuseElementwise(p.graph(p.op('e', 'mul', [d, c]))).operations;
  expect(codeOf(chain).body).toEqual([
    's0 = exp(x0)',
    's1 = neg(s0)',
    's2 = add(s0, s1)',
    's1 = log(s2)',
    'r0 = mul(s1, s2)',
  ]);
});

test('the condition of where is an operand even where it is a number', () => {
  const p = new Sketch();
  const x = p.input('x');
  const [mask, one] = [p.input('mask', [4], 'bool'), p.op('one', 'full', [], { shape: [1], floats: [1] })];
  const a = p.op('a', 'exp', [x]);
  const graph = fuseElementwise(p.graph(p.op('b', 'where', [mask, a, one], { shape: [4], dtype: 'float32' })));
  expect(linesOf(p, graph)).toEqual(['one = full(1)', 'b = fused(x, mask)']);
  expect(codeOf(graph.operations[1]).body).toEqual(['s0 = exp(x0)', 'r0 = where(x1, s0, k0)']);
});

describe('left alone', () => {
  function expectAll(p: Sketch, ...outputs: readonly Value[]): void {
    const graph = p.graph(...outputs);
    expect(linesOf(p, fuseElementwise(graph))).toEqual(p.lines(graph));
  }

  test('operations alone, other dtypes, other operations, what changes from run to run', () => {
    const p = new Sketch();
    const [x, y] = [p.input('x'), p.input('y', [4], 'float64')];
    expectAll(
      p,
      p.op('a', 'cumsum', [p.op('b', 'exp', [x])], { ints: [0, 0] }),
      p.op('c', 'neg', [p.op('d', 'exp', [y])]),
      p.op('e', 'pow', [x, p.op('f', 'sin', [x])]),
      p.op('g', 'mul', [x, p.op('h', 'randomUniform', [], { shape: [4] })]),
      p.op('i', 'neg', [p.op('j', 'tan', [x], { live: { section: 0, index: 0 } })]),
    );
  });

  test('other shapes, and views of what the chain makes', () => {
    const p = new Sketch();
    const x = p.input('x');
    const a = p.op('a', 'exp', [x]);
    const b = p.op('b', 'cumsum', [p.op('c', 'add', [a, p.input('y', [2, 4])], { shape: [2, 4] })], { ints: [0, 0] });
    const d = p.op('d', 'cumsum', [p.op('e', 'sub', [x, a])], { ints: [0, 0] });
    const f = p.op('f', 'log', [x]);
    expectAll(p, a, b, d, f, p.op('g', 'add', [f, p.view(f, [4], 0, [-1])]));
  });

  test('what something else reads in between', () => {
    const p = new Sketch();
    const a = p.op('a', 'exp', [p.input('x')]);
    const b = p.op('b', 'cumsum', [a], { ints: [0, 0] });
    expectAll(p, b, p.op('c', 'mul', [a, b]));
  });

  test('what reads a tensor before and after it is overwritten', () => {
    const p = new Sketch();
    const [w, x] = [p.captured('w'), p.input('x')];
    const a = p.op('a', 'exp', [w]);
    p.update('assign', [p.view(w, [2]), p.view(x, [2])]);
    const b = p.op('b', 'mul', [a, x]);
    expectAll(p, b, p.op('c', 'mul', [b, w]));
  });

  test('results that are overwritten, with what reads them then', () => {
    const p = new Sketch();
    const x = p.input('x');
    const a = p.op('a', 'exp', [x]);
    p.update('assign', [a, x]);
    expectAll(p, p.op('b', 'neg', [a]));
  });

  test('a number that is overwritten', () => {
    const p = new Sketch();
    const x = p.input('x');
    const number = p.op('n', 'full', [], { shape: [1], floats: [1] });
    p.update('assign', [number, p.view(x, [1])]);
    const a = p.op('a', 'mul', [x, number]);
    expectAll(p, p.op('b', 'mul', [a, number]));
  });
});

test('chains end where they would have too many operands, constants, results or instructions', () => {
  const chainsOf = (...graph: Parameters<typeof fuseElementwise>): Operation[] =>
    fuseElementwise(...graph).operations.filter(({ name }) => name === 'fused');
  const p = new Sketch();
  let value = p.input('x');
  for (let i = 0; i < 12; i++) value = p.op(`a${String(i)}`, 'add', [value, p.input(`x${String(i)}`)]);
  expect(chainsOf(p.graph(value)).map(({ inputs }) => inputs.length - 1)).toEqual([8, 6]);

  const q = new Sketch();
  value = q.input('x');
  for (let i = 0; i < 20; i++) {
    value = q.op(`a${String(i)}`, 'add', [value, q.op(`k${String(i)}`, 'full', [], { shape: [], floats: [i] })]);
  }
  expect(chainsOf(q.graph(value)).map((chain) => codeOf(chain).constants.length)).toEqual([16, 4]);

  const r = new Sketch();
  value = r.input('x');
  const all: Value[] = [];
  for (let i = 0; i < 6; i++) all.push((value = r.op(`a${String(i)}`, 'exp', [value])));
  expect(chainsOf(r.graph(...all)).map(({ outputs }) => outputs.length)).toEqual([4, 2]);

  const s = new Sketch();
  value = s.input('x');
  for (let i = 0; i < 40; i++) value = s.op(`a${String(i)}`, 'exp', [value]);
  expect(chainsOf(s.graph(value)).map((chain) => codeOf(chain).body.length)).toEqual([32, 8]);
});

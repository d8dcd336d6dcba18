/** Results of chains that other chains compute again. */
import type { Value } from '../../../lib/compile/ir';
import { Units, type Unit } from '../../../lib/compile/passes/chains';
import { rematerialize } from '../../../lib/compile/passes/rematerialize';
import { Sketch } from './sketch';

/** A program whose operations stand in units, chains or not, each of so many operations. */
class Chains extends Sketch {
  /** The units after the pass, as text. */
  after(kinds: readonly (readonly [operations: number, kind: 'chain' | 'other'])[], ...outputs: Value[]): string[][] {
    let next = 0;
    const all = kinds.map(([count, kind]): Unit => {
      const operations = this.operations.slice(next, (next += count));
      return { operations, isChain: kind === 'chain', at: next - 1 };
    });
    rematerialize(new Units(this.graph(...outputs), all, new Map()));
    return all.map(({ operations }) => this.lines({ inputs: [], operations, outputs: [] }));
  }
}

test('what one chain passes on to others is computed by each of them', () => {
  const p = new Chains();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const b = p.op('b', 'sqrt', [a]);
  const c = p.op('c', 'neg', [b]);
  const d = p.op('d', 'mul', [b, x]);
  const units = p.after([[2, 'chain'], [1, 'chain'], [1, 'chain']], c, d); // prettier-ignore
  expect(units).toEqual([
    [],
    ['new0 = exp(x)', 'new1 = sqrt(new0)', 'c = neg(new1)'],
    ['new2 = exp(x)', 'new3 = sqrt(new2)', 'd = mul(new3, x)'],
  ]);
});

test('what is needed for another result stays where it is, too', () => {
  const p = new Chains();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const b = p.op('b', 'sqrt', [a]);
  const c = p.op('c', 'neg', [a]);
  const units = p.after([[2, 'chain'], [1, 'chain']], b, c); // prettier-ignore
  expect(units).toEqual([
    ['a = exp(x)', 'b = sqrt(a)'],
    ['new0 = exp(x)', 'c = neg(new0)'],
  ]);
});

test('what is computed twice then is computed once', () => {
  const p = new Chains();
  const x = p.input('x');
  const a = p.op('a', 'exp', [x]);
  const b = p.op('b', 'sqrt', [a]);
  const c = p.op('c', 'neg', [a]);
  const d = p.op('d', 'mul', [b, c]);
  const units = p.after([[3, 'chain'], [1, 'chain']], d); // prettier-ignore
  expect(units).toEqual([[], ['new0 = exp(x)', 'new1 = sqrt(new0)', 'new2 = neg(new0)', 'd = mul(new1, new2)']]);
});

describe('left alone', () => {
  function expectSame(p: Chains, kinds: Parameters<Chains['after']>[0], ...outputs: Value[]): void {
    const before = p.lines(p.graph());
    expect(p.after(kinds, ...outputs).flat()).toEqual(before);
  }

  test('what another operation reads, or a view of it', () => {
    const p = new Chains();
    const x = p.input('x');
    const [a, b] = [p.op('a', 'exp', [x]), p.op('b', 'log', [x])];
    const c = p.op('c', 'neg', [a]);
    const d = p.op('d', 'add', [b, p.view(b, [4])]);
    const e = p.op('e', 'cumsum', [a], { ints: [0, 0] });
    expectSame(p, [[1, 'chain'], [1, 'chain'], [1, 'chain'], [1, 'chain'], [1, 'other']], c, d, e); // prettier-ignore
  });

  test('what other operations make, and what the caller gets', () => {
    const p = new Chains();
    const x = p.input('x');
    const a = p.op('a', 'cumsum', [x], { ints: [0, 0] });
    const b = p.op('b', 'exp', [x]);
    const c = p.op('c', 'mul', [a, b]);
    expectSame(p, [[1, 'other'], [1, 'chain'], [1, 'chain']], b, c); // prettier-ignore
  });

  test('what would take more to read', () => {
    const p = new Chains();
    const a = p.op('a', 'add', [p.input('x'), p.input('y')]);
    expectSame(p, [[1, 'chain'], [1, 'chain']], p.op('b', 'neg', [a])); // prettier-ignore
  });

  test('what takes many operations', () => {
    const p = new Chains();
    let value = p.input('x');
    for (let i = 0; i < 9; i++) value = p.op(`a${String(i)}`, 'exp', [value]);
    expectSame(p, [[9, 'chain'], [1, 'chain']], p.op('b', 'neg', [value])); // prettier-ignore
  });

  test('what is made of a tensor that was overwritten since', () => {
    const p = new Chains();
    const w = p.captured('w');
    const a = p.op('a', 'exp', [w]);
    p.update('assign', [w, p.input('x')]);
    expectSame(p, [[1, 'chain'], [1, 'other'], [1, 'chain']], p.op('b', 'neg', [a])); // prettier-ignore
  });

  test('what is overwritten itself', () => {
    const p = new Chains();
    const x = p.input('x');
    const a = p.op('a', 'exp', [x]);
    const b = p.op('b', 'neg', [a]);
    p.update('assign', [a, x]);
    expectSame(p, [[1, 'chain'], [1, 'chain'], [1, 'other'], [1, 'chain']], b, p.op('c', 'neg', [a])); // prettier-ignore
  });
});

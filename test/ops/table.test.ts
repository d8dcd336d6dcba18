/** Every op of the table: forward in every layout, gradients by finite differences, bad inputs. */
import { checkGradients, tensor, tidy, type AnyTensor, type Tensor } from '../../lib';
import { Op, type OpName } from '../../lib/ops/table';
import { cases } from './cases';
import { layouts, mismatch, type Dense } from './reference';

const names = Object.keys(Op) as OpName[];

test('every op has a row, and every row an op', () => {
  expect(Object.keys(cases).sort()).toEqual([...names].sort());
});

describe.each(names)('%s', (name) => {
  const row = cases[name];
  const call = row.call as (...inputs: AnyTensor[]) => AnyTensor;

  test.each(Object.keys(layouts))('forward, %s', (layout) => {
    row.samples.forEach((inputs, i) => {
      tidy(() => {
        const out = call(...inputs.map((input) => layouts[layout](input)));
        const problem = mismatch(out, row.reference(...inputs), row.rtol, row.atol);
        if (problem !== null) throw new Error(`sample ${String(i)}: ${problem}`);
      });
    });
  });

  const { gradient } = row;
  if (typeof gradient !== 'string') {
    test.each(gradient.map((inputs, i) => [i, inputs] as const))('gradient, sample %i', (_, inputs) => {
      tidy(() => {
        const variables = inputs.filter((input) => input.dtype === 'float32');
        const fn = (...given: Tensor[]): Tensor => {
          let next = 0;
          const all = inputs.map((input) => (input.dtype === 'float32' ? given[next++] : constant(input)));
          return call(...all) as Tensor;
        };
        checkGradients(
          name,
          fn,
          variables.map((input) => constant(input) as Tensor),
          {
            secondOrder: row.firstOrderOnly === undefined,
          },
        );
      });
    });
  }

  if (row.bad.length > 0) {
    test.each(row.bad)('bad input: %s', (_, attempt, message) => {
      expect(attempt).toThrow(message);
    });
  }
});

function constant(input: Dense): AnyTensor {
  return tensor(Float64Array.from(input.data), { shape: input.shape, dtype: input.dtype });
}

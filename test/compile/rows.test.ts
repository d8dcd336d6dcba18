/** Every row of the operator table, forward and backward, in a compiled step: to the last bit what eager operations give. */
import { compile, gradients, manualSeed, tensor, TraceError, type AnyTensor } from '../../lib';
import { spread, type Dense } from '../ops/reference';
import type { Row } from '../ops/row';
import { families } from '../ops/rows';

const isFloat = (x: Dense): boolean => x.dtype === 'float32' || x.dtype === 'float64';

function constant(x: Dense): AnyTensor {
  return tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype });
}

function differentiable(row: Row, inputs: readonly Dense[]): number[] {
  if (Array.isArray(row.gradient)) return (row.gradient as readonly number[]).filter((i) => isFloat(inputs[i]));
  return row.gradient === 'all' ? inputs.flatMap((input, i) => (isFloat(input) ? [i] : [])) : [];
}

/** The row's results, then the gradients of its variables for each result that has any. */
function stepOf(row: Row, variables: readonly number[]): (...inputs: AnyTensor[]) => AnyTensor[] {
  const call = row.call as (...inputs: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
  return (...inputs) => {
    const result = call(...inputs);
    const outputs = (Array.isArray(result) ? result : [result]) as readonly AnyTensor[];
    const wanted = variables.map((at) => inputs[at]);
    const grads = outputs
      .filter((out) => out.requiresGrad)
      .flatMap((out) => {
        const seed = constant(spread(out.shape, -1, 1)).cast(out.dtype);
        return gradients(out, wanted, { gradient: seed, retainGraph: true });
      });
    return [...outputs.map((out) => out.detach()), ...grads];
  };
}

function leaves(inputs: readonly Dense[], variables: readonly number[]): AnyTensor[] {
  return inputs.map((x, at) => {
    const leaf = constant(x);
    if (variables.includes(at)) leaf.requiresGrad = true;
    return leaf;
  });
}

async function compare(row: Row, inputs: readonly Dense[]): Promise<void> {
  const variables = differentiable(row, inputs);
  const fn = stepOf(row, variables);
  manualSeed(5);
  const eager = fn(...leaves(inputs, variables)).map((x) => [x.dtype, x.shape, x.data()] as const);
  const step = compile(fn);
  // The second run goes without tracing.
  for (let run = 0; run < 2; run++) {
    manualSeed(5);
    const compiled = await step(...leaves(inputs, variables));
    expect(compiled.length).toBe(eager.length);
    for (const [i, x] of compiled.entries()) {
      expect([x.dtype, x.shape]).toEqual(eager[i].slice(0, 2));
      expect(await x.data()).toEqual(await eager[i][2]);
    }
  }
  step.dispose();
}

describe.each(Object.entries(families))('%s', (_, rows) => {
  for (const [name, row] of Object.entries(rows)) {
    if (row.untraced === undefined) {
      test(name, async () => {
        for (const inputs of row.samples) await compare(row, inputs);
      });
    } else {
      test(`${name}: ${row.untraced}`, async () => {
        const attempts = row.samples.map((inputs) => {
          const variables = differentiable(row, inputs);
          return compile(stepOf(row, variables))(...leaves(inputs, variables));
        });
        const results = await Promise.allSettled(attempts);
        const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
        expect(errors.length).toBeGreaterThan(0);
        for (const error of errors) expect(error instanceof TraceError || error instanceof RangeError).toBe(true);
      });
    }
  }
});

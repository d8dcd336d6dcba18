/** Runs the operator table; see row.ts. */
import { checkGradients, checkSecondOrder, noGrad, tensor, tidy, type AnyTensor, type Tensor } from '../../lib';
import { native, scratch, Scratch } from '../../lib/native';
import { Op, opTable, type OpName } from '../../lib/ops/table';
import { publicOps } from './public';
import { loadFixture, type Fixture } from './fixture';
import { layouts, mismatch, spread, type Dense } from './reference';
import type { Row } from './row';
import { families } from './rows';

const isFloat = (x: Dense): boolean => x.dtype === 'float32' || x.dtype === 'float64';
const listOf = (result: AnyTensor | readonly AnyTensor[]): readonly AnyTensor[] =>
  Array.isArray(result) ? (result as readonly AnyTensor[]) : [result as AnyTensor];

/** Every opcode that native code was asked for while the table ran. */
const seen = new Set<number>();
const run = native.run.bind(native);
beforeAll(() => {
  native.run = (...owners) => {
    seen.add(scratch[Scratch.op]);
    return run(...owners);
  };
});
afterAll(() => {
  native.run = run;
});

function asDType(x: Dense, dtype: 'float32' | 'float64'): Dense {
  return isFloat(x) ? { ...x, dtype } : x;
}

function constant(x: Dense): AnyTensor {
  return tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype });
}

function expected(row: Row, name: string, fixture: Fixture, i: number, inputs: readonly Dense[]): readonly Dense[] {
  if (typeof row.torch === 'string') return fixture.outputs(name, row, i);
  const result = row.torch(...inputs);
  return Array.isArray(result) ? (result as readonly Dense[]) : [result as Dense];
}

function compareAll(actual: readonly AnyTensor[], wanted: readonly Dense[], rtol?: number, atol?: number): void {
  if (actual.length !== wanted.length) {
    throw new Error(`${String(actual.length)} results, expected ${String(wanted.length)}`);
  }
  actual.forEach((out, j) => {
    const problem = mismatch(out, wanted[j], rtol, atol);
    if (problem !== null) throw new Error(`result ${String(j)}: ${problem}`);
  });
}

/** The differentiable inputs of a sample. */
function variablesOf(row: Row, inputs: readonly Dense[]): number[] {
  if (Array.isArray(row.gradient)) return (row.gradient as readonly number[]).filter((i) => isFloat(inputs[i]));
  return row.gradient === 'all' ? inputs.flatMap((input, i) => (isFloat(input) ? [i] : [])) : [];
}

/** The row's float results over the chosen variables, the other inputs fixed; flattened into one vector. */
function functionOf(row: Row, inputs: readonly Dense[], variables: readonly number[], layout: string) {
  return (...given: Tensor[]): Tensor => {
    const call = row.call as (...all: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
    const all = inputs.map((input, i) => {
      const at = variables.indexOf(i);
      if (at < 0) return constant(asDType(input, 'float64'));
      // The same values by way of another layout, so that a rule's backward sees it too.
      return layout === 'transposed' && input.shape.length > 1
        ? given[at].transpose(0, -1).contiguous().transpose(0, -1)
        : given[at];
    });
    const floats = listOf(call(...all)).filter((out) => out.dtype === 'float64') as unknown as Tensor[];
    return floats.length === 1 ? floats[0] : concatFlat(floats);
  };
}

function concatFlat(parts: readonly Tensor[]): Tensor {
  return parts.map((part) => part.reshape([-1])).reduce((a, b) => joined(a, b));
}

function joined(a: Tensor, b: Tensor): Tensor {
  // By sums of padded parts, so that the check does not lean on another row's op.
  const size = a.size + b.size;
  const place = (x: Tensor, start: number): Tensor => {
    const matrix = new Float64Array(x.size * size);
    for (let i = 0; i < x.size; i++) matrix[i * size + start + i] = 1;
    return x
      .reshape([1, x.size])
      .matmul(tensor(matrix, { shape: [x.size, size], dtype: 'float64' }))
      .reshape([size]);
  };
  return place(a, 0).add(place(b, a.size));
}

/** The gradients of float32 inputs for the seeds that scripts/references/ops.py uses too. */
function compareGradients(row: Row, inputs: readonly Dense[], sample: number, wanted: readonly Dense[]): void {
  const call = row.call as (...all: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
  const variables = variablesOf(row, inputs);
  const leaves = inputs.map((x, at) => {
    const leaf = constant(x);
    if (variables.includes(at)) leaf.requiresGrad = true;
    return leaf;
  });
  const outputs = listOf(call(...leaves)).filter((out) => out.requiresGrad) as unknown as Tensor[];
  outputs.forEach((out, j) => {
    const seed = constant(spread(out.shape, -1, 1)) as Tensor;
    out.backward({ gradient: seed, retainGraph: j < outputs.length - 1 });
  });
  variables.forEach((at, j) => {
    const grad = leaves[at].grad ?? (leaves[at].detach().mul(0) as Tensor);
    const problem = mismatch(grad, wanted[j], row.rtol, row.atol);
    if (problem !== null) throw new Error(`sample ${String(sample)}, gradient of input ${String(at)}: ${problem}`);
  });
}

describe.each(Object.entries(families))('%s', (family, rows) => {
  const fixture = loadFixture(family);
  describe.each(Object.entries(rows))('%s', (name, row) => {
    const call = row.call as (...inputs: AnyTensor[]) => AnyTensor | readonly AnyTensor[];

    test.each(row.layouts === false ? ['contiguous'] : Object.keys(layouts))('forward, %s', (layout) => {
      row.samples.forEach((inputs, i) => {
        tidy(() => {
          const wanted = expected(row, name, fixture, i, inputs);
          compareAll(listOf(call(...inputs.map((x) => layouts[layout](x)))), wanted, row.rtol, row.atol);
        });
      });
    });

    if (row.float32Only === undefined && row.samples.flat().some(isFloat)) {
      test('forward, float64', () => {
        row.samples.forEach((inputs, i) => {
          tidy(() => {
            const doubles = inputs.map((x) => asDType(x, 'float64'));
            const wanted = expected(row, name, fixture, i, doubles).map((x) => asDType(x, 'float64'));
            compareAll(listOf(call(...doubles.map(constant))), wanted, 1e-8, 1e-8);
          });
        });
      });
    }

    if (typeof row.torch === 'string' && row.samples.some((inputs) => variablesOf(row, inputs).length > 0)) {
      test("PyTorch's gradients", () => {
        row.samples.forEach((inputs, i) => {
          const wanted = fixture.gradients(name, row, i);
          tidy(() => {
            compareGradients(row, inputs, i, wanted);
          });
        });
      });
    }

    if (row.float32Only === undefined) {
      (row.gradientSamples ?? row.samples).forEach((inputs, i) => {
        const variables = variablesOf(row, inputs);
        const size = variables.reduce((sum, at) => sum + inputs[at].data.length, 0);
        if (size === 0 || size > 90) return;
        for (const layout of ['contiguous', 'transposed']) {
          if (layout === 'transposed' && variables.every((at) => inputs[at].shape.length < 2)) continue;
          variables.forEach((at) => {
            const label = `sample ${String(i)}, ${layout}, input ${String(at)}`;
            const fn = functionOf(row, inputs, [at], layout);
            const variable = (): AnyTensor => constant(asDType(inputs[at], 'float64'));
            test(`gradient: ${label}`, () => {
              tidy(() => {
                checkGradients(name, fn, [variable()]);
              });
            });
            if (row.firstOrderOnly !== undefined) return;
            test(`gradient: second order, ${label}`, () => {
              tidy(() => {
                checkSecondOrder(name, fn, [variable()]);
              });
            });
          });
        }
      });
    }

    if (row.bad.length > 0) {
      test.each(row.bad)('bad input: %s', (_, attempt, message) => {
        expect(() => noGrad(attempt)).toThrow(message);
      });
    }
  });
});

test('every public operation has a row', () => {
  const covered = new Set(Object.values(families).flatMap((rows) => Object.keys(rows).map((key) => key.split('/')[0])));
  expect(publicOps().filter((name) => !covered.has(name))).toEqual([]);
});

test('every native operation was run', () => {
  // The optimizers' in-place updates have tests of their own in test/optim; what only compiled steps use, in
  // test/compile.
  const elsewhere = ['inplace', 'assignRows', 'fused'];
  const names = (Object.keys(Op) as OpName[]).filter((name) => !elsewhere.includes(opTable[name].kind));
  const missed = names.filter((name) => name !== 'linearEpilogue' && !seen.has(Op[name]));
  expect(missed).toEqual([]);
});

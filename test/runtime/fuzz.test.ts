/** Whatever a program passes, it gets a result or an Error; the process stays. */
import fc from 'fast-check';
import * as k from '../../lib';

const junk = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    NaN,
    Infinity,
    -Infinity,
    -1,
    0,
    1,
    2,
    0.5,
    2 ** 31,
    2 ** 53,
    -0,
    '',
    'x',
    true,
    Symbol('s'),
    10n,
  ),
  fc.constantFrom<unknown>(
    [],
    [1],
    [[1], [2, 3]],
    [-1, 2],
    [0.5],
    [NaN],
    [2 ** 40, 2 ** 40],
    [[]],
    {},
    new Map(),
    () => 1,
    new Date(0),
  ),
  fc.integer({ min: -4, max: 4 }),
  fc.array(fc.integer({ min: -3, max: 4 }), { maxLength: 10 }),
  fc.constantFrom<unknown>(
    new Float32Array(3),
    new Int32Array([1, -5]),
    new Uint8Array(0),
    new DataView(new ArrayBuffer(8)),
    new ArrayBuffer(4),
  ),
  fc.constantFrom<unknown>(
    { dtype: 'int32' },
    { dtype: 'nope' },
    { keepDims: 'yes' },
    { shape: [2] },
    { requiresGrad: true },
    { reduction: 'x' },
  ),
);

const tensors = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
    fc.constantFrom('float32', 'int32', 'bool', 'view', 'disposed', 'grad'),
  )
  .map(([shape, kind]) => {
    if (kind === 'view') return k.ones([2, ...shape]).transpose(0, shape.length);
    if (kind === 'grad') return k.ones(shape, { requiresGrad: true });
    const x: k.AnyTensor = k.full(shape, 1, { dtype: kind === 'disposed' ? 'float32' : kind });
    if (kind === 'disposed') x.dispose();
    return x;
  });

// What would change the process for the tests after this one, or run for as long as it is told to.
const excluded = new Set([
  'setNumThreads',
  'mnist',
  'setMemoryLimit',
  'manualSeed',
  'checkGradients',
  'checkSecondOrder',
  'linspace',
  'Tensor',
  'rand',
  'randn',
  'eye',
  'arange',
  'full',
  'zeros',
  'ones',
]);
type AnyFunction = (...args: unknown[]) => unknown;

const isClass = (value: unknown): boolean =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

const functions = Object.entries({ ...k, ...k.linalg, ...k.fft, ...k.nn, ...k.nn.functional, ...k.data, ...k.optim })
  .filter(([name, value]) => typeof value === 'function' && !excluded.has(name))
  .map(([name, value]): [string, AnyFunction] => {
    const target = value as unknown as AnyFunction & (new (...args: unknown[]) => unknown);
    return [name, isClass(value) ? (...args) => new target(...args) : target];
  });

const methods = Object.getOwnPropertyNames(k.Tensor.prototype).filter(
  (name) =>
    name !== 'constructor' &&
    typeof Object.getOwnPropertyDescriptor(k.Tensor.prototype, name)?.value === 'function' &&
    !name.startsWith('_'),
);

async function survives(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    expect(error).toHaveProperty('message');
  }
}

test('there is something to try', () => {
  expect(functions.length).toBeGreaterThan(60);
  expect(methods.length).toBeGreaterThan(40);
});

test('functions with any arguments', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...functions),
      fc.array(fc.oneof(tensors, tensors, junk), { maxLength: 4 }),
      async ([, fn], args) => {
        await survives(() => fn(...args));
      },
    ),
    { numRuns: 4000, seed: 1 },
  );
});

test('methods with any arguments', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...methods),
      tensors,
      fc.array(fc.oneof(tensors, junk), { maxLength: 3 }),
      async (name, self, args) => {
        await survives(() => (self as unknown as Record<string, AnyFunction>)[name](...args));
      },
    ),
    { numRuns: 4000, seed: 2 },
  );
});

test('creation with any shape that is small or wrong', async () => {
  const makers = [k.zeros, k.ones, k.rand, k.randn, k.eye, k.arange, k.linspace] as unknown as AnyFunction[];
  const smallJunk = junk.filter((value) => typeof value !== 'number' || !(value > 1e6));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...makers), fc.array(smallJunk, { maxLength: 4 }), async (make, args) => {
      await survives(() => make(...args));
    }),
    { numRuns: 2000, seed: 3 },
  );
});

test('and everything still works', () => {
  expect(
    k
      .tensor([
        [1, 2],
        [3, 4],
      ])
      .matmul(k.tensor([[1], [1]]))
      .toArray(),
  ).toEqual([[3], [7]]);
  k.emptyCache();
});

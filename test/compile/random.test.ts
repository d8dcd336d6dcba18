/** Random programs, compiled and eager: the same to the last bit. */
import fc from 'fast-check';
import { assign, compile, maximum, tensor, where, zeros, type AnyTensor, type Tensor } from '../../lib';

/** One operation: its kind, and numbers that choose its operands among the values there are. */
type Instruction = readonly [kind: number, a: number, b: number];

const rows = 3;
const columns = 4;

/** Every kind gives a [3, 4] tensor of moderate size from two. */
const kinds: ((a: Tensor, b: Tensor) => Tensor)[] = [
  (a, b) => a.add(b) as Tensor,
  (a, b) => a.sub(b) as Tensor,
  (a, b) => a.mul(b).tanh() as Tensor,
  (a) => a.relu(),
  (a) => a.mul(0.5).add(1) as Tensor,
  (a) => a.sigmoid(),
  (a, b) => maximum(a, b) as Tensor,
  (a, b) => where(a.greater(0), a, b) as Tensor,
  (a, b) => a.add(b.slice([0, 1])) as Tensor,
  (a, b) => a.sub(b.mean(1, { keepDims: true })) as Tensor,
  (a) => a.reshape([columns, rows]).T.contiguous(),
  (a) => a.reshape([columns, rows]).T,
  (a, b) => a.matmul(b.T).matmul(a).tanh(),
  (a) => a.softmax(),
  (a, b) =>
    a
      .slice(null, [0, 2])
      .add(b.slice(null, [2, 4]))
      .sum(1, { keepDims: true })
      .expand([rows, columns])
      .tanh(),
  (a, b) => a.exp().log1p().mul(b.neg().erf()) as Tensor,
];

/** What a program computes: some of its values, and a state that it has updated on its way. */
function run(program: readonly Instruction[], state: Tensor, x: Tensor, y: Tensor): Tensor[] {
  const values: Tensor[] = [x, y, state];
  const updated: AnyTensor[] = [];
  program.forEach(([kind, a, b], i) => {
    const [left, right] = [values[a % values.length], values[b % values.length]];
    if (kind === kinds.length) {
      // Read again later as what it is then.
      assign(state, left.add(right).tanh());
      updated.push(state.mul(1));
    } else values.push(kinds[kind](left, right));
    if (i % 5 === 4) updated.push(values[values.length - 1]);
  });
  return [...updated.slice(-3), values[values.length - 1]] as Tensor[];
}

const instruction = fc.tuple(fc.nat(kinds.length), fc.nat(1000), fc.nat(1000));
const filled = (offset: number): Tensor =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(3 * i + offset)),
    { shape: [rows, columns] },
  );

test('random programs give what eager operations give', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(instruction, { minLength: 1, maxLength: 25 }), async (program) => {
      const [x, y] = [filled(1), filled(2)];
      const [eagerState, state] = [zeros([rows, columns]), zeros([rows, columns])];
      const step = compile((a: Tensor, b: Tensor) => run(program, state, a, b));
      for (let i = 0; i < 2; i++) {
        const wanted = run(program, eagerState, x, y).map((z) => z.toArray());
        const found = (await step(x, y)).map((z) => z.toArray());
        expect(found).toEqual(wanted);
        expect(state.toArray()).toEqual(eagerState.toArray());
      }
      step.dispose();
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('random programs with gradients give what eager operations give', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(instruction, { minLength: 1, maxLength: 12 }), async (program) => {
      const [x, y] = [filled(1), filled(2)];
      const w = filled(3);
      w.requiresGrad = true;
      const fn = (a: Tensor, b: Tensor): Tensor[] => {
        const pure = program.filter(([kind]) => kind < kinds.length);
        w.grad = null;
        const out = run(pure, w, a, b);
        const loss = out.reduce((sum, z) => sum.add(z.sum()) as Tensor, w.sum());
        loss.backward();
        return [loss.detach(), (w.grad as unknown as Tensor).detach()];
      };
      const wanted = fn(x, y).map((z) => z.toArray());
      const step = compile(fn);
      expect((await step(x, y)).map((z) => z.toArray())).toEqual(wanted);
      expect((await step(x, y)).map((z) => z.toArray())).toEqual(wanted);
      step.dispose();
    }),
    { numRuns: 200, seed: 8 },
  );
});

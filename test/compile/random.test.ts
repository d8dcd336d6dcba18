/** Random programs, compiled and eager: the same to the last bit. */
import fc from 'fast-check';
import { assign, compile, full, maximum, tensor, where, zeros, type AnyTensor, type Tensor } from '../../lib';

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

/** What else there is: an operation once more, and what overwrites something. */
const again = kinds.length;
const [updateState, overwrite, overwriteNumber] = [again + 1, again + 2, again + 3];

/** A program as it runs. */
class Run {
  private readonly values: Tensor[];
  /** Values with memory that is theirs alone. */
  private readonly own: Tensor[] = [];
  private readonly updated: AnyTensor[] = [];
  private readonly done: (() => Tensor)[] = [];

  constructor(
    private readonly state: Tensor,
    x: Tensor,
    y: Tensor,
  ) {
    this.values = [x, y, state];
  }

  take([kind, a, b]: Instruction): void {
    const [left, right] = [this.values[a % this.values.length], this.values[b % this.values.length]];
    if (kind < kinds.length) {
      this.done.push(() => kinds[kind](left, right));
      this.values.push(this.done[this.done.length - 1]());
    } else if (kind === again) {
      if (this.done.length > 0) this.values.push(this.done[a % this.done.length]());
    } else if (kind === updateState) {
      // Read again later as what it is then.
      assign(this.state, left.add(right).tanh());
      this.updated.push(this.state.mul(1));
    } else if (kind === overwrite) this.overwrite(left, right, b);
    else {
      const number = full([], 0.5);
      assign(number, left.mean());
      this.values.push(right.add(number).mul(0.5) as Tensor);
    }
  }

  /** Makes something, overwrites it or what was made so before, and goes on with both what was there and what is. */
  private overwrite(left: Tensor, right: Tensor, choice: number): void {
    const made = choice % 2 === 0 ? full([rows, columns], 0.25) : left.tanh();
    this.own.push(made);
    this.values.push(made, made.mul(0.5) as Tensor);
    const target = this.own[choice % this.own.length];
    assign(target, target.sub(right).tanh());
    this.values.push(target.exp().log1p());
  }

  /** Some of the last values may be what they are only later. */
  note(): void {
    this.updated.push(this.values[this.values.length - 1]);
  }

  results(): Tensor[] {
    // Of all of them, so that nothing is for nothing.
    const sum = this.values.reduce((total, value) => total.add(value) as Tensor);
    return [...this.updated.slice(-3), this.values[this.values.length - 1], sum] as Tensor[];
  }
}

/** What a program computes: some of its values, and a state that it has updated on its way. */
function run(program: readonly Instruction[], state: Tensor, x: Tensor, y: Tensor): Tensor[] {
  const run = new Run(state, x, y);
  program.forEach((instruction, i) => {
    run.take(instruction);
    if (i % 5 === 4) run.note();
  });
  return run.results();
}

const instruction = fc.tuple(fc.nat(overwriteNumber), fc.nat(1000), fc.nat(1000));
const filled = (offset: number): Tensor =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(3 * i + offset)),
    { shape: [rows, columns] },
  );

const mergedIn = (text: string): number => Number(/(\d+) more merged/.exec(text)?.[1]);

test('random programs give what eager operations give', async () => {
  let merging = 0;
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
      if (mergedIn(step.explain()) > 0) merging++;
      step.dispose();
    }),
    { numRuns: 300, seed: 7 },
  );
  expect(merging).toBeGreaterThan(100);
});

test('random programs with gradients give what eager operations give', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(instruction, { minLength: 1, maxLength: 12 }), async (program) => {
      const [x, y] = [filled(1), filled(2)];
      const w = filled(3);
      w.requiresGrad = true;
      const fn = (a: Tensor, b: Tensor): Tensor[] => {
        const pure = program.filter(([kind]) => kind <= again);
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

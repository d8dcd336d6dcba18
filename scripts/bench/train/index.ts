/**
 * Training throughput side by side: `npm run bench -- --train [--models mlp,gpt] [--rounds N] [--seconds S] [--threads N]
 * [--eager] [--json]`. Rounds take turns between the contestants, because a machine's speed drifts; medians and ratios
 * are reported. A peer that is not installed is left out and named.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { boundThreads, Contestant } from '../contestant';
import { physicalCores } from '../cores';
import { findPythons } from '../peers';
import type { Introduction, Round } from '../protocol';
import { median } from '../statistics';
import { subjects } from './models';

const root = path.resolve(__dirname, '../../../..');

/** A contestant and what it has done so far. */
class Runner {
  readonly rates: number[] = [];
  losses: readonly number[] = [];
  peakBytes = 0;

  private constructor(private readonly contestant: Contestant) {}

  static async start(
    command: string,
    args: readonly string[],
    threads: number,
    environment: NodeJS.ProcessEnv,
  ): Promise<Runner> {
    const contestant = await Contestant.start(command, args, threads, environment);
    if (contestant === null) throw new Error(`${command} ${args.join(' ')} ended at once`);
    return new Runner(contestant);
  }

  get introduction(): Introduction {
    return this.contestant.introduction;
  }

  async run(steps: number): Promise<Round> {
    return this.contestant.ask<Round>(`run ${steps}`);
  }

  stop(): void {
    this.contestant.stop();
  }
}

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly threads: string;
  readonly eager: boolean;
}

/** How many steps take about so long. */
async function stepsFor(contestant: Runner, seconds: number): Promise<number> {
  const first = await contestant.run(10);
  contestant.losses = first.losses;
  const { seconds: took } = await contestant.run(5);
  return Math.max(3, Math.min(5000, Math.round((5 * seconds) / took)));
}

async function measure(model: string, pythons: readonly string[], settings: Settings): Promise<Row[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kindling-bench-'));
  const peer = path.join(root, 'scripts/bench/train/peer.py');
  if (pythons.length > 0) spawnSync(pythons[0], [peer, 'prepare', model, folder], { stdio: 'inherit' });
  const { threads } = settings;
  const start = (command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Runner> =>
    Runner.start(command, args, Number(threads), environment);
  const own = (mode: string): Promise<Runner> =>
    start(process.execPath, [path.join(__dirname, 'kindling.js'), model, folder, threads, mode]);
  const contestants = [await own('compiled')];
  if (settings.eager) contestants.push(await own('eager'));
  for (const python of pythons) {
    contestants.push(await start(python, [peer, 'serve', model, folder, threads], boundThreads));
  }
  const steps: number[] = [];
  for (const contestant of contestants) steps.push(await stepsFor(contestant, settings.seconds));
  for (let round = 0; round < settings.rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      const { samples, seconds, peakBytes } = await contestant.run(steps[i]);
      contestant.rates.push(samples / seconds);
      contestant.peakBytes = peakBytes;
    }
  }
  for (const contestant of contestants) contestant.stop();
  rmSync(folder, { recursive: true });
  return contestants.map((contestant) => rowOf(model, contestant, contestants[0]));
}

interface Row {
  readonly model: string;
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  readonly samplesPerSecond: number;
  readonly lowest: number;
  readonly highest: number;
  /** Kindling's rate to this one's: the median over the rounds. */
  readonly ratio: number;
  /** The largest relative difference of the first ten losses from Kindling's. */
  readonly lossDifference: number;
  readonly peakMebibytes: number;
}

function rowOf(model: string, { introduction, rates, losses, peakBytes }: Runner, own: Runner): Row {
  const rounded = (x: number): number => Number(x.toPrecision(4));
  return {
    model,
    ...introduction,
    samplesPerSecond: rounded(median(rates)),
    lowest: rounded(Math.min(...rates)),
    highest: rounded(Math.max(...rates)),
    ratio: Number(median(own.rates.map((rate, i) => rate / rates[i])).toFixed(2)),
    lossDifference: Math.max(...losses.map((loss, i) => Math.abs(loss - own.losses[i]) / Math.abs(loss))),
    peakMebibytes: Math.round(peakBytes / 1024 ** 2),
  };
}

export async function trainBenchmark(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      models: { type: 'string', default: Object.keys(subjects).join(',') },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1.5' },
      threads: { type: 'string', default: String(physicalCores()) },
      eager: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const pythons = findPythons();
  if (pythons.length === 0) console.error('PyTorch is not installed (set KINDLING_BENCH_PYTHON); measured without it');
  const { threads, eager } = values;
  const settings = { rounds: Number(values.rounds), seconds: Number(values.seconds), threads, eager };
  const rows: Row[] = [];
  for (const model of values.models.split(',')) {
    if (!(model in subjects)) throw new Error(`unknown model ${model}; known are ${Object.keys(subjects).join(', ')}`);
    rows.push(...(await measure(model, pythons, settings)));
  }
  if (values.json) console.log(JSON.stringify(rows));
  else console.table(rows);
}

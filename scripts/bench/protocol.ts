/** How the benchmark driver talks to what it measures: a line `run STEPS` in, a line of JSON out. */
import { createInterface } from 'node:readline';

/** The first line that a contestant prints. */
export interface Introduction {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
}

/** The answer to one `run`. */
export interface Round {
  readonly samples: number;
  readonly seconds: number;
  /** Of the first steps of the round, at most ten. */
  readonly losses: readonly number[];
  /** The most memory that the process has had so far. */
  readonly peakBytes: number;
}

/** Serves rounds from this process until its input ends. */
export async function serve(introduction: Introduction, run: (steps: number) => Promise<Round>): Promise<void> {
  process.stdout.write(`${JSON.stringify(introduction)}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    const steps = Number(line.split(' ')[1]);
    process.stdout.write(`${JSON.stringify(await run(steps))}\n`);
  }
}

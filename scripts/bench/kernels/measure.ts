/** The rounds of one case: contestants take turns, because a machine's speed drifts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from '../contestant';
import type { Case } from './cases';

/** What is compared of a result, whatever layout a contestant keeps it in. A number that is not finite is null. */
export interface Checksum {
  readonly name: string;
  readonly sum: number | null;
  /** The sum of magnitudes. */
  readonly magnitude: number | null;
}

interface Refusal {
  readonly ok: false;
  readonly reason: string;
}
type CaseAnswer = { readonly ok: true; readonly work: number; readonly check: readonly Checksum[] } | Refusal;
type RunAnswer = { readonly ok: true; readonly seconds: number } | Refusal;

export interface Settings {
  readonly rounds: number;
  /** Of one contestant in one round. */
  readonly seconds: number;
}

/** One contestant's rounds of a case. */
export interface Timings {
  readonly name: string;
  /** Of one run. */
  readonly work: number;
  /** Of one run, in each round. */
  readonly seconds: readonly number[];
}

export interface Measured {
  readonly timings: readonly Timings[];
  /** What went wrong, a line for each contestant. */
  readonly problems: readonly string[];
}

/** OpenBLAS's threads spin for some 25 ms after their work and would disturb the next contestant. */
const settleMs = 35;
const tolerance = 1e-3;

/** Whether the results are the same but for rounding. */
export function agree(a: readonly Checksum[], b: readonly Checksum[]): boolean {
  const close = (x: number | null, y: number | null, magnitude: number | null): boolean =>
    x !== null && y !== null && magnitude !== null && Math.abs(x - y) <= tolerance * magnitude;
  return (
    a.length === b.length &&
    a.every(({ name, sum, magnitude }) => {
      const other = b.find((each) => each.name === name);
      return other !== undefined && close(sum, other.sum, magnitude) && close(magnitude, other.magnitude, magnitude);
    })
  );
}

/** One that has the operation, and how often it runs in a round. */
class Entry {
  readonly seconds: number[] = [];
  repeats = 1;

  constructor(
    private readonly contestant: Contestant,
    readonly name: string,
    readonly work: number,
  ) {}

  /** Seconds of one run. */
  private async time(repeats: number): Promise<number> {
    const answer = await this.contestant.ask<RunAnswer>(`run ${repeats}`);
    if (!answer.ok) throw new Error(`${this.name}: ${answer.reason}`);
    return answer.seconds / repeats;
  }

  async choose(seconds: number): Promise<void> {
    await this.time(1);
    for (let repeats = 1; ; repeats *= 2) {
      const each = await this.time(repeats);
      if (each * repeats < seconds / 4 && repeats < 1 << 20) continue;
      this.repeats = Math.max(1, Math.round(seconds / each));
      return;
    }
  }

  async round(): Promise<void> {
    // For caches, the clock and sleeping threads.
    await this.time(Math.ceil(this.repeats / 8));
    this.seconds.push(await this.time(this.repeats));
  }
}

/** @param contestants by name; the first one's results are what the others' are held against. */
export async function measure(
  work: Case,
  contestants: ReadonlyMap<string, Contestant>,
  settings: Settings,
): Promise<Measured> {
  const entries: Entry[] = [];
  const problems: string[] = [];
  let expected: readonly Checksum[] | null = null;
  for (const [name, contestant] of contestants) {
    const answer = await contestant.ask<CaseAnswer>(`case ${work.spec}`);
    if (!answer.ok) {
      if (expected === null) problems.push(`${name}: ${answer.reason}`);
      continue;
    }
    expected ??= answer.check;
    // Limits compute nothing that could be compared.
    if (answer.work === 0 && !agree(expected, answer.check)) problems.push(`${name}: the result differs`);
    entries.push(new Entry(contestant, name, answer.work === 0 ? work.work : answer.work));
  }
  for (const entry of entries) {
    await entry.choose(settings.seconds);
    await sleep(settleMs);
  }
  for (let round = 0; round < settings.rounds; round++) {
    for (const entry of entries) {
      await entry.round();
      await sleep(settleMs);
    }
  }
  return { timings: entries, problems };
}

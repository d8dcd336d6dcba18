/** From timings to rates and ratios. */
import { geometricMean, median, quantile } from '../statistics';
import type { Case } from './cases';
import type { Timings } from './measure';

export interface Result {
  readonly name: string;
  /** Medians of the rounds: of one run, and GFLOP/s or GB/s. */
  readonly seconds: number;
  readonly rate: number;
  /** The distance of the quartiles, as a share of the median. */
  readonly spread: number;
  /** Kindling's speed to this one's: the median of the rounds. */
  readonly ratio: number;
}

export interface Row {
  readonly family: string;
  readonly name: string;
  readonly unit: 'GFLOP/s' | 'GB/s';
  readonly counts: string;
  /** What the machine did at most in the same rounds. */
  readonly limit: number;
  readonly own: Result;
  readonly peers: readonly Result[];
}

export const own = 'kindling';
export const limits = 'limits';

function resultOf({ name, work, seconds }: Timings, reference: Timings): Result {
  const middle = median(seconds);
  return {
    name,
    seconds: middle,
    rate: work / middle / 1e9,
    spread: (quantile(seconds, 0.75) - quantile(seconds, 0.25)) / middle,
    ratio: median(seconds.map((each, round) => each / reference.seconds[round])),
  };
}

export function rowOf(work: Case, timings: readonly Timings[]): Row {
  const { family, name, counts } = work;
  const reference = timings.find((each) => each.name === own);
  if (reference === undefined) throw new Error(`${family}: ${name} was not measured`);
  const results = timings.map((each) => resultOf(each, reference));
  return {
    family,
    name,
    unit: work.unit === 'flop' ? 'GFLOP/s' : 'GB/s',
    counts,
    limit: results.find((each) => each.name === limits)?.rate ?? NaN,
    own: results[timings.indexOf(reference)],
    peers: results.filter((each) => each.name !== own && each.name !== limits),
  };
}

/** The fastest of the peers, or null. */
export function bestPeer({ peers }: Row): Result | null {
  return peers.reduce<Result | null>((best, each) => (best === null || each.ratio < best.ratio ? each : best), null);
}

export interface FamilyMean {
  readonly family: string;
  /** Geometric means of the ratios, each over the cases that this peer has. */
  readonly peers: Readonly<Record<string, number>>;
  /** Over the best peer of each case; NaN without peers. */
  readonly best: number;
}

export function meansOf(rows: readonly Row[]): FamilyMean[] {
  return [...new Set(rows.map(({ family }) => family))].map((family) => {
    const members = rows.filter((row) => row.family === family);
    const results = members.flatMap(({ peers }) => peers);
    const names = [...new Set(results.map(({ name }) => name))];
    const meanOf = (name: string): number =>
      geometricMean(results.filter((each) => each.name === name).map(({ ratio }) => ratio));
    const best = members.map(bestPeer).filter((each) => each !== null);
    return {
      family,
      peers: Object.fromEntries(names.map((name) => [name, meanOf(name)])),
      best: geometricMean(best.map(({ ratio }) => ratio)),
    };
  });
}

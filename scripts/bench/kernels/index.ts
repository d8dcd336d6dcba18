/** Kernels against the libraries that this machine has; see docs/benchmarks.md. */
import os from 'node:os';
import path from 'node:path';
import { isa } from '../../../lib';
import { boundThreads, Contestant } from '../contestant';
import { findPythons } from '../peers';
import { buildProgram, listCases, program, selectCases, type Case, type Selection } from './cases';
import { measure, type Settings } from './measure';
import { limits, meansOf, own, rowOf, type Row } from './results';
import { familyCells, markdownOf, textOf, titleOf } from './table';

export interface KernelOptions extends Selection, Settings {
  readonly threads: number;
  readonly format: 'text' | 'json' | 'markdown';
  /** As the user gave it. */
  readonly command: string;
}

const script = path.resolve(__dirname, '../../../../scripts/bench/kernels/peer.py');
const libraries = ['openblas', 'blis', 'onednn', 'onednn-auto'];
const pytorch = 'pytorch';

/** Fills the map: Kindling first, then the limits, then the peers that are found. */
async function startAll(contestants: Map<string, Contestant>, threads: number): Promise<void> {
  const pythons = findPythons();
  for (const name of [own, limits, ...libraries]) {
    const args = ['--serve', name, '--threads', String(threads)];
    const more = libraries.includes(name) ? boundThreads : {};
    const contestant = await Contestant.start(program, args, threads, more);
    if (contestant !== null) contestants.set(name, contestant);
  }
  for (const python of pythons) {
    const contestant = await Contestant.start(python, [script, String(threads)], threads, boundThreads);
    if (contestant === null) continue;
    const { name, version } = contestant.introduction;
    // Where several are named each is called by its version.
    contestants.set(contestants.has(name) ? `${name} ${version}` : name, contestant);
  }
}

interface Report {
  readonly machine: string;
  readonly date: string;
  readonly command: string;
  readonly threads: number;
  /** Names and versions. */
  readonly contestants: Readonly<Record<string, string>>;
  /** Peers that were not found. */
  readonly missing: readonly string[];
  readonly rows: readonly Row[];
}

function introductionOf({ machine, date, command, threads, contestants, missing, rows }: Report): string[] {
  const taking = new Set(rows.flatMap(({ peers }) => peers.map(({ name }) => name)));
  const peers = Object.entries(contestants).filter(([name]) => taking.has(name));
  const titles = peers.map(([name, version]) => (name.endsWith(version) ? name : `${name} ${version}`));
  const absent = missing.length > 0 ? ` Not found: ${missing.join(', ')} (\`npm run bench -- --peers\`).` : '';
  return [
    `${machine}, ${threads} threads, ${date}: \`${command}\``,
    `Peers: ${titles.join(', ') || 'none'}.${absent}`,
    'Medians of interleaved rounds; spread: distance of the quartiles; of limit: of the multiply-adds or the copied',
    "bytes that the machine did in the same rounds; in brackets: Kindling's speed to the peer's.",
  ];
}

function textReport(report: Report, isMarkdown: boolean): string {
  const parts = [introductionOf(report).join('\n')];
  for (const { family } of meansOf(report.rows)) {
    const rows = report.rows.filter((row) => row.family === family);
    parts.push(`${isMarkdown ? '### ' : ''}${titleOf(family)}`);
    parts.push((isMarkdown ? markdownOf : textOf)(familyCells(rows)));
  }
  return parts.join('\n\n');
}

function printReport(report: Report, format: KernelOptions['format']): void {
  if (format === 'json') console.log(JSON.stringify({ ...report, means: meansOf(report.rows) }));
  else console.log(textReport(report, format === 'markdown'));
}

async function measureAll(
  cases: readonly Case[],
  contestants: ReadonlyMap<string, Contestant>,
  options: KernelOptions,
): Promise<{ rows: Row[]; problems: string[] }> {
  const rows: Row[] = [];
  const problems: string[] = [];
  for (const [i, work] of cases.entries()) {
    const title = `${work.family}: ${work.name}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${i + 1}/${cases.length} ${title}`);
    const { timings, problems: own } = await measure(work, contestants, options);
    problems.push(...own.map((problem) => `${title}: ${problem}`));
    rows.push(rowOf(work, timings));
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return { rows, problems };
}

/** Whether all results were the same. */
export async function kernelBenchmark(options: KernelOptions): Promise<boolean> {
  buildProgram();
  const cases = selectCases(listCases(), options);
  if (cases.length === 0) throw new Error(`no case matches "${options.filter}"`);
  const contestants = new Map<string, Contestant>();
  try {
    await startAll(contestants, options.threads);
    const { rows, problems } = await measureAll(cases, contestants, options);
    const named = [...contestants].map(([name, { introduction }]) => [name, introduction.version] as const);
    const report: Report = {
      machine: `${os.cpus()[0].model.trim()} (${isa()}), Node ${process.versions.node}`,
      date: new Date().toISOString().slice(0, 10),
      command: options.command,
      threads: options.threads,
      contestants: Object.fromEntries(named),
      missing: [...libraries, pytorch].filter((name) => !contestants.has(name)),
      rows,
    };
    printReport(report, options.format);
    for (const problem of problems) console.error(problem);
    return problems.length === 0;
  } finally {
    for (const contestant of contestants.values()) contestant.stop();
  }
}

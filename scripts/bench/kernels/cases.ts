/** The cases of native/bench/cases.cc, as its program lists them. */
import { execFileSync, spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '../../../..');
const build = path.join(root, 'build/native');
export const program = path.join(build, 'native/bench/kindling_bench');

export interface Case {
  readonly family: string;
  readonly name: string;
  /** What contestants are told. */
  readonly spec: string;
  /** Of one run. */
  readonly work: number;
  readonly unit: 'flop' | 'byte';
  /** What the work is the count of, in words. */
  readonly counts: string;
}

function step(title: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('cmake', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${title} failed:\n${stdout}${stderr}`);
}

/** Builds the native side, where something has changed. */
export function buildProgram(): void {
  step('configuring the benchmark', ['-S', root, '-B', build, '-DKINDLING_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release']);
  const parallel = String(os.availableParallelism());
  step('building the benchmark', ['--build', build, '--target', 'kindling_bench', '--parallel', parallel]);
}

export interface Selection {
  /** null: all. */
  readonly families: readonly string[] | null;
  /** A part of `family: name`. */
  readonly filter: string;
}

/** @throws Error for a family that there is not. */
export function selectCases(cases: readonly Case[], { families, filter }: Selection): Case[] {
  const known = new Set(cases.map(({ family }) => family));
  for (const family of families ?? []) {
    if (!known.has(family)) throw new Error(`unknown family ${family}; known are ${[...known].join(', ')}`);
  }
  return cases.filter(
    ({ family, name }) => (families?.includes(family) ?? true) && `${family}: ${name}`.includes(filter),
  );
}

export function listCases(): Case[] {
  return JSON.parse(execFileSync(program, ['--list'], { encoding: 'utf8' })) as Case[];
}

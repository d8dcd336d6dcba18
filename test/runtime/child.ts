import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** The compiled library, which child processes load; `npm test` builds it first. */
export const library = path.resolve(__dirname, '../../dist/lib');

export interface ChildResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a program with the library as `k` in a process of its own. */
export function runChild(program: string, env: Record<string, string> = {}): ChildResult {
  const source = `const k = require(${JSON.stringify(library)});\n${program}`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', source], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, signal, output: stdout.trim(), errors: stderr.trim() };
}

/** The JSON that a program printed; fails with what the process said otherwise. */
export function childJson(program: string, env: Record<string, string> = {}): unknown {
  const { status, signal, output, errors } = runChild(program, env);
  if (status !== 0) throw new Error(`child ended with ${String(status ?? signal)}: ${errors}\n${output}`);
  return JSON.parse(output);
}

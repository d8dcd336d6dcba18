/** A process that takes part in a benchmark: a line in, a line of JSON out. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Introduction } from './protocol';

/**
 * For libraries with OpenMP: each thread keeps to a core. Otherwise two may stay on one for whole rounds. Not for
 * Kindling, whose own threads would all be bound to the first one's core.
 */
export const boundThreads: NodeJS.ProcessEnv = { OMP_PROC_BIND: 'true' };

function environment(threads: number): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env };
  // These make old OpenBLAS builds choose slower kernels than they would.
  delete env.OPENBLAS_CORETYPE;
  delete env.OPENBLAS_L2_SIZE;
  return {
    ...env,
    OMP_NUM_THREADS: String(threads),
    // Keeping freed memory in the process spares PyTorch the page faults of every step.
    MALLOC_TRIM_THRESHOLD_: '1000000000',
    MALLOC_MMAP_THRESHOLD_: '1000000000',
  };
}

export class Contestant {
  private constructor(
    readonly introduction: Introduction,
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
  ) {}

  /** null where the program ends before it has introduced itself. */
  static async start(
    command: string,
    args: readonly string[],
    threads: number,
    more: NodeJS.ProcessEnv = {},
  ): Promise<Contestant | null> {
    const env = { ...environment(threads), ...more };
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const failed = new Promise<null>((resolve) => {
      child.once('error', () => {
        resolve(null);
      });
    });
    // What is written to a process that has ended is lost; that it has ended shows when it is read from.
    child.stdin.on('error', () => undefined);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([failed, lines.next()]);
    if (first === null || first.done === true) return null;
    return new Contestant(JSON.parse(first.value) as Introduction, child, lines);
  }

  async ask<Answer>(line: string): Promise<Answer> {
    this.child.stdin?.write(`${line}\n`);
    const next = await this.lines.next();
    if (next.done === true) throw new Error(`${this.introduction.name} ended in the middle of "${line}"`);
    return JSON.parse(next.value) as Answer;
  }

  stop(): void {
    this.child.stdin?.end();
  }
}

/** `kindling info` */
import os from 'node:os';
import * as kindling from '..';
import { glibcVersion, packageFolder, version } from './installation';

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Whether there is a CUDA device, or why not. */
function cuda(): string {
  const { available, reason } = kindling.cudaStatus();
  return available ? `available: ${reason}` : `not available: ${reason}`;
}

/** The lines of `kindling info`, as names and values. */
export function facts(): [string, string][] {
  const cpus = os.cpus();
  const active = kindling.isa();
  const detected = kindling.detectedIsa();
  const glibc = glibcVersion();
  const libc = process.platform !== 'linux' ? '' : glibc === null ? ', not glibc' : `, glibc ${glibc}`;
  const { limitBytes } = kindling.memoryStats();
  return [
    ['Kindling', `${version()} in ${packageFolder()}`],
    ['Node', `${process.version}, ${process.platform}-${process.arch}${libc}`],
    ['CPU', `${cpus[0]?.model.trim() || 'unknown'}, ${String(cpus.length)} hardware threads`],
    ['Instruction set', active === detected ? active : `${active} (KINDLING_ISA); the CPU has ${detected}`],
    ['Threads', String(kindling.numThreads())],
    [
      'Memory',
      `${gibibytes(os.totalmem())}, ${gibibytes(os.freemem())} free; limit: ${limitBytes > 0 ? gibibytes(limitBytes) : 'none'}`,
    ],
    ['CUDA', cuda()],
  ];
}

export function info(): number {
  const lines = facts();
  const width = Math.max(...lines.map(([name]) => name.length));
  for (const [name, value] of lines) console.log(`${name.padEnd(width)}  ${value}`);
  return 0;
}

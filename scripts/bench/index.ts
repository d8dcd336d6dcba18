/**
 * `npm run bench`: kernels against the libraries that this machine has. With --train whole training steps against
 * PyTorch, with --overhead what an eager operation costs, with --peers the libraries are installed. See
 * docs/benchmarks.md.
 */
import { parseArgs } from 'node:util';
import { physicalCores } from './cores';
import { kernelBenchmark, type KernelOptions } from './kernels';
import { overheadBenchmark } from './overhead';
import { installPeers } from './peers';
import { trainBenchmark } from './train';

const usage = `npm run bench -- [--families gemm,conv,...] [--filter TEXT] [--rounds N] [--seconds S] [--threads N]
                [--json | --markdown]
npm run bench -- --train [--models mlp,gpt] [--rounds N] [--seconds S] [--threads N] [--eager] [--json]
npm run bench -- --overhead
npm run bench -- --peers`;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text} is not a positive number`);
  return value;
}

/** As it has to be typed. */
function quoted(arg: string): string {
  return /^[\w,.=/-]+$/.test(arg) ? arg : JSON.stringify(arg);
}

function kernelOptions(args: readonly string[]): KernelOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      families: { type: 'string' },
      filter: { type: 'string', default: '' },
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '0.02' },
      threads: { type: 'string', default: String(physicalCores()) },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
    },
  });
  return {
    families: values.families?.split(',') ?? null,
    filter: values.filter,
    rounds: Math.ceil(positive('rounds', values.rounds)),
    seconds: positive('seconds', values.seconds),
    threads: Math.ceil(positive('threads', values.threads)),
    format: values.json ? 'json' : values.markdown ? 'markdown' : 'text',
    command: ['npm run bench', ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' '),
  };
}

async function main(): Promise<boolean> {
  const args = process.argv.slice(2);
  const without = (flag: string): string[] => args.filter((arg) => arg !== flag);
  if (args.includes('--help')) console.log(usage);
  else if (args.includes('--peers')) return installPeers();
  else if (args.includes('--train')) await trainBenchmark(without('--train'));
  else if (args.includes('--overhead')) overheadBenchmark();
  else return kernelBenchmark(kernelOptions(args));
  return true;
}

main()
  .then((good) => {
    process.exitCode = good ? 0 : 1;
  })
  .catch((error: unknown) => {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });

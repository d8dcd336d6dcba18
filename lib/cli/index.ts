#!/usr/bin/env node
/** `npx kindling`: what the library finds on this machine, how fast it is, what is wrong with an installation. */
import { parseArgs } from 'node:util';

const usage = `kindling info                    the CPU, instruction set, threads, memory and CUDA as the library sees them
kindling bench [--seconds N]     what this machine does, in about a minute (N: 60)
kindling train mnist --data DIR  trains on the four files of MNIST in DIR; [--epochs N] [--batch-size N] [--seed N]
kindling doctor                  finds and explains what is wrong with an installation
kindling --version`;

class UsageError extends Error {}

function options(args: string[], names: readonly string[]): Record<string, string | undefined> {
  try {
    const { values } = parseArgs({
      args,
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    });
    return values as Record<string, string | undefined>;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** A whole number of at least 1; `seed` may be 0. */
function count(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  const least = name === 'seed' ? 0 : 1;
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`--${name} must be a whole number of at least ${String(least)}, got ${text}`);
  }
  return value;
}

/** Runs a command; returns the exit status. Only what a command needs is loaded: doctor must run where nothing else does. */
async function main(words: readonly string[]): Promise<number> {
  const command = words.at(0);
  const args = words.slice(1);
  switch (command) {
    case 'info':
      options(args, []);
      return (await import('./info')).info();
    case 'bench': {
      const { seconds } = options(args, ['seconds']);
      return (await import('./bench')).bench(count('seconds', seconds, 60));
    }
    case 'train': {
      const what = args.at(0);
      if (what !== 'mnist') throw new UsageError(`train: unknown data set ${what ?? '(none)'}; there is mnist`);
      const values = options(args.slice(1), ['data', 'epochs', 'batch-size', 'seed']);
      if (values.data === undefined) throw new UsageError('train mnist: --data DIR is missing');
      return (await import('./train')).trainMnist({
        dir: values.data,
        epochs: count('epochs', values.epochs, 5),
        batchSize: count('batch-size', values['batch-size'], 32),
        seed: count('seed', values.seed, 0),
      });
    }
    case 'doctor':
      options(args, []);
      return (await import('./doctor')).doctor();
    case '--version':
    case '-v':
      console.log((await import('./installation')).version());
      return 0;
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      console.log(usage);
      return command === undefined ? 2 : 0;
    default:
      throw new UsageError(`unknown command ${command}`);
  }
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const { message } = error as Error;
    console.error(`kindling: ${message}`);
    if (error instanceof UsageError) console.error(`\n${usage}`);
    else if (message.startsWith('kindling: ')) console.error('`npx kindling doctor` tells more');
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);

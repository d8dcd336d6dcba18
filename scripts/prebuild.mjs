// `npm run prebuild`: the addons of the package, prebuilds/<platform>-<arch>/kindling….node. On Linux both architectures,
// against the libraries of Debian 11; elsewhere this machine's. `-- --arch x64` makes one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { root, setup, whenChanged } from './setup.mjs';
import { sysroot, targets } from './sysroot.mjs';
import { stop } from './tools.mjs';

/** Where an architecture's release build is kept: prebuildify moves the addon away, and build/ is the developer's. */
export const releaseBuild = (arch) => path.join(root, 'build/prebuild', arch);

export const prebuildFolder = (arch) => path.join(root, 'prebuilds', `${process.platform}-${arch}`);

const isCross = (arch) => process.platform === 'linux' && arch !== process.arch;

function requireCompiler(arch) {
  if (process.platform !== 'linux') return;
  const compiler = `${targets[arch].triplet}-g++`;
  if (spawnSync(compiler, ['--version']).status === 0) return;
  stop(`${compiler} was not found; on Debian: apt-get install g++-${targets[arch].triplet.replace('_', '-')}`);
}

/** What scripts/node-gyp-by-cmake.mjs hands to cmake. */
function toolchain(arch) {
  if (process.platform !== 'linux') return [];
  return [
    `CMAKE_TOOLCHAIN_FILE=${path.join(root, 'cmake/debian11.cmake')}`,
    `KINDLING_SYSROOT=${sysroot(arch)}`,
    `KINDLING_TRIPLET=${targets[arch].triplet}`,
  ];
}

async function build(arch) {
  requireCompiler(arch);
  // An addon of another name would be left beside the new one, and found first.
  rmSync(prebuildFolder(arch), { recursive: true, force: true });
  const folder = releaseBuild(arch);
  mkdirSync(folder, { recursive: true });
  process.env.KINDLING_CMAKE_OPTIONS = JSON.stringify(toolchain(arch));
  const prebuildify = createRequire(import.meta.url)('prebuildify');
  await promisify(prebuildify)({
    cwd: folder,
    out: root,
    name: 'kindling',
    arch,
    napi: true,
    strip: true,
    stripBin: isCross(arch) ? `${targets[arch].triplet}-strip` : 'strip',
    tagLibc: true,
    targets: [`node@${process.versions.node}`],
    nodeGyp: path.join(root, 'scripts/node-gyp-by-cmake.mjs'),
  });
}

/** Makes the addons that are missing or older than their sources; returns their paths by architecture. */
export async function prebuild(architectures = process.platform === 'linux' ? Object.keys(targets) : [process.arch]) {
  setup({ addon: false });
  const made = {};
  for (const arch of architectures) {
    await whenChanged(
      {
        stamp: `build/prebuild/${arch}/.stamp`,
        inputs: [
          'CMakeLists.txt',
          'cmake',
          'native',
          'package-lock.json',
          'scripts/prebuild.mjs',
          'scripts/sysroot.mjs',
        ],
        outputs: [path.relative(root, prebuildFolder(arch))],
      },
      () => build(arch),
    );
    const [name] = existsSync(prebuildFolder(arch)) ? readdirSync(prebuildFolder(arch)) : [];
    made[arch] = path.join(prebuildFolder(arch), name);
  }
  return made;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { arch: { type: 'string', multiple: true } } });
  const unknown = values.arch?.find((arch) => !(arch in targets));
  if (unknown !== undefined) stop(`--arch ${unknown} is unknown; there are ${Object.keys(targets).join(' and ')}`);
  for (const file of Object.values(await prebuild(values.arch))) console.log(path.relative(root, file));
}

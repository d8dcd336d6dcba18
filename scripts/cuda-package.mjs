// The CUDA backend as a package of its own, which users with an NVIDIA GPU install beside `kindling`:
//   node scripts/cuda-package.mjs [--library build/cuda/libkindling_cuda.so] [--out build/kindling-cuda-linux-x64]
// lib/cudaLibrary.ts requires it by name and gets the library's path; the library itself refuses another version.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './setup.mjs';
import { stop } from './tools.mjs';

const name = 'kindling-cuda-linux-x64';
const file = 'libkindling_cuda.so';

const { values } = parseArgs({
  options: {
    library: { type: 'string', default: path.join(root, 'build/cuda', file) },
    out: { type: 'string', default: path.join(root, 'build', name) },
  },
});
const library = path.resolve(values.library);
if (!existsSync(library)) stop(`${library} does not exist; it is built where nvcc is installed`);
// Machine code of an x86-64 CPU, as the name of the package says.
const header = readFileSync(library).subarray(0, 20);
if (header.length < 20 || header.toString('latin1', 0, 4) !== '\x7fELF' || header.readUInt16LE(18) !== 62) {
  stop(`${library} is not a shared library for linux-x64`);
}

const { version, license, engines } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const manifest = {
  name,
  version,
  description: 'The CUDA backend of kindling for linux-x64',
  license,
  main: 'index.js',
  files: ['index.js', file],
  os: ['linux'],
  cpu: ['x64'],
  libc: ['glibc'],
  engines,
  // The two are built from one source, and the library refuses to serve another.
  peerDependencies: { kindling: version },
};
const readme = `# ${name}

The CUDA backend of [kindling](https://www.npmjs.com/package/kindling) ${version}: install both in the same version.

    npm install kindling@${version} ${name}@${version}

It needs an NVIDIA driver, and no CUDA toolkit. \`npx kindling info\` tells whether it is used, and why not.
`;

const out = path.resolve(values.out);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
copyFileSync(library, path.join(out, file));
copyFileSync(path.join(root, 'LICENSE'), path.join(out, 'LICENSE'));
writeFileSync(path.join(out, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(path.join(out, 'README.md'), readme);
writeFileSync(path.join(out, 'index.js'), `module.exports = require('node:path').join(__dirname, '${file}');\n`);
console.log(`${out}: ${file} is ${(statSync(library).size / 2 ** 20).toFixed(1)} MiB`);

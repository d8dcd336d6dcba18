// `npm run build:prebuild`: the addon for this platform, to be packed into the package: prebuilds/<platform>-<arch>/.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { root, setup } from './setup.mjs';

setup();
const prebuildify = createRequire(import.meta.url)('prebuildify');

// A folder of its own: prebuildify moves the addon away from where it was built, and build/ is the developer's.
const folder = path.join(root, 'build/prebuild');
mkdirSync(folder, { recursive: true });
await promisify(prebuildify)({
  cwd: folder,
  out: root,
  name: 'kindling',
  napi: true,
  strip: true,
  tagLibc: true,
  targets: [`node@${process.versions.node}`],
  nodeGyp: path.join(root, 'scripts/node-gyp-by-cmake.mjs'),
});

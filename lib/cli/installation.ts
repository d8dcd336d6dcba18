/** Where this package is and what it is called, found without loading the addon. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** The folder of the package: above dist/lib/cli, or above lib/cli in the sources. */
export function packageFolder(): string {
  let folder = __dirname;
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder);
  return folder;
}

export function version(): string {
  const manifest = JSON.parse(readFileSync(path.join(packageFolder(), 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** The version of glibc that this process runs on; null where the C library is another (musl on Alpine). */
export function glibcVersion(): string | null {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? null;
}

/** The addons in a folder, sorted; none where it does not exist. */
export function addonsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.node'))
    .sort();
}

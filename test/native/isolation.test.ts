/** What the linker may share between the instruction sets: nothing. See docs/architecture.md. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const build = path.resolve(__dirname, '../../build');

function objectsOf(level: string): string[] {
  const folder = path.join(build, 'CMakeFiles', `kernels_${level}.dir`, 'native/cpu');
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith('.o'))
        .map((file) => path.join(folder, file))
    : [];
}

test.each(['avx2', 'avx512'])('no %s object defines a symbol outside its namespace', (level) => {
  const objects = objectsOf(level);
  expect(objects.length).toBeGreaterThan(5);
  const symbols = execFileSync('nm', ['-C', '--defined-only', '--extern-only', ...objects], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^[0-9a-f]+ \w (.*)$/.exec(line)?.[1])
    .filter((name) => name !== undefined);
  expect(symbols.length).toBeGreaterThan(5);
  const foreign = symbols.filter((name) => !name.includes(`kindling::${level}::`));
  expect(foreign).toEqual([]);
});

test('the addon exports nothing but its N-API entry points', () => {
  const addon = path.join(build, 'Release/kindling.node');
  const exported = execFileSync('nm', ['-D', '--defined-only', addon], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.split(' ').pop());
  expect(exported.sort()).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
});

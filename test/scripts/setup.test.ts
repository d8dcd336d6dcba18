/** The set-up of a checkout, tried on a small one whose npm, cmake and compiler are stand-ins that write what ran. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const repository = path.resolve(__dirname, '../..');
let root: string;

const at = (name: string): string => path.join(root, name);

function write(name: string, text: string, mode = 0o644): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text, { mode });
}

/** A program in the only folder on the PATH. */
function tool(name: string, script: string): void {
  write(`bin/${name}`, `#!/bin/sh\n${script}\n`, 0o755);
}

/** A stand-in for a build step: notes its name, and writes what the real one would. */
function program(name: string, ...outputs: string[]): string {
  return `
    const fs = require('node:fs');
    const path = require('node:path');
    fs.appendFileSync('ran.txt', '${name} ');
    if (fs.existsSync('fail')) { console.log('what ${name} printed'); process.exit(1); }
    for (const file of ${JSON.stringify(outputs)}) {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, '');
    }`;
}

const npm = `
echo "$1" | grep -qx ci || exit 1
printf 'npm ' >> ran.txt
mkdir -p node_modules && cp -r packages/. node_modules`;

beforeEach(() => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), 'kindling-setup-')));
  for (const name of ['setup', 'tools', 'generate-ops']) {
    cpSync(path.join(repository, `scripts/${name}.mjs`), at(`scripts/${name}.mjs`));
  }
  cpSync(path.join(repository, 'native/core/ops.def'), at('native/core/ops.def'));
  write('package-lock.json', '{}');
  write('CMakeLists.txt', '');
  write('lib/ops/table.ts', '');
  write('packages/cmake-js/bin/cmake-js', program('cmake', 'build/Release/kindling.node'));
  write('packages/typescript/bin/tsc', program('tsc', 'dist/lib/index.js', 'dist/examples/mnist.js'));
  tool('cmake', 'echo cmake version 3.25.1');
  tool('c++', 'echo c++ 12.2.0');
  tool('make', 'echo GNU Make 4.3');
  tool('npm', `PATH=/usr/bin:/bin\n${npm}`);
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function setup(env: Record<string, string> = {}, flags: string[] = []): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [...flags, at('scripts/setup.mjs')], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: at('bin'), ...env },
  });
  return { status, stderr };
}

/** The steps of one set-up. */
function steps(): string {
  rmSync(at('ran.txt'), { force: true });
  expect(setup()).toMatchObject({ status: 0 });
  return existsSync(at('ran.txt')) ? readFileSync(at('ran.txt'), 'utf8').trim() : '';
}

describe('what is missing is said in one line', () => {
  const remove = (name: string): void => {
    rmSync(at(`bin/${name}`));
  };
  const rows: [string, () => void, RegExp][] = [
    [
      'cmake',
      () => {
        remove('cmake');
      },
      /^kindling: cmake is not installed; 3\.18 or newer is needed .*\n$/,
    ],
    [
      'an old cmake',
      () => {
        tool('cmake', 'echo cmake version 3.9.6');
      },
      /^kindling: cmake 3\.18 or newer .* this is 3\.9\.6\n$/,
    ],
    [
      'a compiler',
      () => {
        remove('c++');
      },
      /^kindling: no C\+\+17 compiler was found \(tried c\+\+, g\+\+, clang\+\+\); .*\n$/,
    ],
    [
      'an old compiler',
      () => {
        tool('c++', 'test "$1" = --version && echo 4.8');
      },
      /^kindling: c\+\+ does not compile C\+\+17; .*\n$/,
    ],
    [
      'make',
      () => {
        remove('make');
      },
      /^kindling: neither make nor ninja is installed; .*\n$/,
    ],
  ];
  test.each(rows)('%s', (_, spoil, message) => {
    spoil();
    const { status, stderr } = setup();
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
    expect(existsSync(at('node_modules'))).toBe(false);
  });

  test('Node', () => {
    const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } })";
    write('old.cjs', old);
    const { status, stderr } = setup({}, ['--require', at('old.cjs')]);
    expect(stderr).toBe('kindling: Node 20 or newer is needed, this is 18.20.4\n');
    expect(status).toBe(1);
  });

  test('the compiler that CXX names', () => {
    expect(setup({ CXX: 'no-such-compiler -O2' }).stderr).toMatch(/tried no-such-compiler -O2/);
    tool('wrapper', 'test "$1" = --version && exit 0; test "$1" = inner');
    expect(setup({ CXX: 'wrapper inner' })).toMatchObject({ status: 0 });
  });
});

test('everything once, then only what changed', () => {
  expect(steps()).toBe('npm cmake tsc');
  expect(steps()).toBe('');
  expect(setup()).toEqual({ status: 0, stderr: '' });

  write('native/cpu/new.cc', '');
  expect(steps()).toBe('cmake');
  write('lib/new.ts', '');
  expect(steps()).toBe('tsc');
  rmSync(at('lib/new.ts'));
  expect(steps()).toBe('tsc');
  write('package-lock.json', '{ }');
  expect(steps()).toBe('npm cmake tsc');
  expect(steps()).toBe('');
});

test('what was deleted is made again', () => {
  steps();
  rmSync(at('build/Release/kindling.node'));
  expect(steps()).toBe('cmake');
  write('dist/.tsbuildinfo', '');
  rmSync(at('dist/lib/index.js'));
  expect(steps()).toBe('tsc');
  expect(existsSync(at('dist/.tsbuildinfo'))).toBe(false);
  rmSync(at('node_modules'), { recursive: true });
  expect(steps()).toBe('npm');
  expect(steps()).toBe('');
});

test('a new row of ops.def reaches the table and both builds', () => {
  steps();
  expect(readFileSync(at('lib/ops/table.ts'), 'utf8')).toBe(
    readFileSync(path.join(repository, 'lib/ops/table.ts'), 'utf8'),
  );
  appendFileSync(at('native/core/ops.def'), 'KINDLING_OP(cube, unary, 1, 1, 0, 0, F|I)\n');
  expect(steps()).toBe('cmake tsc');
  expect(readFileSync(at('lib/ops/table.ts'), 'utf8')).toContain(
    "  cube: { kind: 'unary', inputs: 1, outputs: 1, ints: 0, floats: 0, dtypes: ['float32', 'int32'] },\n",
  );
});

test('a step that fails shows its log, and runs again', () => {
  steps();
  write('native/cpu/new.cc', '');
  write('fail', '');
  for (let i = 0; i < 2; i++) {
    const { status, stderr } = setup();
    expect(status).toBe(1);
    expect(stderr).toMatch(/building the native core … failed\nwhat cmake printed\nkindling: building .* failed: exit/);
  }
  rmSync(at('fail'));
  // Back to what was built before: what the failed step has left may be of the change.
  rmSync(at('native/cpu/new.cc'));
  expect(steps()).toBe('cmake');
});

test('a build folder of another place is configured anew', () => {
  steps();
  const cache = (home: string): boolean => {
    write('build/CMakeCache.txt', `A:B=1\nCMAKE_HOME_DIRECTORY:INTERNAL=${home}\n`);
    appendFileSync(at('CMakeLists.txt'), '\n');
    steps();
    return existsSync(at('build/CMakeCache.txt'));
  };
  expect(cache(root)).toBe(true);
  expect(cache('/elsewhere')).toBe(false);
});

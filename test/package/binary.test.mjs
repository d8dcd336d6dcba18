/** What the prebuilt addons for Linux ask of a system and of a CPU, read from the files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { prebuildFolder, releaseBuild } from '../../scripts/prebuild.mjs';
import { targets } from '../../scripts/sysroot.mjs';

/** The newest version of each library's symbols that the oldest supported system has: Debian 11, glibc 2.31. */
const floor = { GLIBC: [2, 31] };

const libraries = new Set(['libpthread.so.0', 'libm.so.6', 'libc.so.6', 'libdl.so.2', 'ld-linux-x86-64.so.2']);
libraries.add('ld-linux-aarch64.so.1');

const entryPoints = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

/** The prebuilt addon: exactly one, since node-gyp-build would take either of two. */
function addonOf(arch) {
  const files = readdirSync(prebuildFolder(arch));
  assert.deepEqual(files, ['kindling.glibc.node']);
  return path.join(prebuildFolder(arch), files[0]);
}

const withSymbols = (arch) => path.join(releaseBuild(arch), 'build/kindling-with-symbols.node');

function output(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30 });
}

function isAbove([major, minor], [most, mostMinor]) {
  return major > most || (major === most && minor > mostMinor);
}

for (const [arch, { triplet }] of Object.entries(targets)) {
  const tool = (name) => `${triplet}-${name}`;

  test(`${arch}: no symbol is newer than glibc 2.31, and none is from a libstdc++ or libgcc outside`, () => {
    const wanted = new Set(output(tool('objdump'), '-T', addonOf(arch)).match(/\b[A-Z]+_\d+(\.\d+)+\b/g));
    assert.ok(wanted.size > 0);
    const above = [...wanted].filter((version) => {
      const [library, numbers] = version.split('_');
      return !(library in floor) || isAbove(numbers.split('.').map(Number), floor[library]);
    });
    assert.deepEqual(above, []);
  });

  test(`${arch}: nothing is left undefined but functions of Node and of the C library`, () => {
    const undefinedSymbols = output(tool('nm'), '-D', '--undefined-only', addonOf(arch)).matchAll(/^\s+U (\S+)$/gm);
    const names = [...undefinedSymbols].map(([, name]) => name);
    assert.ok(names.some((name) => name.startsWith('napi_')));
    // Of libstdc++ they would be found only where the Node that loads the addon happens to have them.
    assert.deepEqual(
      names.filter((name) => !/^napi_\w+$|@GLIBC_[\d.]+$/.test(name)),
      [],
    );
  });

  test(`${arch}: only the C library is needed, and the addon is never unloaded`, () => {
    const dynamic = output(tool('readelf'), '-d', addonOf(arch));
    const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
    assert.ok(needed.includes('libc.so.6'));
    assert.deepEqual(
      needed.filter((name) => !libraries.has(name)),
      [],
    );
    assert.match(dynamic, /NODELETE/);
    assert.doesNotMatch(dynamic, /RPATH|RUNPATH/);
  });

  test(`${arch}: only the entry points are exported, and symbols are stripped`, () => {
    const exported = output(tool('nm'), '-D', '--defined-only', addonOf(arch)).trim().split('\n');
    assert.deepEqual(exported.map((line) => line.split(' ').pop()).sort(), entryPoints);
    assert.doesNotMatch(output(tool('readelf'), '-S', addonOf(arch)), /\.symtab|\.debug_info/);
  });

  test(`${arch}: the copy with symbols is the same code`, () => {
    const code = (file) => output(tool('objdump'), '-s', '-j', '.text', file).split('\n').slice(3).join('\n');
    assert.ok(code(addonOf(arch)).length > 1 << 20);
    assert.equal(code(addonOf(arch)), code(withSymbols(arch)));
  });
}

/** Code that asks at run time before it is called. */
const dispatched = /kindling::avx2::|kindling::avx512::|\bgenerateAvx2\b/;

/** Instructions that not every x86-64 CPU has: AVX, FMA and F16C (all begin with v), BMI, POPCNT, SSE3 to SSE4.2. */
const later = new RegExp(
  '^(v[a-z]|[kx](mov|or|and|test)[bwdq]\\b|andn[lq]?$|(bextr|bls[a-z]+|bzhi|mulx|pdep|pext[lq]?$|[lt]zcnt|popcnt|crc32)' +
    '|(rorx|sarx|shlx|shrx)|h(add|sub)p|addsubp|lddqu|mov(ddup|shdup|sldup|ntdqa)|p(shufb|hadd|hsub|maddubs|mulhrs|sign|abs)' +
    '|palignr|round[ps][sd]|blendv?p|pblend|dpp[sd]|ptest|pm(in|ax)(sb|ud|uw|sd)|pmov[sz]x|pmul(ld|dq)|p(ins|ext)r[bdq]' +
    '|extractps|insertps|packusdw|pcmp(eqq|gtq|estr|istr)|mpsadbw|phminpos)',
);
const exceptions = /^(verr|verw|vmcall)\b/;

test('x64: nothing but the code of an instruction set uses more than every x86-64 CPU has', () => {
  const foreign = new Set();
  const levels = new Set();
  let name = '';
  let count = 0;
  for (const line of output('objdump', '-dC', '--no-show-raw-insn', withSymbols('x64')).split('\n')) {
    const symbol = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (symbol) name = symbol[1];
    const instruction = /^\s+[0-9a-f]+:\t(?:(?:lock|rep\w*|notrack|bnd|data16) )*(\S+)/.exec(line)?.[1];
    if (instruction === undefined) continue;
    count++;
    if (!later.test(instruction) || exceptions.test(instruction)) continue;
    if (dispatched.test(name)) levels.add(dispatched.exec(name)[0]);
    else foreign.add(`${name}: ${instruction}`);
  }
  assert.ok(count > 100_000);
  assert.deepEqual([...levels].sort(), ['generateAvx2', 'kindling::avx2::', 'kindling::avx512::']);
  assert.deepEqual([...foreign], []);
});

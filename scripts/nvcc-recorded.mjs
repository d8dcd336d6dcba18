// Runs nvcc as CMake calls it, and writes beside the object what the assembler said of each kernel and what
// instructions its PTX has: CMAKE_CUDA_COMPILER_LAUNCHER of the build that scripts/cuda-report.mjs reads.
//   node scripts/nvcc-recorded.mjs nvcc … -c FILE.cu -o FILE.cu.o      writes FILE.cu.o.json
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The one PTX that machine code from 8.0 on is made of. */
const ptxName = /compute_80\.ptx$/;

/** The class of an instruction in the mix. */
function kindOf(opcode) {
  const known = [
    [/^mma/, 'mma'],
    [/^ldmatrix/, 'ldmatrix'],
    [/^cp\.async/, 'cp.async'],
    [/^ld\.(global|shared|param|const|local)/, undefined],
    [/^st\.(global|shared|local)/, undefined],
    [/^(atom|red)/, 'atomic'],
    [/^bar/, 'barrier'],
    [/^shfl/, 'shuffle'],
    [/^fma.*\.f32/, 'fma.f32'],
    [/^fma.*\.f64/, 'fma.f64'],
    [/^(ex2|lg2|rsqrt|sqrt|rcp|sin|cos|tanh)/, 'special function'],
    [/\.f(16|32|64)$/, 'other float'],
    [/\.(s|u|b)(16|32|64)$/, 'integer'],
    [/^(bra|ret|call)/, 'branch'],
  ];
  for (const [pattern, kind] of known) {
    const found = pattern.exec(opcode);
    if (found) return kind ?? found[0];
  }
  return 'other';
}

/** The kernels in the PTX: the largest block that they are declared for, and how often each instruction is there. */
function readPtx(text) {
  const kernels = {};
  for (const [, name, body] of text.matchAll(/\.visible \.entry (\w+)\(([\s\S]*?\n\})/g)) {
    const threads = /\.maxntid (\d+)(?:, (\d+), (\d+))?/.exec(body);
    const instructions = {};
    for (const [, opcode] of body.matchAll(/^\t(?:@!?%p\d+ )?([a-z][\w.:]*)[ ;]/gm)) {
      const kind = kindOf(opcode);
      instructions[kind] = (instructions[kind] ?? 0) + 1;
    }
    const size = threads?.slice(1).reduce((product, extent) => product * Number(extent ?? 1), 1);
    kernels[name] = { threads: size ?? null, instructions };
  }
  return kernels;
}

/** What `ptxas -v` said of each kernel on each architecture. */
function readAssembler(text) {
  const rows = [];
  let row;
  for (const line of text.split('\n')) {
    const start = /Compiling entry function '(\w+)' for '(sm_\d+)'/.exec(line);
    if (start)
      rows.push((row = { name: start[1], architecture: start[2], registers: 0, shared: 0, spilled: 0, stack: 0 }));
    const memory = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (memory && row && row.registers === 0) {
      row.stack = Number(memory[1]);
      row.spilled = Number(memory[2]) + Number(memory[3]);
    }
    const used = /Used (\d+) registers/.exec(line);
    if (used && row) {
      row.registers = Number(used[1]);
      row.shared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
    }
  }
  return rows;
}

/** What is no record of the assembler's: warnings and errors. */
function messages(text) {
  const isRecord = /^(ptxas info\s*:|\s+\d+ bytes stack frame|Resource usage:|\s*$)/;
  const lines = text.split('\n').filter((line) => !isRecord.test(line));
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

const [nvcc, ...args] = process.argv.slice(2);
const object = path.resolve(args[args.indexOf('-o') + 1]);
const source = path.basename(args[args.indexOf('-c') + 1]);
const record = `${object}.json`;
const kept = `${object}.kept`;
rmSync(record, { force: true });
rmSync(kept, { recursive: true, force: true });
mkdirSync(kept, { recursive: true });
const start = performance.now();
const child = spawn(nvcc, [...args, '--resource-usage', '--keep', '--keep-dir', kept]);
let said = '';
const listen = (data) => (said += data);
child.stdout.on('data', listen);
child.stderr.on('data', listen);
child.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
child.on('close', (status) => {
  process.stderr.write(status === 0 ? messages(said) : said);
  if (status === 0) {
    const ptx = readdirSync(kept).find((name) => ptxName.test(name));
    const kernels = ptx ? readPtx(readFileSync(path.join(kept, ptx), 'utf8')) : {};
    const rows = readAssembler(said).map((row) => ({ ...row, ...kernels[row.name] }));
    const seconds = (performance.now() - start) / 1000;
    writeFileSync(record, JSON.stringify({ source, seconds, rows }));
  }
  rmSync(kept, { recursive: true, force: true });
  process.exit(status ?? 1);
});

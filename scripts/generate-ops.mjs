// Writes lib/ops/table.ts from the op table, native/core/ops.def. With --check it only compares.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const source = path.join(root, 'native/core/ops.def');
const target = path.join(root, 'lib/ops/table.ts');
const dtypes = {
  F: 'float32',
  I: 'int32',
  B: 'bool',
  D: 'float64',
  L: 'int64',
  U: 'uint8',
  H: 'float16',
  E: 'bfloat16',
};

function readRows() {
  const text = readFileSync(source, 'utf8');
  return [...text.matchAll(/^KINDLING_OP\(([^)]*)\)/gm)].map(([, row]) => {
    const fields = row.split(',').map((field) => field.trim());
    if (fields.length !== 7) throw new Error(`ops.def: expected 7 fields in KINDLING_OP(${row})`);
    if (fields[6] === 'ANY') fields[6] = Object.keys(dtypes).join('|');
    if (!/^[FIBDLUHE](\|[FIBDLUHE])*$/.test(fields[6]))
      throw new Error(`ops.def: expected dtypes in KINDLING_OP(${row})`);
    return fields;
  });
}

/** FNV-1a, as native/core/op_info.cc computes it over the same text. */
function hashOf(rows) {
  let hash = 0x811c9dc5;
  for (const row of rows) {
    for (const byte of Buffer.from(`${row.slice(0, 6).join(',')}\n`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}

function render(rows) {
  const codes = rows.map(([name], code) => `  ${name}: ${code},`);
  const infos = rows.map(([name, kind, inputs, outputs, ints, floats, types]) => {
    const list = types.split('|').map((type) => `'${dtypes[type]}'`);
    return `  ${name}: { kind: '${kind}', inputs: ${inputs}, outputs: ${outputs}, ints: ${ints}, floats: ${floats}, dtypes: [${list.join(', ')}] },`;
  });
  return `// Generated from native/core/ops.def by scripts/generate-ops.mjs. Do not edit.
import type { DType } from '../tensor/dtype';

/** The opcodes. */
// prettier-ignore
export const Op = {
${codes.join('\n')}
} as const;

export type OpName = keyof typeof Op;

/** A row of the op table; native/core/ops.def says what the fields mean. */
export interface OpInfo {
  readonly kind: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly ints: number;
  readonly floats: number;
  readonly dtypes: readonly DType[];
}

// prettier-ignore
export const opTable: Readonly<Record<OpName, OpInfo>> = {
${infos.join('\n')}
};

/** Of the rows; the addon has its own, and both must agree. */
export const opTableHash = ${hashOf(rows)};
`;
}

function current() {
  return existsSync(target) ? readFileSync(target, 'utf8') : '';
}

/** Writes the table if it differs. */
export function generateOps() {
  const text = render(readRows());
  if (current() !== text) writeFileSync(target, text);
}

export function isUpToDate() {
  return current() === render(readRows());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--check')) generateOps();
  else if (!isUpToDate()) {
    console.error('lib/ops/table.ts does not match native/core/ops.def: run `node scripts/generate-ops.mjs`');
    process.exit(1);
  }
}

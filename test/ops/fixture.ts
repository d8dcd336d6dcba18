/** Reference values that `npm run references` made with PyTorch; they know which inputs they are for. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Dense } from './reference';
import type { Row } from './row';

interface Entry {
  readonly inputs: string;
  readonly samples: readonly { readonly outputs: readonly Encoded[]; readonly gradients: readonly Encoded[] }[];
}

export interface Encoded {
  readonly shape: readonly number[];
  readonly dtype: Dense['dtype'];
  readonly data: readonly (number | string)[];
}

/** Recognises what a fixture was made from. */
export function fingerprintOf(value: unknown): string {
  return createHash('sha1').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

export function fingerprint(row: Row): string {
  return fingerprintOf([row.torch, row.gradient, row.samples]);
}

const special: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, '-inf': -Infinity };

export function decode(x: Encoded): Dense {
  return { ...x, data: x.data.map((value) => (typeof value === 'string' ? special[value] : value)) };
}

export class Fixture {
  constructor(private readonly entries: Readonly<Record<string, Entry | undefined>>) {}

  outputs(name: string, row: Row, sample: number): Dense[] {
    return this.sample(name, row, sample).outputs.map(decode);
  }

  gradients(name: string, row: Row, sample: number): Dense[] {
    return this.sample(name, row, sample).gradients.map(decode);
  }

  private sample(name: string, row: Row, sample: number): Entry['samples'][number] {
    const entry = this.entries[name];
    if (entry === undefined) throw new Error(`${name}: no reference values; run \`npm run references\``);
    if (entry.inputs !== fingerprint(row)) {
      throw new Error(`${name}: the reference values are of another row; run \`npm run references\``);
    }
    return entry.samples[sample];
  }
}

export function loadFixture(family: string): Fixture {
  const file = path.join(__dirname, '../fixtures/ops', `${family}.json`);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '{}';
  return new Fixture(JSON.parse(text) as Record<string, Entry>);
}

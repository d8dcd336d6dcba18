/** What `npm run references` made of the rows in trajectories.ts. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fingerprintOf } from '../ops/fixture';

export interface Made<T> {
  readonly made: string;
  readonly values: T;
}

export function load<T>(name: string): Readonly<Record<string, Made<T> | undefined>> {
  const file = path.join(__dirname, '../fixtures/optim', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Made<T>>;
}

export function valuesOf<T>(all: Readonly<Record<string, Made<T> | undefined>>, name: string, torch: string): T {
  const entry = all[name];
  if (entry === undefined || entry.made !== fingerprintOf(torch)) {
    throw new Error(`${name}: no values of this row; run \`npm run references\``);
  }
  return entry.values;
}

/** All rows by family; the families name the files of reference values. */
import type { Rows } from '../row';
import { rows as creation } from './creation';
import { rows as elementwise } from './elementwise';
import { rows as fft } from './fft';
import { rows as indexing } from './indexing';
import { rows as layout } from './layout';
import { rows as linalg } from './linalg';
import { rows as losses } from './losses';
import { rows as matmul } from './matmul';
import { rows as reduce } from './reduce';
import { rows as softmax } from './softmax';

export const families: Readonly<Record<string, Rows>> = {
  creation,
  elementwise,
  fft,
  indexing,
  layout,
  linalg,
  losses,
  matmul,
  reduce,
  softmax,
};

/** All rows by family; the families name the files of reference values. */
import type { Rows } from '../row';
import { rows as activations } from './activations';
import { rows as convolution } from './convolution';
import { rows as creation } from './creation';
import { rows as elementwise } from './elementwise';
import { rows as fft } from './fft';
import { rows as indexing } from './indexing';
import { rows as layers } from './layers';
import { rows as layout } from './layout';
import { rows as linalg } from './linalg';
import { rows as losses } from './losses';
import { rows as matmul } from './matmul';
import { rows as order } from './order';
import { rows as pooling } from './pooling';
import { rows as random } from './random';
import { rows as rearrange } from './rearrange';
import { rows as recurrent } from './recurrent';
import { rows as reduce } from './reduce';
import { rows as softmax } from './softmax';
import { rows as statistics } from './statistics';

export const families: Readonly<Record<string, Rows>> = {
  activations,
  convolution,
  creation,
  elementwise,
  fft,
  indexing,
  layers,
  layout,
  linalg,
  losses,
  matmul,
  order,
  pooling,
  random,
  rearrange,
  recurrent,
  reduce,
  softmax,
  statistics,
};

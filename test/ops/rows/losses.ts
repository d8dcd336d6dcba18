/** Rows of the losses, one file per family. */
import type { Rows } from '../row';
import { binaryRows } from './losses/binary';
import { crossEntropyRows, nllRows } from './losses/classes';
import { ctcRows } from './losses/ctc';
import { klRows } from './losses/distribution';
import { focalRows, diceRows } from './losses/focal';
import { marginRows } from './losses/margin';
import { regression, likelihood } from './losses/regression';

export const rows: Rows = {
  ...regression,
  ...likelihood,
  ...crossEntropyRows,
  ...nllRows,
  ...binaryRows,
  ...focalRows,
  ...diceRows,
  ...klRows,
  ...marginRows,
  ...ctcRows,
};

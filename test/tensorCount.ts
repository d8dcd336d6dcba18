import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memoryStats, sweep } from '../lib';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/**
 * The tensors that are reachable now. What earlier tests dropped goes first: otherwise a collection
 * in the middle of a test would make its count of tensors fall.
 */
export function countTensors(): number {
  collectGarbage();
  sweep();
  return memoryStats().tensors;
}

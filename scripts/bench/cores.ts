import { native } from '../../lib/native';

/** The cores that both sides of a comparison get. */
export function physicalCores(): number {
  return native.describe().physicalCores;
}

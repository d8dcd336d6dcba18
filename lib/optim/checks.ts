/** Checks that several optimizers share. */
import { checkNumber, describe } from '../tensor/shape';

/** Throws unless `betas` is two numbers in [0, 1). */
export function checkBetas(name: string, betas: unknown): asserts betas is readonly [number, number] {
  if (!Array.isArray(betas) || betas.length !== 2) {
    throw new TypeError(`${name}: betas must be two numbers in [0, 1), got ${describe(betas)}`);
  }
  const below1 = 1 - Number.EPSILON / 2;
  betas.forEach((beta, i) => checkNumber(name, `betas[${i}]`, beta, 0, below1));
}

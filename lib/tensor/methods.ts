import { Tensor } from './tensor';

/** Makes operations that take a tensor first its methods too. Their types are declared beside each op. */
export function defineMethods(operations: Readonly<Record<string, (x: never, ...args: never[]) => unknown>>): void {
  for (const [name, operation] of Object.entries(operations)) {
    Object.defineProperty(Tensor.prototype, name, {
      value(this: never, ...args: never[]) {
        return operation(this, ...args);
      },
    });
  }
}

/** The public functions that are operations: each needs a row. */
import * as kindling from '../../lib';

/** Functions that compute no tensor from tensors, or are tested as what they are elsewhere. */
const others = new Set([
  'isTensor',
  'keep',
  'tidy',
  'tensor',
  'manualSeed',
  'noGrad',
  'gradients',
  'grad',
  'valueAndGrad',
  'checkGradients',
  'checkSecondOrder',
  'hessian',
  'jacobian',
  'jvp',
  'vjp',
  'checkpoint',
  'customFunction',
  'detectAnomaly',
  'assign',
  'compile',
  // Devices: test/cuda.
  'to',
  'cudaStatus',
  'defaultDevice',
  'setDefaultDevice',
]);
const runtime =
  /^(memoryStats|resetPeakMemory|setMemoryLimit|emptyCache|sweep|numThreads|setNumThreads|isa|detectedIsa)$/;
const namespaces = ['linalg', 'fft'];

const isFunction = (value: unknown): boolean =>
  typeof value === 'function' && !/^class\s/.test(Function.prototype.toString.call(value));

export function publicOps(): string[] {
  const names = (prefix: string, from: object): string[] =>
    Object.entries(from).flatMap(([name, value]) => (isFunction(value) ? [prefix + name] : []));
  const library = kindling as unknown as Record<string, object>;
  const top = names('', library).filter((name) => !others.has(name) && !runtime.test(name));
  const inner = namespaces.flatMap((name) => (name in library ? names(`${name}.`, library[name]) : []));
  const functional = names('nn.functional.', kindling.nn.functional).filter(
    // The same function under its shorter name.
    (name) => !top.includes(name.slice('nn.functional.'.length)),
  );
  return [...top, ...inner, ...functional];
}

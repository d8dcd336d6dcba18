/**
 * The only file that loads the addon. Operations write their numbers to one shared array of doubles
 * and call a function that takes at most the objects to be held weakly: an array shared with native
 * code costs a tenth of passing the same numbers as arguments.
 */
import path from 'node:path';
import { DeviceError, DisposedError, DTypeError, LinAlgError, OutOfMemoryError, ShapeError } from './errors';
import { Op, opTableHash } from './ops/table';

/** The layout of {@link scratch}; native/binding/environment.h has the same numbers. */
export const Scratch = {
  length: 100,
  op: 0,
  inputs: 1,
  outputs: 16,
  outputSize: 10,
  ints: 66,
  floats: 90,
  device: 98,
  strides: 26,
  offset: 36,
} as const;

/** At most this many axes: `kMaxRank` in native/core/tensor_view.h. */
export const maxRank = 8;

type HostArray = Float32Array | Int32Array | Uint8Array | Float64Array | BigInt64Array | Uint16Array;

interface DeviceReport {
  state: number;
  deviceCount: number;
  driverVersion: number;
  runtimeVersion: number;
  isEmulated: boolean;
  message: string;
}

interface DeviceInfo {
  name: string;
  major: number;
  minor: number;
  multiProcessors: number;
  totalBytes: number;
  freeBytes: number;
}

interface DeviceStats {
  allocatedBytes: number;
  peakAllocatedBytes: number;
  cachedBytes: number;
  reservedBytes: number;
  allocations: number;
  cacheHits: number;
}

interface Addon {
  init(scratch: Float64Array): boolean;
  run(...owners: (object | undefined)[]): number;
  view(owner?: object): number;
  release(handle: number): void;
  track(handle: number, owner: object): void;
  fromHost(owner: object | undefined, data: HostArray): number;
  toHost(handle: number, data: HostArray): number;
  item(handle: number): number;
  createProgram(words: Float64Array, device: number): number;
  releaseProgram(program: number): void;
  launch(words: Float64Array): number;
  cancelRun(run: number): number;
  onRunDone(callback: (run: number, status: number, message: string, seconds: number[]) => void): number;
  drain(): void;
  openDevices(path: string): DeviceReport;
  deviceReport(): DeviceReport;
  deviceInfo(device: number): DeviceInfo | number;
  deviceStats(device: number): DeviceStats | number;
  deviceDo(device: number, what: number): number;
  deviceOption(which: number, on: boolean): number;
  transfer(owner: object | undefined, handle: number): number;
  read(handle: number, data: HostArray): Promise<{ status: number; message: string }> | 0;
  lastError(): string;
  stats(): Record<string, number>;
  describe(): {
    opTableHash: number;
    isa: string;
    isaDetected: string;
    isaProblem: string;
    physicalCores: number;
  };
  sweep(): void;
  trimCache(): void;
  resetPeak(): void;
  setMemoryLimit(bytes: number): void;
  numThreads(): number;
  setNumThreads(threads: number): void;
}

/** The folder of package.json. */
export function packageRoot(): string {
  // The sources run from lib/ under a test runner, from dist/lib/ otherwise.
  const parent = path.dirname(__dirname);
  return path.basename(parent) === 'dist' ? path.dirname(parent) : parent;
}

function load(): Addon {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the loader is CommonJS and finds the addon at run time
  const find = require('node-gyp-build') as (root: string) => Addon;
  let addon: Addon;
  try {
    addon = find(packageRoot());
  } catch (cause) {
    throw new Error(
      `kindling: no native build for ${process.platform}-${process.arch} was found; \`npx kindling doctor\` tells ` +
        'why, and in a clone of the repository `npm run compile` builds one',
      { cause },
    );
  }
  const { opTableHash: hash, isaProblem } = addon.describe();
  if (hash !== opTableHash) {
    throw new Error(
      'kindling: the native addon is of another version; reinstall the package, or rebuild with `npm run compile`',
    );
  }
  if (isaProblem !== '') process.emitWarning(isaProblem, 'KindlingWarning');
  return addon;
}

export const native = load();

/** The shared array. It never leaves this library, so that nobody can transfer it away. */
export const scratch = new Float64Array(Scratch.length);
if (!native.init(scratch)) throw new Error('kindling: the native addon refused its scratch array');

/** The statuses of native/core/status.h. */
const Status = {
  outOfMemory: 1,
  badHandle: 2,
  badShape: 3,
  badDtype: 4,
  indexOutOfRange: 6,
  numerical: 8,
  deviceFailed: 10,
} as const;

/** The error of the call that has just returned 0. */
export function nativeError(name: string): Error {
  return errorOf(name, scratch[Scratch.op], native.lastError());
}

/** A native status and its message as an error. */
export function errorOf(name: string, status: number, message: string): Error {
  // A device tells of an earlier operation's error at the next call that waits; it names that operation.
  const named = /^(\w+): /.exec(message)?.[1];
  const text = named === name || (named !== undefined && named in Op) ? message : `${name}: ${message}`;
  switch (status) {
    case Status.outOfMemory:
      return new OutOfMemoryError(text);
    case Status.badHandle:
      return new DisposedError(text);
    case Status.badShape:
      return new ShapeError(text);
    case Status.badDtype:
      return new DTypeError(text);
    case Status.indexOutOfRange:
      return new RangeError(text);
    case Status.deviceFailed:
      return new DeviceError(text);
    case Status.numerical:
      return new LinAlgError(text);
    default:
      return new Error(text);
  }
}

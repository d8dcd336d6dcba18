/** CUDA devices: whether there are any, and what can be asked of them. */
import { DeviceError } from './errors';
import { native, nativeError } from './native';
import { deviceCode, LoadState, openCuda, statusText, type Device } from './tensor/device';

/** What {@link cudaStatus} tells. */
export interface CudaStatus {
  readonly available: boolean;
  /** In plain words: how many devices there are, or why there are none. */
  readonly reason: string;
  readonly deviceCount: number;
  /** The CUDA version that the driver supports, times 1000 (13000 for 13.0); 0 where that is not known. */
  readonly driverVersion: number;
  /** The CUDA version that the backend was built with; 0 where it could not be loaded. */
  readonly runtimeVersion: number;
  /** Whether the devices are those of the tests' emulator. */
  readonly isEmulated: boolean;
}

/**
 * Whether CUDA can be used, and if not, why: no driver, a driver that is too old, no device, the backend not installed
 * or of another version. Loads the backend on the first call; never throws.
 */
export function cudaStatus(): CudaStatus {
  const report = openCuda();
  const { deviceCount, driverVersion, runtimeVersion, isEmulated } = report;
  return {
    available: report.state === LoadState.ready,
    reason: statusText(report),
    deviceCount,
    driverVersion,
    runtimeVersion,
    isEmulated,
  };
}

/** Whether there is a CUDA device; {@link cudaStatus} says why not. */
export function isAvailable(): boolean {
  return cudaStatus().available;
}

/** How many CUDA devices there are. */
export function deviceCount(): number {
  return cudaStatus().deviceCount;
}

/** What a device is. */
export interface DeviceProperties {
  readonly name: string;
  /** Compute capability, major and minor. */
  readonly capability: readonly [number, number];
  readonly multiProcessors: number;
  readonly totalBytes: number;
  /** Not taken by any process. */
  readonly freeBytes: number;
}

function codeOf(op: string, device: Device): number {
  const code = deviceCode(op, device);
  if (code === 0) throw new DeviceError(`${op}: the CPU is no CUDA device`);
  return code;
}

/** @throws DeviceError where the device is not there. */
export function properties(device: Device = 'cuda'): DeviceProperties {
  const found = native.deviceInfo(codeOf('cuda.properties', device));
  if (typeof found === 'number') throw nativeError('cuda.properties');
  const { name, major, minor, multiProcessors, totalBytes, freeBytes } = found;
  return { name, capability: [major, minor], multiProcessors, totalBytes, freeBytes };
}

/** Memory of a device's allocator, in bytes, of the whole process. */
export interface DeviceMemoryStats {
  /** In use by tensors and by operations that run. */
  readonly allocatedBytes: number;
  /** The highest `allocatedBytes` since the start or {@link resetPeakMemory}. */
  readonly peakAllocatedBytes: number;
  /** Free and kept for reuse. */
  readonly cachedBytes: number;
  /** Taken from the device. */
  readonly reservedBytes: number;
  /** Blocks handed out so far. */
  readonly allocations: number;
  /** Of these, blocks that came from the cache. */
  readonly cacheHits: number;
}

/** @throws DeviceError where the device is not there. */
export function memoryStats(device: Device = 'cuda'): DeviceMemoryStats {
  const found = native.deviceStats(codeOf('cuda.memoryStats', device));
  if (typeof found === 'number') throw nativeError('cuda.memoryStats');
  return found;
}

const Request = { synchronize: 0, emptyCache: 1, resetPeak: 2 } as const;

function request(op: string, device: Device, what: number): void {
  if (native.deviceDo(codeOf(op, device), what) === 0) throw nativeError(op);
}

/**
 * Waits until the device has done all that this thread has asked of it.
 * @throws RangeError where a kernel has met an index that is out of range: operations on a device return before they
 * have run, so such an error comes with the next call that waits.
 */
export function synchronize(device: Device = 'cuda'): void {
  request('cuda.synchronize', device, Request.synchronize);
}

/** Gives memory that is kept for reuse back to the device. */
export function emptyCache(device: Device = 'cuda'): void {
  request('cuda.emptyCache', device, Request.emptyCache);
}

/** Starts a new peak measurement at what is in use now. */
export function resetPeakMemory(device: Device = 'cuda'): void {
  request('cuda.resetPeakMemory', device, Request.resetPeak);
}

const Option = { deterministic: 0, allowTf32: 1, blocking: 2 } as const;

function setOption(op: string, which: number, on: unknown): void {
  if (typeof on !== 'boolean') throw new TypeError(`${op}: expected true or false`);
  codeOf(op, 'cuda');
  if (native.deviceOption(which, on) === 0) throw nativeError(op);
}

/** Lets products of float32 round their operands to TF32's 10 bits, on tensor cores. Default false. For the process. */
export function allowTf32(on: boolean): void {
  setOption('cuda.allowTf32', Option.allowTf32, on);
}

/**
 * Makes results the same from run to run: sums in a fixed order, without atomic additions of floats. Default false. For
 * the process.
 */
export function deterministic(on: boolean): void {
  setOption('cuda.deterministic', Option.deterministic, on);
}

/**
 * Waits after every operation, so that an error is thrown by the one that made it: for debugging. Default false, or
 * true where the environment has KINDLING_CUDA_BLOCKING=1. For the process.
 */
export function blocking(on: boolean): void {
  setOption('cuda.blocking', Option.blocking, on);
}

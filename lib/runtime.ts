/** Settings and state of the native runtime. */
import { native } from './native';
import { checkInteger } from './tensor/shape';

/** Memory of the native allocator, in bytes. */
export interface MemoryStats {
  /** In use by tensors, in size-class bytes. */
  readonly allocatedBytes: number;
  /** The highest `allocatedBytes` since the start or {@link resetPeakMemory}. */
  readonly peakAllocatedBytes: number;
  /** Free and kept for reuse. */
  readonly cachedBytes: number;
  /** Taken from the operating system. */
  readonly reservedBytes: number;
  /** See {@link setMemoryLimit}; 0 for none. */
  readonly limitBytes: number;
  /** Blocks handed out so far. */
  readonly allocations: number;
  /** Of these, blocks that came from the cache. */
  readonly cacheHits: number;
  /** Tensors alive in this thread, views included. */
  readonly tensors: number;
}

/** What the native allocator holds, for the whole process but `tensors`. */
export function memoryStats(): MemoryStats {
  return native.stats() as unknown as MemoryStats;
}

/** Starts a new peak measurement at what is in use now. */
export function resetPeakMemory(): void {
  native.resetPeak();
}

/**
 * An upper bound on the memory taken from the operating system, in bytes; 0 removes it. Beyond it
 * operations throw an `OutOfMemoryError` and everything stays usable.
 */
export function setMemoryLimit(bytes: number): void {
  checkInteger('setMemoryLimit', 'bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
  native.setMemoryLimit(bytes);
}

/** Gives cached memory back to the operating system. */
export function emptyCache(): void {
  native.trimCache();
}

/** Frees the tensors whose JavaScript objects the garbage collector has already found dead. */
export function sweep(): void {
  native.sweep();
}

/** Threads that operations run on, the calling one included. */
export function numThreads(): number {
  return native.numThreads();
}

/**
 * Sets the number of threads for the whole process. Default: the physical cores, or
 * KINDLING_NUM_THREADS. Results are the same from run to run at a fixed number.
 * @param threads 1 to 256
 */
export function setNumThreads(threads: number): void {
  checkInteger('setNumThreads', 'threads', threads, 1, 256);
  native.setNumThreads(threads);
}

/** The instruction set in use: 'scalar', 'avx2', 'avx512' or (arm64) 'neon'. KINDLING_ISA lowers it. */
export function isa(): string {
  return native.describe().isa;
}

/** The highest instruction set that this CPU supports. */
export function detectedIsa(): string {
  return native.describe().isaDetected;
}

#pragma once
// Fork–join over a fixed set of parts. The calling thread works too; workers spin for a short while
// after the last job and then sleep. Which thread runs a part never changes what the part computes,
// so results depend only on the number of parts.

#include <cstdint>

namespace kindling {

using PartFunction = void (*)(void* context, int part);

/// Runs function(context, part) for every part in [0, parts) and returns when all are done. Parts
/// are claimed dynamically: a worker that is slow to wake costs nothing, the caller does its part.
/// When another thread (a worker_thread) is using the pool, or from inside a part, the parts run in
/// order on the calling thread.
void parallelParts(int parts, PartFunction function, void* context);

/// Threads that take part, the caller included. Default: KINDLING_NUM_THREADS, else
/// physicalCores().
int numThreads();

/// Threads for a job of a few microseconds, which waking a worker would only make longer:
/// numThreads() while the workers are awake, or where such jobs come in a row and a waking pays in
/// the end; otherwise 1. Not for what depends on the number of parts: it changes from call to call.
int promptThreads();

/// 1 to 256; takes effect for the next job.
void setNumThreads(int threads);

/// Stops and joins the workers; the next job starts them again. For environment clean-up.
void stopThreads();

}  // namespace kindling

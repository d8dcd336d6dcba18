#pragma once
// What one JavaScript environment (the main thread or a worker_thread) owns: its handles, the
// scratch array its calls are written to, and the bookkeeping of the weak-reference sweep.

#include <node_api.h>

#include <cstdint>

#include "binding/programs.h"
#include "core/devices.h"
#include "core/tensor_table.h"

namespace kindling {

// The layout of the scratch array of doubles; lib/native.ts has the same numbers.
constexpr size_t kScratchLength = 100;
constexpr int kScratchOp = 0;        // after a call: its Status
constexpr int kScratchInputs = 1;    // kMaxInputs handles; after a call: the outputs' handles
constexpr int kScratchOutputs = 16;  // per output: dtype, rank, dimensions
constexpr int kScratchOutputSize = 2 + kMaxRank;
constexpr int kScratchInts = 66;
constexpr int kScratchFloats = 90;
constexpr int kScratchDevice = 98;  // of the outputs of an op without inputs: a DeviceCode
// A view takes the place of an output, followed by:
constexpr int kScratchStrides = 26;
constexpr int kScratchOffset = 36;

class Environment {
 public:
  explicit Environment(napi_env env) : env_(env), programs_(queue_) {}

  TensorTable& tensors() { return tensors_; }
  OpCall& call() { return call_; }
  double* scratch() { return scratch_; }
  Programs& programs() { return programs_; }

  /// To be called before anything is asked of a backend, unless it is the CPU's.
  void enter(const Backend& backend) {
    if (backend.run) queue_.enter();
  }

  /// Waits for compiled steps that are under way where they write memory that is about to be read,
  /// or use memory that is about to be written.
  void settle(const StorageRef& storage, bool writes) {
    if (writes ? storage->isInUse() : storage->isWritten()) programs_.drain();
  }

  /// Keeps `array`, a Float64Array of kScratchLength that JavaScript never gives away, alive.
  bool setScratch(napi_value array);

  /// Ties a tensor's life to `owner`, weakly; `bytes` is what the tensor added to the memory in
  /// use.
  void track(Handle handle, napi_value owner, size_t bytes);
  Status release(Handle handle);

  /// Frees the tensors whose JavaScript object has been collected. Synchronous loops never reach a
  /// finalizer, so this is what keeps them from growing; it runs when enough was created since
  /// last.
  void sweep();

  /// Before giving up for want of memory: lets V8 look for dead tensors now, then sweeps.
  void sweepHard();

 private:
  /// Tells V8 that this much more memory hangs on JavaScript objects.
  void report(int64_t bytes);

  // Below these a sweep is not worth its 11 ns a live tensor.
  static constexpr int64_t kSweepBytes = int64_t{8} << 20;
  static constexpr size_t kSweepCount = 16384;

  napi_env env_;
  DeviceQueue queue_;  // first: it outlives what works in its order
  TensorTable tensors_;
  Programs programs_;
  OpCall call_;                        // reused, so that a call does not clear it
  double unset_[kScratchLength] = {};  // until setScratch()
  double* scratch_ = unset_;
  napi_ref scratchArray_ = nullptr;
  int64_t reportedBytes_ = 0;  // what V8 has been told that tracked tensors hold
  int64_t newBytes_ = 0;       // since the last sweep
  size_t newTensors_ = 0;
  int64_t sweepBytes_ = kSweepBytes;
  size_t sweepCount_ = kSweepCount;
};

/// Runs `create`, and once more after a sweep if it was out of memory.
template <typename Create>
Status retryAfterSweep(Environment& environment, const Create& create) {
  const Status status = create();
  if (status != Status::outOfMemory) return status;
  environment.sweepHard();
  return create();
}

}  // namespace kindling

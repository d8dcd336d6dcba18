#pragma once
// What a kernel's host function may ask of the device it runs on: the stream, memory, properties,
// and where to put an index that is out of range. The core reaches the rest through api.h.

#include <cstddef>
#include <cstdint>

#include "core/op_call.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {

/// What an index that is out of range is called in the message.
enum class IndexKind : int32_t {
  index = 0,          // "index 7 at position 2 is outside [0, 5)"
  label = 1,          // "label 7 at position 2 is outside [0, 5)"
  length = 2,         // "length 7 of row 2 is outside [0, 5]"
  planePosition = 3,  // "a position is outside its plane"
  inputLength = 4,    // "input length 7 at position 2 is outside [0, 5]"
  targetLength = 5,   // "target length 7 at position 2 is outside [0, 5]"
  targetLabel = 6,    // "label 7 at position 2 of target 1 is the blank or outside [0, 5)"
  zeroDivisor = 7,    // "an integer cannot be divided by 0", a bad argument
  trueCount = 8,      // "nonzero: 7 elements are true, not 5", a bad shape
};

/// The first bad index since the last synchronization, in device memory. One for each stream.
struct IndexError {
  unsigned isSet;
  int32_t op;
  int32_t kind;
  int32_t unused;
  int64_t value, position, extent, row;
};

namespace gpu {

struct DeviceInfo {
  int index;
  int major, minor;  // compute capability
  int multiProcessors;
  int warpSize;             // 32
  int sharedBytesPerBlock;  // the most a kernel may ask for (opt-in, see allowSharedBytes)
  int sharedBytesPerProcessor;
  int registersPerProcessor;
  int threadsPerProcessor;
  int blocksPerProcessor;
  int cooperativeLaunch;  // 0 or 1
  int64_t l2Bytes;
  int64_t totalBytes;
  char name[128];
};

/// Of the device whose op is running on this thread.
const DeviceInfo& deviceInfo();

/// The stream that the op running on this thread launches on. Everything of one JavaScript thread
/// and its compiled steps on one device shares a stream, so the order of calls is the order of
/// work.
cudaStream_t currentStream();

/// Set by the user: sums in an order that does not change from run to run, so no float atomics.
bool deterministic();

/// Set by the user: float32 products may round their operands to TF32. False by default.
bool allowTf32();

/// Where kernels of the current stream report a bad index.
IndexError* errorSlot();

/// Turns an error of the CUDA API into a Status whose message names the op that runs and `what`.
Status check(cudaError_t error, const char* what);

/// Has a kernel's dynamic shared memory go beyond 48 KiB. Call before the launch; cheap when
/// repeated.
Status allowSharedBytes(const void* kernel, size_t bytes);

Status copyOnDevice(void* destination, const void* source, size_t bytes);
Status fillBytes(void* destination, int byte, size_t bytes);

/// Waits for the stream and copies `bytes` to the host: for the few ops whose host code depends on
/// results. Fails while a compiled step is captured, which then runs without a graph.
Status readBack(void* host, const void* device, size_t bytes);

/// Copies a small host table to the device; the host memory may be reused at once.
Status upload(void* device, const void* host, size_t bytes);

}  // namespace gpu

/// Device memory for the time of one op, in the order of the stream: it may be destroyed while the
/// kernels that use it are still under way. False when memory is out.
class DeviceScratch {
 public:
  DeviceScratch() = default;
  explicit DeviceScratch(size_t bytes);
  ~DeviceScratch();
  DeviceScratch(DeviceScratch&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
  }
  DeviceScratch& operator=(DeviceScratch&& other) noexcept {
    void* const data = data_;
    const size_t bytes = bytes_;
    data_ = other.data_;
    bytes_ = other.bytes_;
    other.data_ = data;
    other.bytes_ = bytes;
    return *this;
  }
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;

  explicit operator bool() const { return data_ != nullptr; }
  size_t bytes() const { return bytes_; }
  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

namespace gpu {

/// In a kernel: notes a bad index; the first one wins. The kernel goes on and skips the element.
__device__ inline void reportIndex(IndexError* slot, Op op, int64_t value, int64_t extent,
                                   int64_t position = 0, IndexKind kind = IndexKind::index,
                                   int64_t row = 0) {
  if (atomicCAS(&slot->isSet, 0u, 1u) != 0u) return;
  slot->op = static_cast<int32_t>(op);
  slot->kind = static_cast<int32_t>(kind);
  slot->value = value;
  slot->position = position;
  slot->extent = extent;
  slot->row = row;
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling

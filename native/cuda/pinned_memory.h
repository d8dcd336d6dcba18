#pragma once
// Page-locked host memory, without which a copy to or from a device is not asynchronous. Locking
// pages is slow, so buffers are kept, in powers of two.

#include <cstddef>
#include <deque>
#include <mutex>

#include "cuda/gpu.h"

namespace kindling {
namespace cuda {

class PinnedMemory {
 public:
  struct Buffer {
    void* data;
    size_t bytes;
    cudaEvent_t event;  // when the device has done with it
    bool isUsedByDevice;
  };

  /// What a long copy is cut into.
  static constexpr size_t kChunk = size_t{4} << 20;

  /// A buffer of at least so many bytes that no copy uses any more; nullptr when there is no
  /// memory.
  Buffer* acquire(size_t bytes);

  /// Gives a buffer back; the work that `stream` has so far may still use it.
  void release(Buffer* buffer, cudaStream_t stream);
  void release(Buffer* buffer);

 private:
  static constexpr int kClasses = 48;
  static constexpr size_t kSmallest = size_t{64} << 10;
  static constexpr size_t kMostWaiting = 8;  // of a size; then the oldest is waited for

  static int classOf(size_t bytes);
  Buffer* create(size_t bytes);

  std::mutex mutex_;
  std::deque<Buffer*> buffers_[kClasses];
};

}  // namespace cuda
}  // namespace kindling

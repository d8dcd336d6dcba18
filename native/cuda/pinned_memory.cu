#include "cuda/pinned_memory.h"

#include <new>

namespace kindling {
namespace cuda {

int PinnedMemory::classOf(size_t bytes) {
  int number = 0;
  while ((kSmallest << number) < bytes) ++number;
  return number;
}

PinnedMemory::Buffer* PinnedMemory::create(size_t bytes) {
  Buffer* const buffer = new (std::nothrow) Buffer{nullptr, bytes, nullptr, false};
  if (!buffer) return nullptr;
  if (cudaHostAlloc(&buffer->data, bytes, cudaHostAllocDefault) == cudaSuccess) {
    if (cudaEventCreateWithFlags(&buffer->event, cudaEventDisableTiming) == cudaSuccess) {
      return buffer;
    }
    cudaFreeHost(buffer->data);
  }
  cudaGetLastError();
  delete buffer;
  return nullptr;
}

PinnedMemory::Buffer* PinnedMemory::acquire(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int number = classOf(bytes);
  if (number >= kClasses - 1) return nullptr;
  std::deque<Buffer*>& buffers = buffers_[number];
  if (!buffers.empty()) {
    // Given back in the order of the stream: if the oldest is still in use, so are the others.
    Buffer* const oldest = buffers.front();
    const bool isFree = !oldest->isUsedByDevice || cudaEventQuery(oldest->event) == cudaSuccess;
    if (!isFree) cudaGetLastError();  // "not ready" is no error
    if (isFree || buffers.size() >= kMostWaiting) {
      if (!isFree) cudaEventSynchronize(oldest->event);
      buffers.pop_front();
      oldest->isUsedByDevice = false;
      return oldest;
    }
  }
  return create(kSmallest << number);
}

void PinnedMemory::release(Buffer* buffer, cudaStream_t stream) {
  buffer->isUsedByDevice = cudaEventRecord(buffer->event, stream) == cudaSuccess;
  if (!buffer->isUsedByDevice) {
    cudaGetLastError();
    cudaStreamSynchronize(stream);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  buffers_[classOf(buffer->bytes)].push_back(buffer);
}

void PinnedMemory::release(Buffer* buffer) {
  buffer->isUsedByDevice = false;
  const std::lock_guard<std::mutex> lock(mutex_);
  buffers_[classOf(buffer->bytes)].push_front(buffer);
}

}  // namespace cuda
}  // namespace kindling

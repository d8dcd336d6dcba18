#pragma once
// Handles. JavaScript holds a tensor as a 32-bit number: a slot's index and the slot's generation,
// so that a stale handle is recognised instead of reaching another tensor. One table per
// environment (a worker_thread has its own); not thread-safe.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/backend.h"
#include "core/storage.h"

namespace kindling {

using Handle = uint32_t;  // 0 is never a tensor

size_t sizeOf(DType dtype);

class TensorTable {
 public:
  struct Slot {
    TensorView view;
    StorageRef storage;
    void* owner = nullptr;  // the binding's weak reference to the JavaScript object, if it has one
    uint32_t generation = 1;
    uint32_t nextFree = 0;
    bool live = false;
  };

  /// A new contiguous tensor with undefined contents. `rank` and `shape` are checked.
  Status create(const Backend& backend, DType dtype, int rank, const int64_t* shape,
                Handle* handle);

  /// A tensor over the storage of `base`. `offset` counts elements from base's first element and
  /// every element that shape and strides can reach is checked to lie inside the storage.
  Status view(Handle base, int rank, const int64_t* shape, const int64_t* strides, int64_t offset,
              Handle* handle);

  /// nullptr for a handle that is stale or was never given out.
  Slot* find(Handle handle) {
    const uint32_t index = handle & kIndexMask;
    if (index >= used_) return nullptr;
    Slot& slot = at(index);
    return slot.live && slot.generation == handle >> kIndexBits ? &slot : nullptr;
  }

  Status release(Handle handle);

  /// Calls `visit(slot)` for every live slot and releases those for which it returns true.
  template <typename Visit>
  void sweep(const Visit& visit) {
    for (uint32_t index = 0; index < used_; ++index) {
      if (at(index).live && visit(at(index))) releaseSlot(index);
    }
  }

  size_t live() const { return live_; }

 private:
  static constexpr int kIndexBits = 22;
  static constexpr uint32_t kIndexMask = (1u << kIndexBits) - 1;
  static constexpr uint32_t kGenerationMask = (1u << (32 - kIndexBits)) - 1;

  static constexpr int kChunkBits = 10;
  static constexpr uint32_t kChunk = 1u << kChunkBits;
  static constexpr uint32_t kNone = ~0u;

  Status takeSlot(uint32_t* index);
  void releaseSlot(uint32_t index);
  Slot& at(uint32_t index) { return chunks_[index >> kChunkBits][index & (kChunk - 1)]; }
  Handle handleOf(uint32_t index) { return at(index).generation << kIndexBits | index; }

  // Chunks, so that a slot never moves and growth can fail without an exception.
  std::array<std::unique_ptr<Slot[]>, (kIndexMask + 1) / kChunk> chunks_;
  uint32_t used_ = 0;
  uint32_t firstFree_ = kNone;
  size_t live_ = 0;
};

}  // namespace kindling

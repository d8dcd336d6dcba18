#pragma once
// Reference-counted memory of a backend. Tensors and their views share one.

#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

#include "core/backend.h"

namespace kindling {

class StorageRef;

class Storage {
 public:
  /// An empty reference when memory is exhausted.
  static StorageRef create(const Backend& backend, size_t bytes);

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const Backend& backend() const { return backend_; }

  // Programs that are queued or running on another thread: how many read this memory, how many
  // write it. The thread that submits them is the one that asks.
  void countReader(int by) const { readers_.fetch_add(by, std::memory_order_acq_rel); }
  void countWriter(int by) const { writers_.fetch_add(by, std::memory_order_acq_rel); }
  bool isWritten() const { return writers_.load(std::memory_order_acquire) != 0; }
  bool isInUse() const { return isWritten() || readers_.load(std::memory_order_acquire) != 0; }

 private:
  friend class StorageRef;
  Storage(const Backend& backend, void* data, size_t bytes)
      : backend_(backend), data_(data), bytes_(bytes) {}
  ~Storage() { backend_.deallocate(backend_.device, data_, bytes_); }

  const Backend& backend_;
  void* data_;
  size_t bytes_;
  std::atomic<int> references_{1};
  mutable std::atomic<int> readers_{0}, writers_{0};
};

class StorageRef {
 public:
  StorageRef() = default;
  StorageRef(const StorageRef& other) : storage_(other.storage_) {
    if (storage_) storage_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  StorageRef(StorageRef&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StorageRef& operator=(StorageRef other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StorageRef() {
    if (storage_ && storage_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete storage_;
    }
  }

  explicit operator bool() const { return storage_ != nullptr; }
  const Storage* operator->() const { return storage_; }

 private:
  friend class Storage;
  explicit StorageRef(Storage* adopted) : storage_(adopted) {}
  Storage* storage_ = nullptr;
};

inline StorageRef Storage::create(const Backend& backend, size_t bytes) {
  void* data = backend.allocate(backend.device, bytes);
  if (!data) return {};
  Storage* storage = new (std::nothrow) Storage(backend, data, bytes);
  if (!storage) backend.deallocate(backend.device, data, bytes);
  return StorageRef(storage);
}

}  // namespace kindling

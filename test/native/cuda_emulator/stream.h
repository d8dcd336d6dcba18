#pragma once
// Streams, and the work that waits in them.

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda_emulator/launch.h"

namespace kindling {
namespace cuda {
namespace emulator {

enum class Work : uint32_t { kernel, copy, stagedCopy, fill, wait, graph, allocated, freed };

/// What stands before every piece of work; what it needs follows.
struct alignas(16) WorkHeader {
  Work kind;
  uint32_t bytes;  // with this
};
struct alignas(16) KernelWork {
  Launch launch;  // then the arguments
};
struct alignas(16) CopyWork {
  void* to;
  const void* from;  // if staged, the bytes follow instead
  size_t bytes;
};
struct alignas(16) FillWork {
  void* data;
  size_t bytes;
  int byte;
};
struct alignas(16) WaitWork {
  CUstream_st* stream;
  uint64_t position;
};
struct alignas(16) MarkWork {
  void* data;
  size_t bytes, blockBytes;
};

/// A list of work, one piece after another in memory.
class WorkList {
 public:
  /// Room for a piece, `more` bytes longer than its struct.
  template <typename T>
  T* add(Work kind, size_t more = 0) {
    const size_t bytes = (sizeof(WorkHeader) + sizeof(T) + more + 15) & ~size_t{15};
    const size_t at = data_.size();
    data_.resize(at + bytes / sizeof(Unit));
    WorkHeader* const header = reinterpret_cast<WorkHeader*>(data_.data() + at);
    *header = {kind, static_cast<uint32_t>(bytes)};
    ++count_;
    return reinterpret_cast<T*>(header + 1);
  }
  const WorkHeader* at(size_t unit) const {
    return reinterpret_cast<const WorkHeader*>(data_.data() + unit);
  }
  size_t units() const { return data_.size(); }
  size_t count() const { return count_; }
  void clear() {
    data_.clear();
    count_ = 0;
  }
  static size_t unitsOf(const WorkHeader* header) { return header->bytes / sizeof(Unit); }

 private:
  struct alignas(16) Unit {
    char bytes[16];
  };
  std::vector<Unit> data_;
  size_t count_ = 0;
};

struct alignas(16) GraphWork {
  std::shared_ptr<const WorkList>* list;
};

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

struct CUstream_st {
  int device = 0;
  kindling::cuda::emulator::WorkList list;
  size_t next = 0;  // unit of `list`
  uint64_t called = 0, done = 0;
  bool isBusy = false;
  std::unique_ptr<kindling::cuda::emulator::WorkList> capture;
};

struct CUevent_st {
  CUstream_st* stream = nullptr;
  uint64_t position = 0;
  bool isCaptured = false, wasAsked = false;
};

struct CUgraph_st {
  std::shared_ptr<const kindling::cuda::emulator::WorkList> list;
};
struct CUgraphExec_st {
  std::shared_ptr<const kindling::cuda::emulator::WorkList> list;
};

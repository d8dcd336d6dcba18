#pragma once
// Memory between two pages that may not be touched. The buffer is flush against one of them; what
// is left of its own pages on the other side holds a pattern that must still stand afterwards.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "doctest/doctest.h"

namespace kindling {
namespace testing {

enum class Side { start, end };

class GuardedMemory {
 public:
  GuardedMemory(size_t bytes, Side side) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    own_ = (bytes + page - 1) / page * page;
    if (own_ == 0) own_ = page;
    mapped_ = own_ + 2 * page;
    void* const all =
        mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(all != MAP_FAILED);
    base_ = static_cast<unsigned char*>(all);
    pages_ = base_ + page;
    REQUIRE(mprotect(pages_, own_, PROT_READ | PROT_WRITE) == 0);
    memset(pages_, kPattern, own_);
    data_ = side == Side::start ? pages_ : pages_ + own_ - bytes;
  }
  ~GuardedMemory() { munmap(base_, mapped_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  unsigned char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  /// Whether nothing was written beside the buffer, as far as no guard page would have caught it.
  bool surroundingsStand() const {
    for (const unsigned char* p = pages_; p < pages_ + own_; ++p) {
      if ((p < data_ || p >= data_ + bytes_) && *p != kPattern) return false;
    }
    return true;
  }

  static constexpr unsigned char kPattern = 0xcd;

 private:
  size_t bytes_, own_, mapped_;
  unsigned char *base_, *pages_, *data_;
};

}  // namespace testing
}  // namespace kindling

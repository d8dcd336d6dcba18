#pragma once
// Programs for the tests, number by number.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/program.h"

namespace kindling {

constexpr int64_t kLength = 1000;

/// The numbers of a program, as lib/compile/encode.ts writes them.
class Words {
 public:
  Words(int bindings, int values, int steps, double arena, double live = 0)
      : words_{static_cast<double>(bindings), static_cast<double>(values),
               static_cast<double>(steps), arena, live} {}
  Words& view(DType dtype, int64_t length, int64_t stride = 1) {
    add({static_cast<double>(dtype), 1, static_cast<double>(length)});
    pad(kMaxRank - 1);
    add({static_cast<double>(stride)});
    return pad(kMaxRank - 1);
  }
  Words& binding(Role role, int64_t length = kLength) {
    add({static_cast<double>(role)});
    return view(DType::float32, length);
  }
  Words& value(int binding, double offset, int64_t length = kLength, int64_t stride = 1) {
    add({static_cast<double>(binding), offset});
    return view(DType::float32, length, stride);
  }
  Words& step(Op op, const std::vector<double>& rest, double live = -1) {
    add({static_cast<double>(op), live});
    return add(rest);
  }
  Words& add(const std::vector<double>& more) {
    words_.insert(words_.end(), more.begin(), more.end());
    return *this;
  }
  Status parse(std::shared_ptr<const Program>* program,
               const Backend& backend = cpuBackend()) const {
    return Program::parse(backend, words_.data(), words_.size(), program);
  }
  std::vector<double>& words() { return words_; }

 private:
  Words& pad(int count) { return add(std::vector<double>(static_cast<size_t>(count), 0)); }
  std::vector<double> words_;
};

}  // namespace kindling

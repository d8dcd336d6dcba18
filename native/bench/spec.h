#pragma once
// What is to be measured, as a line that every contestant reads, in whatever language it is
// written: a kind of work and its numbers, as in "matmul m=256 n=256 k=256 tb=1".

#include <cstdint>
#include <map>
#include <string>

namespace kindling::bench {

class Spec {
 public:
  static Spec parse(const std::string& line);

  const std::string& kind() const { return kind_; }
  bool has(const std::string& key) const { return values_.count(key) > 0; }
  std::string text(const std::string& key, const std::string& otherwise = "") const;
  int64_t number(const std::string& key, int64_t otherwise = 0) const;
  /// "forward", "backward", or "training": forward and backward.
  std::string pass() const { return text("pass", "forward"); }

  void set(const std::string& key, const std::string& value) { values_[key] = value; }
  const std::map<std::string, std::string>& values() const { return values_; }
  std::string line() const;

 private:
  std::string kind_;
  std::map<std::string, std::string> values_;
};

}  // namespace kindling::bench

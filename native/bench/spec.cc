#include "bench/spec.h"

#include <cstdlib>
#include <sstream>

namespace kindling::bench {

Spec Spec::parse(const std::string& line) {
  Spec spec;
  std::istringstream words(line);
  words >> spec.kind_;
  for (std::string word; words >> word;) {
    const size_t at = word.find('=');
    if (at != std::string::npos) spec.values_[word.substr(0, at)] = word.substr(at + 1);
  }
  return spec;
}

std::string Spec::text(const std::string& key, const std::string& otherwise) const {
  const auto found = values_.find(key);
  return found == values_.end() ? otherwise : found->second;
}

int64_t Spec::number(const std::string& key, int64_t otherwise) const {
  const auto found = values_.find(key);
  return found == values_.end() ? otherwise : strtoll(found->second.c_str(), nullptr, 10);
}

std::string Spec::line() const {
  std::string line = kind_;
  for (const auto& [key, value] : values_) line += " " + key + "=" + value;
  return line;
}

}  // namespace kindling::bench

#pragma once
// Numbers of JavaScript as integers, without undefined behaviour.

#include <cstdint>

namespace kindling {

/// NaN and huge values become -2^53.
inline int64_t toInteger(double value) {
  constexpr double kLimit = 9007199254740992.0;
  return value >= -kLimit && value <= kLimit ? static_cast<int64_t>(value)
                                             : -static_cast<int64_t>(kLimit);
}

inline int32_t toInt32(double value) {
  return value >= -2147483648.0 && value <= 2147483647.0 ? static_cast<int32_t>(value) : INT32_MIN;
}

}  // namespace kindling

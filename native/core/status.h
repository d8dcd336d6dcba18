#pragma once
// Errors as values: nothing below the binding throws.

#include <cstdint>

namespace kindling {

enum class Status : int32_t {
  ok = 0,
  outOfMemory = 1,
  badHandle = 2,
  badShape = 3,
  badDtype = 4,
  badArgument = 5,
  indexOutOfRange = 6,
  unsupported = 7,
  numerical = 8,  // the values have no result: a singular matrix
  cancelled = 9,
};

/// Records a printf-formatted message for this thread and returns `status`.
Status fail(Status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

/// The message of this thread's last fail().
const char* lastErrorMessage();

}  // namespace kindling

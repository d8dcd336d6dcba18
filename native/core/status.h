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
  deviceFailed = 10,  // a device, its driver or its library refused
};

/// Records a printf-formatted message for this thread and returns `status`.
Status fail(Status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

/// The message of this thread's last fail().
const char* lastErrorMessage();

/// Has every later message told to `sink` as well, on the thread that failed: how a library with a
/// copy of this file of its own passes its messages on.
void setMessageSink(void (*sink)(const char* message));

/// Records a message that another copy of this file has formatted.
void takeMessage(const char* text);

}  // namespace kindling

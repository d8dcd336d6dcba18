#include "core/status.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace kindling {

namespace {
thread_local char message[512];
std::atomic<void (*)(const char*)> messageSink{nullptr};
}  // namespace

Status fail(Status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (void (*const sink)(const char*) = messageSink.load(std::memory_order_acquire)) sink(message);
  return status;
}

void setMessageSink(void (*sink)(const char*)) {
  messageSink.store(sink, std::memory_order_release);
}

void takeMessage(const char* text) { snprintf(message, sizeof message, "%s", text); }

const char* lastErrorMessage() { return message; }

}  // namespace kindling

#include "cuda_emulator/report.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda_emulator/schedule.h"

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

char message[2048];
bool isNew = false;

}  // namespace

PlaceText::PlaceText(Place place) {
  const char* const slash = strrchr(place.file, '/');
  snprintf(text, sizeof text, "%s:%d", slash ? slash + 1 : place.file, place.line);
}

const char* describeFunction(const void* code) {
  static char text[512];
  Dl_info info = {};
  if (dladdr(code, &info) == 0 || info.dli_sname == nullptr) {
    snprintf(text, sizeof text, "%p", code);
    return text;
  }
  int status = 0;
  char* const readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  snprintf(text, sizeof text, "%s", readable ? readable : info.dli_sname);
  free(readable);
  return text;
}

const char* describeCode(const void* code) {
  static char text[1024];
  Dl_info info = {};
  if (dladdr(code, &info) == 0) {
    snprintf(text, sizeof text, "%p", code);
    return text;
  }
  // The line, from the debug information; binutils come with the compiler.
  const size_t offset = static_cast<size_t>(static_cast<const char*>(code) -
                                            static_cast<const char*>(info.dli_fbase));
  char line[512] = "";
  snprintf(text, sizeof text, "addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname, offset - 1);
  if (FILE* const pipe = popen(text, "r")) {
    if (fgets(line, sizeof line, pipe) == nullptr) line[0] = 0;
    pclose(pipe);
  }
  line[strcspn(line, "\n")] = 0;
  if (line[0] == 0 || line[0] == '?') {
    snprintf(line, sizeof line, "%s+0x%zx", info.dli_fname, offset);
  }
  const char* const slash = strrchr(line, '/');
  snprintf(text, sizeof text, "%s", slash ? slash + 1 : line);
  return text;
}

void finding(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (used < 0 || used >= static_cast<int>(sizeof message)) used = sizeof message - 1;
  const bool inKernel = isRunning();
  if (inKernel) {
    snprintf(message + used, sizeof message - static_cast<size_t>(used),
             " [thread (%u, %u, %u) of block (%u, %u, %u) in %s]", threadIdx.x, threadIdx.y,
             threadIdx.z, blockIdx.x, blockIdx.y, blockIdx.z,
             describeFunction(runningLaunch().kernel));
  }
  isNew = true;
  fprintf(stderr, "emulator: %s\n", message);
  if (inKernel) giveUpLaunch();
}

bool takeFinding() {
  const bool was = isNew;
  isNew = false;
  return was;
}

const char* lastFinding() { return message; }

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

#include "cuda_emulator/launches.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

const char* fileName() {
  static const char* const name = getenv("KINDLING_EMULATOR_LAUNCHES");
  return name;
}

struct Range {
  size_t least, most;
};

std::map<const void*, Range>& sharedBytes() {
  static auto* const bytes = new std::map<const void*, Range>;  // outlives the end of main
  return *bytes;
}

/// A line for each kernel: its name as the linker has it, and the least and the most bytes.
void write() {
  FILE* const file = fopen(fileName(), "w");
  if (file == nullptr) {
    fprintf(stderr, "emulator: %s cannot be written\n", fileName());
    return;
  }
  for (const auto& [kernel, bytes] : sharedBytes()) {
    Dl_info info = {};
    if (dladdr(kernel, &info) == 0 || info.dli_sname == nullptr) continue;
    fprintf(file, "%s %zu %zu\n", info.dli_sname, bytes.least, bytes.most);
  }
  fclose(file);
}

}  // namespace

void noteLaunch(const Launch& launch) {
  if (fileName() == nullptr) return;
  static const bool isRegistered = atexit(write) == 0;
  (void)isRegistered;
  const size_t bytes = launch.sharedBytes;
  Range& range = sharedBytes().try_emplace(launch.kernel, Range{bytes, bytes}).first->second;
  range = {std::min(range.least, bytes), std::max(range.most, bytes)};
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

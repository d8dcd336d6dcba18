#include "core/cpu_features.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/backend.h"
#include "doctest/doctest.h"

namespace kindling {

TEST_CASE("the level in use is what KINDLING_ISA says, else the highest") {
  const char* wanted = getenv("KINDLING_ISA");
  if (wanted) {
    CHECK(strcmp(isaName(activeIsa()), wanted) == 0);
  } else {
    CHECK(activeIsa() == detectedIsa());
  }
  CHECK(activeIsa() <= detectedIsa());
  CHECK(isaProblem() == nullptr);
}

TEST_CASE("cores and caches are plausible") {
  CHECK(physicalCores() >= 1);
  CHECK(physicalCores() <= sysconf(_SC_NPROCESSORS_CONF));
  const CacheSizes sizes = cacheSizes();
  CHECK(sizes.l1 >= 8 << 10);
  CHECK(sizes.l2 >= sizes.l1);
  CHECK(sizes.l3 >= sizes.l2);
}

TEST_CASE("results of a quarter of the last cache are large, or of what a test asks for") {
  CHECK(largeResultBytes() == cacheSizes().l3 / 4);
  setLargeResultBytes(64);
  CHECK(largeResultBytes() == 64);
  setLargeResultBytes(0);
  CHECK(largeResultBytes() == cacheSizes().l3 / 4);
}

TEST_CASE("the CPU backend has a kernel for every op") {
  for (int op = 0; op < kOpCount; ++op) {
    CAPTURE(op);
    CHECK((cpuBackend().kernels[op] != nullptr));
  }
}

}  // namespace kindling

#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>

#include "core/cpu_features.h"
#include "doctest/doctest.h"

int main(int argc, char** argv) {
  if (const char* problem = kindling::isaProblem()) {
    fprintf(stderr, "%s\n", problem);
    return 1;
  }
  doctest::Context context(argc, argv);
  return context.run();
}

#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>
#include <cstring>

#include "core/cpu_features.h"
#include "doctest/doctest.h"

int main(int argc, char** argv) {
  if (const char* problem = kindling::isaProblem()) {
    fprintf(stderr, "%s\n", problem);
    return 1;
  }
  if (argc == 2 && strcmp(argv[1], "--print-isa") == 0) {
    puts(kindling::isaName(kindling::detectedIsa()));
    return 0;
  }
  doctest::Context context(argc, argv);
  return context.run();
}

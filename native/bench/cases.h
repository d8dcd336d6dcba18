#pragma once
// What is measured: one table, in cases.cc.

#include <string>
#include <vector>

#include "bench/spec.h"

namespace kindling::bench {

struct Case {
  std::string family, name;
  Spec spec;
};

/// All cases. A row of the table with several passes gives a case for each.
std::vector<Case> allCases();

/// What one run of a case has to do at the least.
struct Work {
  double amount = 0;
  bool isBytes = false;  // else floating-point operations
  std::string counts;    // in words
};

Work workOf(const Spec& spec);

}  // namespace kindling::bench

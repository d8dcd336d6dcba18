#pragma once
// Prints timings as a plain table.

#include <string>
#include <vector>

#include "bench/cases.h"
#include "bench/harness.h"

namespace kindling::bench {

/// One contestant's timing of a case.
struct Row {
  std::string contestant;
  Timing timing;
  double limit;  // per second, measured in the same rounds
};

void printHeading();
/// Kindling's row comes first; the others are shown with its speed-up over them.
void printRows(const Case& work, int threads, const std::vector<Row>& rows);

}  // namespace kindling::bench

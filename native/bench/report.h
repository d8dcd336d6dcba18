#pragma once
// Prints timings as a plain table or as JSON.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace kindling::bench {

struct Row {
  std::string caseName, variant;
  double flops;
  Timing timing;
  double peakFlops;  // per second, measured in the same rounds; 0: none
  double reference;  // median seconds of the yardstick; 0: none
};

struct Header {
  std::string isa, yardstick;
};

void printTable(const Header& header, const std::vector<Row>& rows);
void printJson(const Header& header, const std::vector<Row>& rows);

}  // namespace kindling::bench

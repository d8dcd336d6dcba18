#include "bench/report.h"

#include <cstdio>

namespace kindling::bench {

void printHeading() {
  printf("%-7s %-40s %-11s %11s %7s %16s %9s %9s\n", "threads", "case", "contestant", "us",
         "spread", "rate", "of limit", "speed-up");
}

void printRows(const Case& work, int threads, const std::vector<Row>& rows) {
  const Work amount = workOf(work.spec);
  const std::string title = work.family + ": " + work.name;
  for (const Row& row : rows) {
    const double rate = amount.amount / row.timing.median;
    const double spread = (row.timing.high - row.timing.low) / row.timing.median;
    printf("%-7d %-40s %-11s %11.2f %6.1f%% %9.1f %s %8.1f%%", threads, title.c_str(),
           row.contestant.c_str(), row.timing.median * 1e6, spread * 100, rate * 1e-9,
           amount.isBytes ? "GB/s  " : "GFLOPs", rate / row.limit * 100);
    if (&row != &rows.front()) {
      printf(" %8.2fx", row.timing.median / rows.front().timing.median);
    }
    printf("\n");
  }
}

}  // namespace kindling::bench

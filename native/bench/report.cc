#include "bench/report.h"

#include <cstdio>

namespace kindling::bench {

namespace {

double spread(const Timing& timing) { return (timing.high - timing.low) / timing.median; }

}  // namespace

void printTable(const Header& header, const std::vector<Row>& rows) {
  printf("ISA level: %s. Yardstick: %s. Medians of interleaved rounds; spread: quartiles.\n",
         header.isa.c_str(), header.yardstick.c_str());
  printf("%-28s %-12s %11s %7s %9s %7s %9s\n", "case", "variant", "us", "spread", "GFLOP/s", "peak",
         "speed-up");
  for (const Row& row : rows) {
    const double rate = row.flops / row.timing.median;
    printf("%-28s %-12s %11.2f %6.1f%% %9.1f", row.caseName.c_str(), row.variant.c_str(),
           row.timing.median * 1e6, spread(row.timing) * 100, rate * 1e-9);
    if (row.peakFlops > 0) {
      printf(" %6.1f%%", rate / row.peakFlops * 100);
    } else {
      printf(" %7s", "");
    }
    if (row.reference > 0) printf(" %8.2fx", row.reference / row.timing.median);
    printf("\n");
  }
}

void printJson(const Header& header, const std::vector<Row>& rows) {
  printf("{\"isa\":\"%s\",\"yardstick\":\"%s\",\"rows\":[", header.isa.c_str(),
         header.yardstick.c_str());
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const double rate = row.flops / row.timing.median;
    printf("%s\n{\"case\":\"%s\",\"variant\":\"%s\",\"seconds\":%.6g,\"low\":%.6g,\"high\":%.6g,",
           i ? "," : "", row.caseName.c_str(), row.variant.c_str(), row.timing.median,
           row.timing.low, row.timing.high);
    printf("\"gflops\":%.4g,\"peakShare\":%.4g,\"speedUp\":%.4g}", rate * 1e-9,
           row.peakFlops > 0 ? rate / row.peakFlops : 0.0,
           row.reference > 0 ? row.reference / row.timing.median : 0.0);
  }
  printf("\n]}\n");
}

}  // namespace kindling::bench

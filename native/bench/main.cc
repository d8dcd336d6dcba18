// kindling_bench: times kernels without Node.
//   kindling_bench [--json] [--rounds N] [--threads 1,2] [--filter TEXT] [--no-openblas]
// KINDLING_ISA picks the ISA level.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/gemm_cases.h"
#include "bench/report.h"
#include "core/cpu_features.h"
#include "core/thread_pool.h"

namespace kindling::bench {
namespace {

struct Arguments {
  bool json = false, openblas = true;
  std::string filter;
  std::vector<int> threads;
  Options options;
};

bool parse(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (!strcmp(argv[i], "--json")) {
      arguments->json = true;
    } else if (!strcmp(argv[i], "--no-openblas")) {
      arguments->openblas = false;
    } else if (!strcmp(argv[i], "--filter") && more) {
      arguments->filter = argv[++i];
    } else if (!strcmp(argv[i], "--rounds") && more) {
      arguments->options.rounds = atoi(argv[++i]);
    } else if (!strcmp(argv[i], "--threads") && more) {
      for (char* p = argv[++i]; *p; p += *p == ',') {
        arguments->threads.push_back(static_cast<int>(strtol(p, &p, 10)));
        if (arguments->threads.back() < 1) return false;
      }
    } else {
      return false;
    }
  }
  return arguments->options.rounds > 0;
}

const Level& activeLevel() {
  switch (activeIsa()) {
    case Isa::avx512:
      return avx512::kLevel;
    case Isa::avx2:
      return avx2::kLevel;
    default:
      return scalar::kLevel;
  }
}

struct PeakJob {
  const Level* level;
  float sinks[256];
};
constexpr int64_t kPeakSteps = 20000;

/// All threads doing nothing but multiply-adds.
Variant peakVariant(const Level& level, int threads) {
  return {"peak " + std::to_string(threads) + "T",
          [&level, threads] {
            PeakJob job = {&level, {}};
            parallelParts(
                threads,
                [](void* opaque, int part) {
                  PeakJob& j = *static_cast<PeakJob*>(opaque);
                  j.level->spinFma(kPeakSteps, &j.sinks[part]);
                },
                &job);
          },
          [threads] { setNumThreads(threads); }};
}

double peakFlops(const Level& level, int threads) {
  float sink = 0;
  return level.spinFma(1, &sink) * kPeakSteps * threads;
}

/// Measures one case next to the peak of every number of threads.
void runCase(const Case& work, const Arguments& arguments, const Level& level,
             std::vector<Row>* rows) {
  std::vector<Variant> variants;
  for (const int threads : arguments.threads) variants.push_back(peakVariant(level, threads));
  variants.insert(variants.end(), work.variants.begin(), work.variants.end());
  const std::vector<Timing> timings = measure(variants, arguments.options);
  const size_t peaks = arguments.threads.size();
  const size_t each = work.variants.size() / peaks;
  for (size_t i = 0; i < work.variants.size(); ++i) {
    const size_t group = i / each;
    const double peak = peakFlops(level, arguments.threads[group]) / timings[group].median;
    const bool ours = i % each == 0;
    const double reference = ours && each > 1 ? timings[peaks + i + 1].median : 0;
    rows->push_back(
        {work.name, work.variants[i].name, work.flops, timings[peaks + i], peak, reference});
  }
}

void reportPeaks(const Arguments& arguments, const Level& level, std::vector<Row>* rows) {
  std::vector<Variant> variants;
  for (const int threads : arguments.threads) variants.push_back(peakVariant(level, threads));
  const std::vector<Timing> timings = measure(variants, arguments.options);
  for (size_t i = 0; i < variants.size(); ++i) {
    rows->push_back({"multiply-adds", variants[i].name, peakFlops(level, arguments.threads[i]),
                     timings[i], 0, 0});
  }
}

int run(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, &arguments)) {
    fprintf(stderr,
            "usage: kindling_bench [--json] [--rounds N] [--threads 1,2] [--filter TEXT]"
            " [--no-openblas]\n");
    return 2;
  }
  if (arguments.threads.empty()) {
    arguments.threads.push_back(1);
    if (physicalCores() > 1) arguments.threads.push_back(physicalCores());
  }
  OpenBlas blas;
  const bool compare = arguments.openblas && blas.load();
  const Level& level = activeLevel();
  std::vector<Row> rows;
  reportPeaks(arguments, level, &rows);
  for (const GemmShape& shape : gemmShapes()) {
    const Case work = gemmCase(shape, arguments.threads, level, compare ? &blas : nullptr);
    if (work.name.find(arguments.filter) == std::string::npos) continue;
    runCase(work, arguments, level, &rows);
  }
  const Header header = {isaName(activeIsa()),
                         compare ? std::string("OpenBLAS ") + blas.kernelName() : "none"};
  if (arguments.json) {
    printJson(header, rows);
  } else {
    printTable(header, rows);
  }
  stopThreads();
  return 0;
}

}  // namespace
}  // namespace kindling::bench

int main(int argc, char** argv) { return kindling::bench::run(argc, argv); }

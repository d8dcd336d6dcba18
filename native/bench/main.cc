// kindling_bench: times kernels without Node.
//   kindling_bench [--filter TEXT] [--rounds N] [--seconds S] [--threads 1,2] [--contestants a,b]
//   kindling_bench --list                   the cases, as JSON
//   kindling_bench --serve NAME [--threads N]   one contestant, driven by scripts/bench/kernels
// KINDLING_ISA picks the ISA level.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "bench/cases.h"
#include "bench/harness.h"
#include "bench/report.h"
#include "bench/serve.h"
#include "core/cpu_features.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace kindling::bench {
namespace {

struct Arguments {
  bool list = false;
  std::string filter, serve;
  std::vector<int> threads;
  std::vector<std::string> contestants;
  Options options;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

bool parse(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--list") {
      arguments->list = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const std::string value = argv[++i];
    if (name == "--filter") {
      arguments->filter = value;
    } else if (name == "--rounds") {
      arguments->options.rounds = atoi(value.c_str());
    } else if (name == "--seconds") {
      arguments->options.secondsPerRound = atof(value.c_str());
    } else if (name == "--serve") {
      arguments->serve = value;
    } else if (name == "--contestants") {
      arguments->contestants = split(value);
    } else if (name == "--threads") {
      for (const std::string& part : split(value)) arguments->threads.push_back(atoi(part.c_str()));
    } else {
      return false;
    }
  }
  for (const int threads : arguments->threads) {
    if (threads < 1 || threads > 256) return false;
  }
  return arguments->options.rounds > 0;
}

bool agree(const std::vector<Checksum>& a, const std::vector<Checksum>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const double tolerance = 1e-3 * std::fabs(a[i].sumOfMagnitudes) + 1e-12;
    const bool close = std::fabs(a[i].sum - b[i].sum) <= tolerance &&
                       std::fabs(a[i].sumOfMagnitudes - b[i].sumOfMagnitudes) <= tolerance;
    if (!close) return false;
  }
  return true;
}

/// Measures one case by all who have it; false if a result is wrong.
bool runCase(const Case& work, const std::vector<std::unique_ptr<Contestant>>& contestants,
             int threads, const Options& options) {
  std::vector<Job> jobs;
  std::vector<std::string> names;
  std::vector<Checksum> expected;
  for (const auto& contestant : contestants) {
    contestant->setThreads(threads);
    Job job = contestant->make(work.spec);
    if (!job) continue;
    job.run();
    const std::vector<Checksum> check = job.check ? job.check() : expected;
    if (names.empty()) expected = check;
    if (!job.succeeded() || !agree(expected, check)) {
      printf("%s: %s: %s\n", work.name.c_str(), contestant->name().c_str(),
             job.succeeded() ? "its result differs" : lastErrorMessage());
      return false;
    }
    names.push_back(contestant->name());
    jobs.push_back(std::move(job));
  }
  const std::vector<Timing> timings = measure(jobs, options);
  double limit = 0;
  std::vector<Row> rows;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].work > 0) {
      limit = jobs[i].work / timings[i].median;
    } else {
      rows.push_back({names[i], timings[i], 0});
    }
  }
  for (Row& row : rows) row.limit = limit;
  printRows(work, threads, rows);
  return true;
}

int usage() {
  fprintf(stderr,
          "usage: kindling_bench [--filter TEXT] [--rounds N] [--seconds S] [--threads 1,2]"
          " [--contestants NAMES] | --list | --serve NAME\n");
  return 2;
}

int runAll(const Arguments& arguments) {
  const auto contestants = findContestants(arguments.contestants);
  printf("ISA level: %s. Medians of %d interleaved rounds; spread: quartiles.\n",
         isaName(activeIsa()), arguments.options.rounds);
  for (const auto& contestant : contestants) {
    printf("%s: %s\n", contestant->name().c_str(), contestant->version().c_str());
  }
  printHeading();
  bool good = true;
  for (const int threads : arguments.threads) {
    for (const Case& work : allCases()) {
      const std::string title = work.family + ": " + work.name;
      if (title.find(arguments.filter) == std::string::npos) continue;
      good &= runCase(work, contestants, threads, arguments.options);
      fflush(stdout);
    }
  }
  return good ? 0 : 1;
}

int run(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, &arguments)) return usage();
  if (arguments.threads.empty()) arguments.threads.push_back(physicalCores());
  int status = 0;
  if (arguments.list) {
    printCases();
  } else if (!arguments.serve.empty()) {
    const auto contestants = findContestants({arguments.serve});
    if (contestants.empty()) return 3;  // the machine has no such library
    serve(contestants[0].get(), arguments.threads[0]);
  } else {
    status = runAll(arguments);
  }
  stopThreads();
  return status;
}

}  // namespace
}  // namespace kindling::bench

int main(int argc, char** argv) { return kindling::bench::run(argc, argv); }

#include "bench/serve.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "bench/cases.h"
#include "bench/harness.h"
#include "core/status.h"

namespace kindling::bench {

namespace {

// Names and specs are plain words: nothing in them needs an escape.

void refuse(const char* reason) { printf("{\"ok\":false,\"reason\":\"%s\"}\n", reason); }

/// NaN is no JSON; null fails every comparison.
std::string numberOf(double value) {
  if (!(value - value == 0)) return "null";
  char text[32];
  snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

void answerCase(const Job& job) {
  if (!job) return refuse("no such operation");
  job.run();
  if (!job.succeeded()) return refuse(lastErrorMessage());
  printf("{\"ok\":true,\"work\":%.17g,\"check\":[", job.work);
  bool first = true;
  for (const Checksum& check : job.check ? job.check() : std::vector<Checksum>()) {
    printf("%s{\"name\":\"%s\",\"sum\":%s,\"magnitude\":%s}", first ? "" : ",", check.name.c_str(),
           numberOf(check.sum).c_str(), numberOf(check.sumOfMagnitudes).c_str());
    first = false;
  }
  printf("]}\n");
}

void answerRun(const Job& job, int64_t repeats) {
  if (!job || repeats < 1) return refuse("nothing to run");
  const double seconds = secondsOf(job, repeats) * static_cast<double>(repeats);
  if (!job.succeeded()) return refuse(lastErrorMessage());
  printf("{\"ok\":true,\"seconds\":%.9g}\n", seconds);
}

}  // namespace

void serve(Contestant* contestant, int threads) {
  contestant->setThreads(threads);
  printf("{\"name\":\"%s\",\"version\":\"%s\",\"threads\":%d}\n", contestant->name().c_str(),
         contestant->version().c_str(), threads);
  fflush(stdout);
  Job job;
  for (std::string line; std::getline(std::cin, line);) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string command = line.substr(0, space), rest = line.substr(space);
    if (command == "case") {
      job = {};  // its memory first
      job = contestant->make(Spec::parse(rest));
      answerCase(job);
    } else if (command == "run") {
      answerRun(job, strtoll(rest.c_str(), nullptr, 10));
    } else {
      refuse("unknown command");
    }
    fflush(stdout);
  }
}

void printCases() {
  printf("[");
  bool first = true;
  for (const Case& each : allCases()) {
    const Work work = workOf(each.spec);
    printf("%s\n{\"family\":\"%s\",\"name\":\"%s\",\"spec\":\"%s\",", first ? "" : ",",
           each.family.c_str(), each.name.c_str(), each.spec.line().c_str());
    printf("\"work\":%.17g,\"unit\":\"%s\",\"counts\":\"%s\"}", work.amount,
           work.isBytes ? "byte" : "flop", work.counts.c_str());
    first = false;
  }
  printf("\n]\n");
}

}  // namespace kindling::bench

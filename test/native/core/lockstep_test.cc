#include "core/lockstep.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "doctest/doctest.h"

namespace kindling {
namespace {

/// Every part of every step exactly once, and none before the step before is done.
struct Record {
  int parts;
  std::vector<std::atomic<int>> runs;
  std::atomic<bool> early{false};
  int slowPart = -1;

  Record(int partCount, int64_t steps)
      : parts(partCount), runs(static_cast<size_t>(partCount * steps)) {}

  void run(int64_t step, int part) {
    for (int other = 0; step > 0 && other < parts; ++other) {
      if (at(step - 1, other).load() != 1) early = true;
    }
    if (part == slowPart && step % 50 == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    at(step, part).fetch_add(1);
  }

  bool allOnce() const {
    for (const std::atomic<int>& count : runs) {
      if (count.load() != 1) return false;
    }
    return !early;
  }

 private:
  std::atomic<int>& at(int64_t step, int part) {
    return runs[static_cast<size_t>(step * parts + part)];
  }
};

void runRecord(Record* record, int64_t steps) {
  parallelSteps(
      record->parts, steps,
      [](void* context, int64_t step, int part) { static_cast<Record*>(context)->run(step, part); },
      record);
}

}  // namespace

TEST_SUITE_BEGIN("thread_pool");

TEST_CASE("every part of every step runs once, after all of the step before") {
  const int before = numThreads();
  for (int threads : {1, 2, 3, 8}) {
    setNumThreads(threads);
    for (int parts : {1, 2, 3, 8, kMostStepParts}) {
      for (int64_t steps : {0, 1, 2, 300}) {
        CAPTURE(threads);
        CAPTURE(parts);
        CAPTURE(steps);
        Record record(parts, steps);
        runRecord(&record, steps);
        CHECK(record.allOnce());
      }
    }
  }
  setNumThreads(before);
}

TEST_CASE("steps wait for a slow part, and parts of a late thread are done by others") {
  const int before = numThreads();
  setNumThreads(2);
  for (int slow : {0, 1}) {
    // The worker sleeps by now and comes late.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Record record(2, 500);
    record.slowPart = slow;
    runRecord(&record, 500);
    CHECK(record.allOnce());
  }
  setNumThreads(before);
}

TEST_CASE("steps inside a part of a job run on its thread") {
  struct Job {
    Record first{2, 20}, second{2, 20};
  } job;
  parallelParts(
      2,
      [](void* context, int part) {
        Job& j = *static_cast<Job*>(context);
        runRecord(part == 0 ? &j.first : &j.second, 20);
      },
      &job);
  CHECK(job.first.allOnce());
  CHECK(job.second.allOnce());
}

TEST_SUITE_END();

}  // namespace kindling

#include "core/thread_pool.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "doctest/doctest.h"

namespace kindling {
namespace {

/// Puts the number of threads back when a test ends.
struct ThreadsGuard {
  int before = numThreads();
  ~ThreadsGuard() { setNumThreads(before); }
};

/// Runs a job that counts every part; true if each ran exactly once.
bool everyPartOnce(int parts) {
  std::unique_ptr<std::atomic<int>[]> counts(new std::atomic<int>[static_cast<size_t>(parts)]());
  parallelParts(
      parts,
      [](void* context, int part) {
        static_cast<std::atomic<int>*>(context)[part].fetch_add(1, std::memory_order_relaxed);
      },
      counts.get());
  for (int part = 0; part < parts; ++part) {
    if (counts[static_cast<size_t>(part)].load() != 1) return false;
  }
  return true;
}

}  // namespace

TEST_SUITE_BEGIN("thread_pool");

TEST_CASE("every part runs exactly once") {
  const ThreadsGuard guard;
  for (int threads : {1, 2, 3, 8}) {
    setNumThreads(threads);
    CHECK(numThreads() == threads);
    for (int parts : {0, 1, 2, 3, 7, 64, 1000}) CHECK(everyPartOnce(parts));
  }
}

TEST_CASE("a worker that was asleep wakes on another core than the caller's") {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0 || CPU_COUNT(&cores) < 2) {
    MESSAGE("not tried: there is one core");
    return;
  }
  const ThreadsGuard guard;
  setNumThreads(2);
  struct Job {
    std::atomic<int> begun{0};
    int core[2] = {};
  };
  int apart = 0;
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Job job;
    parallelParts(
        2,
        [](void* context, int part) {
          // Each waits for the other, so that they are on different threads.
          Job& j = *static_cast<Job*>(context);
          j.core[part] = sched_getcpu();
          j.begun.fetch_add(1);
          while (j.begun.load() < 2) {
          }
        },
        &job);
    apart += job.core[0] != job.core[1];
  }
  // The scheduler may move the caller at any time, but seldom does.
  CHECK(apart >= kTries - 4);
}

TEST_CASE("writes of the parts are seen by the caller, job after job") {
  const ThreadsGuard guard;
  setNumThreads(4);
  struct Job {
    int values[8];
    int round;
  } job;
  for (int round = 0; round < 20000; ++round) {
    job.round = round;
    parallelParts(
        8,
        [](void* context, int part) {
          Job& own = *static_cast<Job*>(context);
          own.values[part] = own.round + part;
        },
        &job);
    for (int part = 0; part < 8; ++part) REQUIRE(job.values[part] == round + part);
  }
}

TEST_CASE("workers that sleep are woken") {
  const ThreadsGuard guard;
  setNumThreads(3);
  for (int i = 0; i < 20; ++i) {
    CHECK(everyPartOnce(6));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_CASE("more than one thread really takes part") {
  const ThreadsGuard guard;
  setNumThreads(2);
  struct Meeting {
    std::atomic<int> arrived{0};
  } meeting;
  // Each part waits for the other: a single thread would never get past the first.
  parallelParts(
      2,
      [](void* context, int) {
        std::atomic<int>& arrived = static_cast<Meeting*>(context)->arrived;
        arrived.fetch_add(1);
        while (arrived.load() < 2) std::this_thread::yield();
      },
      &meeting);
  CHECK(meeting.arrived.load() == 2);
}

TEST_CASE("short jobs are handed over when workers are awake, or when they come in a row") {
  const ThreadsGuard guard;
  setNumThreads(1);
  CHECK(promptThreads() == 1);
  setNumThreads(2);
  int alone = 0, inRow = 0, awake = 0;
  // Each may be missed when something else has the cores, but not every time.
  for (int i = 0; i < 50; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    alone += promptThreads() == 1;
    inRow += promptThreads() == 2;
    CHECK(everyPartOnce(64));
    awake += promptThreads() == 2;
  }
  CHECK(alone > 0);
  CHECK(inRow > 0);
  CHECK(awake > 0);
}

TEST_CASE("nested jobs run on the calling thread") {
  const ThreadsGuard guard;
  setNumThreads(2);
  std::atomic<int> count{0};
  parallelParts(
      4,
      [](void* context, int) {
        parallelParts(
            4, [](void* inner, int) { static_cast<std::atomic<int>*>(inner)->fetch_add(1); },
            context);
      },
      &count);
  CHECK(count.load() == 16);
}

TEST_CASE("several callers at once") {
  const ThreadsGuard guard;
  setNumThreads(3);
  std::atomic<bool> ok{true};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        if (!everyPartOnce(5)) ok = false;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(ok.load());
}

TEST_CASE("the number of threads may change while others work") {
  const ThreadsGuard guard;
  std::atomic<bool> stop{false}, ok{true};
  std::thread caller([&] {
    while (!stop) {
      if (!everyPartOnce(9)) ok = false;
    }
  });
  for (int round = 0; round < 200; ++round) setNumThreads(1 + round % 5);
  stop = true;
  caller.join();
  CHECK(ok.load());
}

TEST_CASE("numbers out of range are ignored") {
  const ThreadsGuard guard;
  setNumThreads(2);
  setNumThreads(0);
  setNumThreads(-1);
  setNumThreads(257);
  CHECK(numThreads() == 2);
}

TEST_CASE("stopped threads start again") {
  const ThreadsGuard guard;
  setNumThreads(3);
  for (int i = 0; i < 10; ++i) {
    CHECK(everyPartOnce(6));
    stopThreads();
  }
  CHECK(everyPartOnce(6));
}

TEST_CASE("a forked child has a working pool") {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  // A lock of the sanitizer's own allocator may be held by a worker at the moment of the fork.
  MESSAGE("skipped: the sanitizers do not support threads in a forked child");
#else
  const ThreadsGuard guard;
  setNumThreads(3);
  REQUIRE(everyPartOnce(6));
  const pid_t child = fork();
  if (child == 0) {
    bool ok = true;
    for (int i = 0; i < 50; ++i) ok = ok && everyPartOnce(6);
    stopThreads();
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(everyPartOnce(6));
#endif
}

TEST_SUITE_END();

}  // namespace kindling

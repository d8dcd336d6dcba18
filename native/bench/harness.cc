#include "bench/harness.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace kindling::bench {

namespace {

// OpenBLAS's threads spin for some 25 ms after their work; OpenMP's for less.
constexpr double kSettleSeconds = 0.035;

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// How many runs make a round of the wanted length.
int64_t repeatsFor(const Job& job, double seconds) {
  job.run();
  int64_t repeats = 1;
  for (;;) {
    const double each = secondsOf(job, repeats);
    if (each * static_cast<double>(repeats) >= seconds / 4 || repeats >= 1 << 20) {
      return std::max<int64_t>(1, std::llround(seconds / each));
    }
    repeats *= 2;
  }
}

Timing summarize(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {seconds[n / 2], seconds[n / 4], seconds[n - 1 - n / 4]};
}

void settle(const std::vector<Job>& jobs) {
  if (jobs.size() > 1) std::this_thread::sleep_for(std::chrono::duration<double>(kSettleSeconds));
}

}  // namespace

double secondsOf(const Job& job, int64_t repeats) {
  const double start = now();
  for (int64_t i = 0; i < repeats; ++i) job.run();
  return (now() - start) / static_cast<double>(repeats);
}

std::vector<Timing> measure(const std::vector<Job>& jobs, const Options& options) {
  std::vector<int64_t> repeats;
  for (const Job& job : jobs) {
    repeats.push_back(repeatsFor(job, options.secondsPerRound));
    settle(jobs);
  }
  std::vector<std::vector<double>> seconds(jobs.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < jobs.size(); ++i) {
      secondsOf(jobs[i], std::max<int64_t>(1, repeats[i] / 8));  // caches, clock and threads
      seconds[i].push_back(secondsOf(jobs[i], repeats[i]));
      settle(jobs);
    }
  }
  std::vector<Timing> timings;
  for (const std::vector<double>& each : seconds) timings.push_back(summarize(each));
  return timings;
}

}  // namespace kindling::bench

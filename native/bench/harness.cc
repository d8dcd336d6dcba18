#include "bench/harness.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace kindling::bench {

namespace {

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

double secondsOf(const Variant& variant, int repeats) {
  const double start = now();
  for (int i = 0; i < repeats; ++i) variant.run();
  return (now() - start) / repeats;
}

/// How many runs make a round of the wanted length.
int repeatsFor(const Variant& variant, double seconds) {
  variant.run();
  int repeats = 1;
  for (;;) {
    const double each = secondsOf(variant, repeats);
    if (each * repeats >= seconds / 4 || repeats >= 1 << 20) {
      return std::max(1, static_cast<int>(std::lround(seconds / each)));
    }
    repeats *= 2;
  }
}

Timing summarize(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {seconds[n / 2], seconds[n / 4], seconds[n - 1 - n / 4]};
}

void settle(const Variant& variant) {
  if (variant.settleSeconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(variant.settleSeconds));
  }
}

}  // namespace

std::vector<Timing> measure(const std::vector<Variant>& variants, const Options& options) {
  std::vector<int> repeats;
  for (const Variant& variant : variants) {
    if (variant.prepare) variant.prepare();
    repeats.push_back(repeatsFor(variant, options.secondsPerRound));
    settle(variant);
  }
  std::vector<std::vector<double>> seconds(variants.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < variants.size(); ++i) {
      if (variants[i].prepare) variants[i].prepare();
      secondsOf(variants[i], std::max(1, repeats[i] / 8));  // caches, clock and threads
      seconds[i].push_back(secondsOf(variants[i], repeats[i]));
      settle(variants[i]);
    }
  }
  std::vector<Timing> timings;
  for (const std::vector<double>& each : seconds) timings.push_back(summarize(each));
  return timings;
}

}  // namespace kindling::bench

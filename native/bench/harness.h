#pragma once
// Timing of several ways to do one thing, in interleaved rounds: a slow spell of the machine hits
// all of them alike, and medians leave it out.

#include <functional>
#include <string>
#include <vector>

namespace kindling::bench {

/// One way to do a case's work.
struct Variant {
  std::string name;
  std::function<void()> run;
  std::function<void()> prepare;  // before every round, not timed; may be empty
  double settleSeconds = 0;       // to wait after every round, for threads that still spin
};

struct Case {
  std::string name;
  double flops;  // of one run
  std::vector<Variant> variants;
};

struct Timing {
  double median, low, high;  // seconds of one run; low and high are quartiles of the rounds
};

struct Options {
  int rounds = 11;
  double secondsPerRound = 0.004;  // of one variant
};

/// One timing per variant.
std::vector<Timing> measure(const std::vector<Variant>& variants, const Options& options);

}  // namespace kindling::bench

#pragma once
// Timing of several ways to do one thing, in interleaved rounds: a slow spell of the machine hits
// all of them alike, and medians leave it out.

#include <vector>

#include "bench/contestant.h"

namespace kindling::bench {

struct Timing {
  double median, low, high;  // seconds of one run; low and high are quartiles of the rounds
};

struct Options {
  int rounds = 7;
  double secondsPerRound = 0.02;  // of one job
};

/// Seconds of one run, of `repeats` in a row.
double secondsOf(const Job& job, int64_t repeats);

/// One timing per job.
std::vector<Timing> measure(const std::vector<Job>& jobs, const Options& options);

}  // namespace kindling::bench

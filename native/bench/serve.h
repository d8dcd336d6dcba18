#pragma once
// The side of the line protocol that a contestant speaks (scripts/bench/protocol.ts):
//   case SPEC   makes the case ready, runs it once and answers with the check of its results
//   run N       answers with the seconds that N runs took

#include "bench/contestant.h"

namespace kindling::bench {

/// Until the input ends.
void serve(Contestant* contestant, int threads);

/// The table of cases, a JSON array.
void printCases();

}  // namespace kindling::bench

#pragma once
// Runs a random case: every ISA level, several numbers of threads, operands in random layouts flush
// against guard pages on either side.

#include <cstdint>
#include <string>
#include <vector>

#include "randomized/guarded_memory.h"
#include "randomized/random_case.h"

namespace kindling {
namespace testing {

/// The operands of a case in guarded memory.
class PlacedCase {
 public:
  PlacedCase(const RandomCase& source, Side side, uint64_t layoutSeed);

  Status run(const IsaLevel& level) const;
  /// Empty where all results are right and nothing else was touched, or what is wrong.
  std::string problem() const;
  /// The bytes of everything that the op wrote.
  std::vector<unsigned char> resultBytes() const;

 private:
  TestTensor place(const TestTensor& tensor, bool isDense, Side side, Random& random);
  std::string inputProblem(size_t i) const;
  bool isAsBefore(size_t i) const;

  const RandomCase& source_;
  std::vector<std::shared_ptr<GuardedMemory>> memory_;  // of the inputs, then of the outputs
  std::vector<std::vector<unsigned char>> before_;      // the inputs' bytes
  std::vector<TestTensor> inputs_, outputs_;
};

/// What a crash prints, so that it can be repeated.
void nameRunningCase(const std::string& name);

}  // namespace testing
}  // namespace kindling

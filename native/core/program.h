#pragma once
// A compiled step: op records over buffers that were planned once. TypeScript traces and plans it
// (lib/compile); here it is checked when it is made, so that a run only fills in addresses.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/program_replay.h"

namespace kindling {

/// What a program does with a tensor it is given. Arguments and results are other memory at each
/// repetition of a run, what was captured is the same.
enum class Role : int32_t { captured = 0, updated = 1, result = 2, argument = 3 };

class Program {
 public:
  /// A tensor of the caller's: inputs, captured parameters and state, outputs.
  struct Binding {
    Role role;
    TensorView view;        // without data
    bool isOnHost = false;  // whatever the program's device
    bool isUsed = false;
  };

  /// Reads a program from `count` numbers in the order that lib/compile/encode.ts writes, and
  /// checks every record. Fails with a message and leaves `program` alone if anything is wrong.
  static Status parse(const Backend& backend, const double* words, size_t count,
                      std::shared_ptr<const Program>* program);

  const std::vector<Binding>& bindings() const { return bindings_; }
  size_t arenaBytes() const { return arenaBytes_; }
  size_t liveCount() const { return liveCount_; }

  /// Checks a tensor against binding `i`; where `repeats` is not 0, an argument has that many along
  /// an axis in front.
  Status checkBinding(size_t i, const TensorView& view, int64_t repeats) const;

  /// What argument or result `i` of one repetition takes.
  int64_t bytesOf(size_t i) const;

  /// The device that all of it is on.
  const Backend& backend() const { return *backend_; }

  /// Runs every record in order and stops at the first that fails. `arena` has arenaBytes(), `data`
  /// the first element of each binding, `live` the numbers that change from run to run.
  /// `seconds`, if not null, has a place for each record, to which its time is added. One thread at
  /// a time.
  Status run(void* arena, void* const* data, const double* live, double* seconds = nullptr) const;

  /// The same, always record by record.
  Status runAt(void* arena, void* const* data, const double* live, double* seconds) const;

  /// Where each value is; nullptr where there is no memory for that.
  std::unique_ptr<char*[]> place(void* arena, void* const* data) const;
  /// Records [first, end) over values at these places.
  Status runSteps(size_t first, size_t end, char* const* at, const double* live,
                  double* seconds) const;

  size_t stepCount() const { return steps_.size(); }
  bool isLive(size_t step) const { return steps_[step].live >= 0; }
  /// Where the device keeps what is launched; nullptr on others.
  const ProgramReplay* replay() const { return replay_.get(); }

 private:
  struct Value {
    int32_t binding;  // -1: in the arena
    int64_t offset;   // bytes from the arena's start or the binding's first element
    TensorView view;
  };
  struct Step {
    Op op;
    int32_t operands;  // index of its first value in operands_
    int32_t numbers;   // index of its first attribute in numbers_
    int32_t live;      // index of its first attribute among the live numbers, or -1
  };
  class Reader;

  Status parseBinding(Reader& reader);
  Status parseValue(Reader& reader);
  bool placeOperand(int32_t binding, bool onHost);
  Status parseStep(Reader& reader);
  Status checkReach(const Value& value) const;
  void fillAttributes(const Step& step, const double* from, OpCall* call) const;
  Status makeCall(const Step& step, const double* live, char* const* at, OpCall* call) const;
  Status runJoined(const OpCall& call, size_t first, size_t end, char* const* at,
                   const double* live, size_t* next) const;

  const Backend* backend_ = nullptr;
  std::unique_ptr<ProgramReplay> replay_;
  std::vector<Binding> bindings_;
  std::vector<Value> values_;
  std::vector<Step> steps_;
  std::vector<int32_t> operands_;
  std::vector<double> numbers_;
  size_t arenaBytes_ = 0;
  size_t liveCount_ = 0;
};

}  // namespace kindling

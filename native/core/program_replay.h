#pragma once
// How a program runs on a device that can keep what kernels launch (Backend::beginCapture):
// stretches of steps become graphs, each launched as one. The first run goes step by step; the
// second records. Steps with live numbers stay by themselves between the graphs, since a graph has
// its numbers in it. A graph also has its addresses in it, so arguments and results, which are
// other memory at each run, are copied to and from a place of the program's own.

#include <cstddef>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/storage.h"

namespace kindling {

class Program;

class ProgramReplay {
 public:
  explicit ProgramReplay(const Program& program) : program_(program) {}
  ~ProgramReplay();
  ProgramReplay(const ProgramReplay&) = delete;
  ProgramReplay& operator=(const ProgramReplay&) = delete;

  Status run(void* arena, void* const* data, const double* live);

  /// For tests: how many launches of graphs there were, and how many recordings.
  size_t launches() const { return launches_; }
  size_t recordings() const { return recordings_; }

 private:
  struct Stretch {
    size_t first, end;  // steps
    bool keeps;         // becomes a graph
    void* graph = nullptr;
  };

  Status prepare();
  void divide();
  Status moveArguments(void* const* data) const;
  Status moveResults(void* const* data) const;
  Status runStretch(Stretch& stretch, char* const* at, const double* live, bool record);
  Status record(Stretch& stretch, char* const* at, const double* live);

  static constexpr size_t kFewestSteps = 2;  // a launch of a graph costs about one of a kernel

  const Program& program_;
  size_t runs_ = 0, launches_ = 0, recordings_ = 0;
  bool isRefused_ = false;  // an op cannot be recorded: step by step, always
  std::vector<Stretch> stretches_;
  std::vector<void*> data_;      // what the graphs work on: one address for each binding
  std::vector<size_t> offsets_;  // of arguments and results in `own_`
  void* arena_ = nullptr;
  StorageRef own_;
};

}  // namespace kindling

// What the machine can do at most: multiply-adds in registers for cases that compute, copies of
// memory that no cache holds for cases that move.

#include <cstring>

#include "bench/cases.h"
#include "bench/contestant.h"
#include "bench/level.h"
#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/thread_pool.h"

namespace kindling::bench {

namespace {

const Level& activeLevel() {
#define KINDLING_FIND(isa) \
  if (activeIsa() == Isa::isa) return isa::kLevel;
  KINDLING_ISA_LEVELS(KINDLING_FIND)
#undef KINDLING_FIND
  return scalar::kLevel;
}

struct Spin {
  static constexpr int64_t kSteps = 20000;
  const Level* level;
  float sinks[256];
};

Job spinJob(int threads, bool isDouble) {
  const auto spin = std::make_shared<Spin>();
  spin->level = &activeLevel();
  memset(spin->sinks, 0, sizeof(spin->sinks));
  Job job;
  // Half as many doubles fit a vector.
  const double share = isDouble ? 0.5 : 1;
  job.work = share * spin->level->spinFma(Spin::kSteps, spin->sinks) * threads;
  job.run = [spin, threads] {
    parallelParts(
        threads,
        [](void* opaque, int part) {
          Spin& s = *static_cast<Spin*>(opaque);
          s.level->spinFma(Spin::kSteps, &s.sinks[part]);
        },
        spin.get());
  };
  return job;
}

class Copies {
 public:
  static constexpr size_t kBytes = 64 << 20;  // twice what caches hold

  explicit Copies(int parts)
      : parts_(parts),
        from_(static_cast<char*>(allocate(kBytes))),
        to_(static_cast<char*>(allocate(kBytes))) {
    if (ok()) memset(from_, 1, kBytes);
  }
  ~Copies() {
    if (from_) deallocate(from_, kBytes);
    if (to_) deallocate(to_, kBytes);
  }
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  bool ok() const { return from_ && to_; }
  void run() {
    parallelParts(
        parts_,
        [](void* opaque, int part) {
          Copies& c = *static_cast<Copies*>(opaque);
          const size_t each = kBytes / static_cast<size_t>(c.parts_);
          const size_t at = each * static_cast<size_t>(part);
          memcpy(c.to_ + at, c.from_ + at, each);
        },
        this);
  }

 private:
  int parts_;
  char *from_, *to_;
};

Job copyJob(int threads) {
  const auto copies = std::make_shared<Copies>(threads);
  if (!copies->ok()) return {};
  Job job;
  job.run = [copies] { copies->run(); };
  job.work = 2.0 * Copies::kBytes;  // read and written
  return job;
}

class Limits : public Contestant {
 public:
  std::string name() const override { return "limits"; }
  std::string version() const override { return "multiply-adds, memcpy"; }
  void setThreads(int threads) override {
    setNumThreads(threads);
    threads_ = threads;
  }
  Job make(const Spec& spec) override {
    return workOf(spec).isBytes ? copyJob(threads_) : spinJob(threads_, spec.number("f64") != 0);
  }

 private:
  int threads_ = 1;
};

}  // namespace

std::unique_ptr<Contestant> makeLimits() { return std::make_unique<Limits>(); }

}  // namespace kindling::bench

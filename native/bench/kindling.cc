// Kindling itself, by the entry that the addon uses: records of the op table.

#include "bench/contestant.h"
#include "bench/workload.h"
#include "core/backend.h"
#include "core/cpu_features.h"
#include "core/thread_pool.h"

namespace kindling::bench {

namespace {

class Kindling : public Contestant {
 public:
  std::string name() const override { return "kindling"; }
  std::string version() const override { return isaName(activeIsa()); }
  void setThreads(int threads) override { setNumThreads(threads); }

  Job make(const Spec& spec) override {
    const std::shared_ptr<Workload> workload = makeWorkload(spec, cpuBackend());
    if (!workload) return {};
    const auto good = std::make_shared<bool>(true);
    Job job;
    job.run = [workload, good] { *good &= workload->run(); };
    job.check = [workload] { return workload->check(); };
    job.succeeded = [good] { return *good; };
    return job;
  }
};

}  // namespace

std::unique_ptr<Contestant> makeKindling() { return std::make_unique<Kindling>(); }

}  // namespace kindling::bench

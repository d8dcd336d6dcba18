#include "bench/onednn.h"

#include <dlfcn.h>

#include <cstring>
#include <map>

#include "bench/fill.h"

namespace kindling::bench {

dnnl::memory OneDnnPlan::input(const Layout& plain, const Layout& layout, uint32_t salt,
                               double scale) {
  return valued(plain, layout, [&](int64_t i) { return scale * valueAt(i, salt); });
}

dnnl::memory OneDnnPlan::valued(const Layout& plain, const Layout& layout,
                                const std::function<double(int64_t)>& value) {
  dnnl::memory memory(plain, engine_);
  float* data = static_cast<float*>(memory.get_data_handle());
  const int64_t size = static_cast<int64_t>(plain.get_size() / sizeof(float));
  for (int64_t i = 0; i < size; ++i) data[i] = static_cast<float>(value(i));
  return reordered(memory, layout);
}

dnnl::memory OneDnnPlan::zeros(const Layout& layout) {
  dnnl::memory memory(layout, engine_);
  memset(memory.get_data_handle(), 0, layout.get_size());
  return memory;
}

dnnl::memory OneDnnPlan::reordered(const dnnl::memory& from, const Layout& layout) {
  if (from.get_desc() == layout) return from;
  dnnl::memory source = from, to(layout, engine_);
  dnnl::reorder(source, to).execute(stream_, source, to);
  stream_.wait();
  return to;
}

void OneDnnPlan::prepare() {
  run();
  steps_.clear();
}

void OneDnnPlan::result(const std::string& name, const dnnl::memory& memory, const Layout& plain,
                        int64_t count) {
  results_.push_back({name, memory, plain, count});
}

void OneDnnPlan::run() {
  for (const Step& step : steps_) step.primitive.execute(stream_, step.arguments);
  stream_.wait();
}

std::vector<Checksum> OneDnnPlan::check() {
  std::vector<Checksum> checks;
  for (const Result& result : results_) {
    const dnnl::memory plain = reordered(result.memory, result.plain);
    const int64_t size = static_cast<int64_t>(result.plain.get_size() / sizeof(float));
    checks.push_back(checksumOf(result.name, static_cast<const float*>(plain.get_data_handle()),
                                result.count ? result.count : size));
  }
  return checks;
}

namespace {

/// Plain layouts: a reordered weight would have to be paid for at every step of a training.
Job gemmJob(const Spec& spec) {
  struct Operands {
    std::vector<float> a, b, c;
  };
  const int64_t m = spec.number("m"), n = spec.number("n"), k = spec.number("k");
  const bool ta = spec.number("ta") != 0, tb = spec.number("tb") != 0;
  const auto x = std::make_shared<Operands>();
  x->a.resize(static_cast<size_t>(m * k));
  x->b.resize(static_cast<size_t>(k * n));
  x->c.resize(static_cast<size_t>(m * n));
  fill(x->a.data(), m * k, 1, 1);
  fill(x->b.data(), k * n, 2, 1);
  Job job;
  job.run = [x, m, n, k, ta, tb] {
    dnnl::sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, x->a.data(), ta ? m : k, x->b.data(),
                tb ? k : n, 0, x->c.data(), n);
  };
  job.check = [x, m, n]() -> std::vector<Checksum> {
    return {checksumOf("c", x->c.data(), m * n)};
  };
  return job;
}

using Build = void (*)(const Spec&, OneDnnPlan*);
using Builders = std::map<std::string, Build>;

class OneDnn : public Contestant {
 public:
  OneDnn(std::string name, Builders builders)
      : name_(std::move(name)), builders_(std::move(builders)) {}

  std::string name() const override { return name_; }
  std::string version() const override {
    const dnnl::version_t* v = dnnl::version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }
  void setThreads(int threads) override {
    // Of the OpenMP that oneDNN is linked with, whichever that is.
    const auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
    if (set) set(threads);
  }

  Job make(const Spec& spec) override {
    const auto found = builders_.find(spec.kind());
    if (found == builders_.end()) return {};
    if (!found->second) return spec.number("f64") ? Job() : gemmJob(spec);
    const auto plan = std::make_shared<OneDnnPlan>();
    found->second(spec, plan.get());
    Job job;
    job.run = [plan] { plan->run(); };
    job.check = [plan] { return plan->check(); };
    return job;
  }

 private:
  std::string name_;
  Builders builders_;  // null: no primitive, but the function for matrix products
};

}  // namespace

std::unique_ptr<Contestant> findOneDnn() {
  return std::make_unique<OneDnn>("onednn", Builders{{"matmul", nullptr},
                                                     {"conv", planConv},
                                                     {"lstm", planLstm},
                                                     {"gru", planGru},
                                                     {"add", planElementwise},
                                                     {"relu", planElementwise},
                                                     {"exp", planElementwise},
                                                     {"tanh", planElementwise},
                                                     {"sum", planElementwise},
                                                     {"softmax", planSoftmax},
                                                     {"layerNorm", planLayerNorm},
                                                     {"maxPool", planMaxPool}});
}

std::unique_ptr<Contestant> findOneDnnAuto() {
  return std::make_unique<OneDnn>("onednn-auto", Builders{{"conv", planConvAuto}});
}

}  // namespace kindling::bench

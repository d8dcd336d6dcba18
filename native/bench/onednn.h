#pragma once
// oneDNN as a yardstick (version 2), with operands in the layouts that it prefers: reordering into
// them is done before anything is measured.

#include <functional>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/contestant.h"

namespace kindling::bench {

using Dims = dnnl::memory::dims;
using Layout = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

/// float32.
inline Layout layoutOf(const Dims& dims, Tag tag) {
  return Layout(dims, dnnl::memory::data_type::f32, tag);
}

/// The primitives of a case and their memory.
class OneDnnPlan {
 public:
  OneDnnPlan() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

  const dnnl::engine& engine() const { return engine_; }

  /// An operand (see fill.h) whose elements are numbered in the order of `plain`, in another
  /// layout.
  dnnl::memory input(const Layout& plain, const Layout& layout, uint32_t salt, double scale = 1);
  dnnl::memory input(const Layout& plain, uint32_t salt, double scale = 1) {
    return input(plain, plain, salt, scale);
  }
  /// The same with a value for each position in `plain`.
  dnnl::memory valued(const Layout& plain, const Layout& layout,
                      const std::function<double(int64_t)>& value);
  dnnl::memory zeros(const Layout& layout);
  dnnl::memory reordered(const dnnl::memory& from, const Layout& layout);

  using Arguments = std::unordered_map<int, dnnl::memory>;
  void step(const dnnl::primitive& primitive, const Arguments& arguments) {
    steps_.push_back({primitive, arguments});
  }
  /// Runs what has been added so far, once: what it leaves is an operand of the steps to come.
  void prepare();

  /// Takes part in the check; of `count` elements only the first in the order of `plain` (0: all).
  void result(const std::string& name, const dnnl::memory& memory, const Layout& plain,
              int64_t count = 0);

  void run();
  std::vector<Checksum> check();

 private:
  struct Step {
    dnnl::primitive primitive;
    Arguments arguments;
  };
  struct Result {
    std::string name;
    dnnl::memory memory;
    Layout plain;
    int64_t count;
  };
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<Step> steps_;
  std::vector<Result> results_;
};

// One for each kind of work.
void planConv(const Spec& spec, OneDnnPlan* plan);
void planConvAuto(const Spec& spec, OneDnnPlan* plan);
void planLstm(const Spec& spec, OneDnnPlan* plan);
void planGru(const Spec& spec, OneDnnPlan* plan);
void planElementwise(const Spec& spec, OneDnnPlan* plan);
void planSoftmax(const Spec& spec, OneDnnPlan* plan);
void planLayerNorm(const Spec& spec, OneDnnPlan* plan);
void planMaxPool(const Spec& spec, OneDnnPlan* plan);

}  // namespace kindling::bench

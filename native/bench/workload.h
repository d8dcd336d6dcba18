#pragma once
// A case as Kindling runs it: records for the core's op table and the memory that they work on.

#include <memory>
#include <utility>
#include <vector>

#include "bench/contestant.h"
#include "core/backend.h"

namespace kindling::bench {

using Shape = std::vector<int64_t>;

class Workload {
 public:
  explicit Workload(const Backend& backend) : backend_(backend) {}
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  /// An operand (see fill.h).
  TensorView input(const Shape& shape, uint32_t salt, double scale = 1,
                   DType dtype = DType::float32);
  TensorView index(int64_t size, uint32_t salt, int64_t below);
  TensorView constant(const Shape& shape, double value, DType dtype = DType::float32);
  /// Where an op writes; NaN before, so that what was not written shows.
  TensorView output(const Shape& shape, DType dtype = DType::float32);

  /// Adds a record. Every run executes all of them, in this order.
  void op(Op op, const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
          const std::vector<int32_t>& ints = {}, const std::vector<double>& floats = {});
  /// The same, with its one result.
  TensorView made(Op op, const std::vector<TensorView>& inputs, const Shape& shape,
                  const std::vector<int32_t>& ints = {}, const std::vector<double>& floats = {},
                  DType dtype = DType::float32);

  /// Forgets the records: what they have computed is an operand of those to come.
  void clearOps() { calls_.clear(); }

  /// Takes part in the check.
  void result(const char* name, const TensorView& view) { results_.push_back({name, view}); }
  const std::vector<std::pair<std::string, TensorView>>& results() const { return results_; }

  /// Whether all records succeeded.
  bool run();
  std::vector<Checksum> check() const;

 private:
  TensorView allocateView(const Shape& shape, DType dtype);

  const Backend& backend_;
  std::vector<std::pair<void*, size_t>> memory_;
  std::vector<OpCall> calls_;
  std::vector<std::pair<std::string, TensorView>> results_;
};

/// Contiguous, over memory of somebody else.
TensorView viewOf(void* data, DType dtype, const Shape& shape);
/// With its last two axes swapped.
TensorView transposed(TensorView view);

/// Empty where Kindling has no such operation.
std::shared_ptr<Workload> makeWorkload(const Spec& spec, const Backend& backend);

// One for each kind of work; makeWorkload() chooses.
void buildMatmul(const Spec& spec, Workload* w);
void buildConv(const Spec& spec, Workload* w);
void buildRecurrent(const Spec& spec, Workload* w);
void buildAttention(const Spec& spec, Workload* w);
void buildElementwise(const Spec& spec, Workload* w);
void buildSoftmax(const Spec& spec, Workload* w);
void buildLayerNorm(const Spec& spec, Workload* w);
void buildAdam(const Spec& spec, Workload* w);
void buildDropout(const Spec& spec, Workload* w);
void buildMaxPool(const Spec& spec, Workload* w);
void buildEmbedding(const Spec& spec, Workload* w);

}  // namespace kindling::bench

#include "bench/workload.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>

#include "bench/fill.h"
#include "core/execute.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace kindling::bench {

TensorView viewOf(void* data, DType dtype, const Shape& shape) {
  TensorView view = {};
  view.data = data;
  view.dtype = dtype;
  view.rank = static_cast<int32_t>(shape.size());
  view.contiguous = true;
  view.size = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    view.shape[axis] = shape[static_cast<size_t>(axis)];
    view.strides[axis] = view.size;
    view.size *= view.shape[axis];
  }
  return view;
}

TensorView transposed(TensorView view) {
  std::swap(view.shape[view.rank - 2], view.shape[view.rank - 1]);
  std::swap(view.strides[view.rank - 2], view.strides[view.rank - 1]);
  view.contiguous = false;
  return view;
}

Workload::~Workload() {
  for (const auto& [data, bytes] : memory_) backend_.deallocate(backend_.device, data, bytes);
}

TensorView Workload::allocateView(const Shape& shape, DType dtype) {
  TensorView view = viewOf(nullptr, dtype, shape);
  const size_t bytes = static_cast<size_t>(view.size * kDTypeBytes[static_cast<int>(dtype)]);
  view.data = backend_.allocate(backend_.device, bytes);
  if (!view.data) {
    fprintf(stderr, "kindling_bench: out of memory\n");
    exit(1);
  }
  memory_.emplace_back(view.data, bytes);
  return view;
}

TensorView Workload::input(const Shape& shape, uint32_t salt, double scale, DType dtype) {
  const TensorView view = allocateView(shape, dtype);
  if (dtype == DType::float64) {
    fill(static_cast<double*>(view.data), view.size, salt, scale);
  } else {
    fill(static_cast<float*>(view.data), view.size, salt, scale);
  }
  return view;
}

TensorView Workload::index(int64_t size, uint32_t salt, int64_t below) {
  const TensorView view = allocateView({size}, DType::int32);
  int32_t* data = static_cast<int32_t*>(view.data);
  for (int64_t i = 0; i < size; ++i) data[i] = indexAt(i, salt, below);
  return view;
}

TensorView Workload::constant(const Shape& shape, double value, DType dtype) {
  const TensorView view = allocateView(shape, dtype);
  for (int64_t i = 0; i < view.size; ++i) {
    if (dtype == DType::int32) {
      static_cast<int32_t*>(view.data)[i] = static_cast<int32_t>(value);
    } else if (dtype == DType::float64) {
      static_cast<double*>(view.data)[i] = value;
    } else {
      static_cast<float*>(view.data)[i] = static_cast<float>(value);
    }
  }
  return view;
}

TensorView Workload::output(const Shape& shape, DType dtype) {
  if (dtype == DType::boolean) return allocateView(shape, dtype);
  return constant(shape, dtype == DType::int32 ? -1 : std::numeric_limits<double>::quiet_NaN(),
                  dtype);
}

void Workload::op(Op op, const std::vector<TensorView>& inputs,
                  const std::vector<TensorView>& outputs, const std::vector<int32_t>& ints,
                  const std::vector<double>& floats) {
  OpCall call = {};
  call.op = op;
  for (size_t i = 0; i < inputs.size(); ++i) call.inputs[i] = inputs[i];
  for (size_t i = 0; i < outputs.size(); ++i) call.outputs[i] = outputs[i];
  for (size_t i = 0; i < ints.size(); ++i) call.ints[i] = ints[i];
  for (size_t i = 0; i < floats.size(); ++i) call.floats[i] = floats[i];
  calls_.push_back(call);
}

TensorView Workload::made(Op op, const std::vector<TensorView>& inputs, const Shape& shape,
                          const std::vector<int32_t>& ints, const std::vector<double>& floats,
                          DType dtype) {
  const TensorView out = output(shape, dtype);
  this->op(op, inputs, {out}, ints, floats);
  return out;
}

bool Workload::run() {
  for (const OpCall& call : calls_) {
    if (execute(backend_, call) != Status::ok) return false;
  }
  return true;
}

std::vector<Checksum> Workload::check() const {
  std::vector<Checksum> checks;
  for (const auto& [name, view] : results_) {
    checks.push_back(view.dtype == DType::float64
                         ? checksumOf(name, static_cast<const double*>(view.data), view.size)
                         : checksumOf(name, static_cast<const float*>(view.data), view.size));
  }
  return checks;
}

std::shared_ptr<Workload> makeWorkload(const Spec& spec, const Backend& backend) {
  using Build = void (*)(const Spec&, Workload*);
  static const std::map<std::string, Build> builders = {
      {"matmul", buildMatmul},       {"conv", buildConv},        {"lstm", buildRecurrent},
      {"gru", buildRecurrent},       {"add", buildElementwise},  {"relu", buildElementwise},
      {"exp", buildElementwise},     {"tanh", buildElementwise}, {"sum", buildElementwise},
      {"attention", buildAttention}, {"softmax", buildSoftmax},  {"adam", buildAdam},
      {"layerNorm", buildLayerNorm}, {"dropout", buildDropout},  {"maxPool", buildMaxPool},
      {"embedding", buildEmbedding}};
  const auto found = builders.find(spec.kind());
  if (found == builders.end()) return nullptr;
  const auto workload = std::make_shared<Workload>(backend);
  found->second(spec, workload.get());
  return workload;
}

}  // namespace kindling::bench

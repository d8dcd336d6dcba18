#pragma once
// Runs an op on the emulated device and on the CPU and compares. The kernels on the device see
// tensors that lie as the ones of the host do: the same strides, in memory that is exactly as
// large.

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/execute.h"
#include "cuda/api.h"
#include "op_testing.h"

namespace kindling {
namespace testing {

/// |device - cpu| <= absolute + relative · |cpu|, or both the same infinity or NaN.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

/// For sums in another order of values around 1.
constexpr Tolerance kFloatTolerance = {2e-5, 2e-5};
constexpr Tolerance kExact = {0, 0};

inline const CudaApi& cudaApi() {
  static const CudaApi& api = *kindlingCudaApi();
  return api;
}

/// The backend of an emulated device; start() has been called.
inline const Backend& cudaBackend(int32_t device = 0) {
  static int32_t count = [] {
    int32_t found = 0;
    // The tests share the core's messages with the library, so nothing needs to be passed on.
    const CudaState state = cudaApi().start([](const char*) {}, &found);
    REQUIRE(state == CudaState::ready);
    return found;
  }();
  REQUIRE(device < count);
  const Backend* const backend = cudaApi().backend(device);
  REQUIRE_MESSAGE(backend != nullptr, std::string(lastErrorMessage()));
  return *backend;
}

/// Compute capability 8.0 and above: TF32 and 16-bit products. Others round nothing.
inline bool hasTensorCores() {
  cudaBackend();
  CudaDeviceInfo info;
  REQUIRE(cudaApi().describe(0, &info) == Status::ok);
  return info.major >= 8;
}

/// The bytes that a view's elements span, and where its first element is in them.
struct Span {
  int64_t low = 0, bytes = 0;  // low <= 0: from the first element
};
inline Span spanOf(const TensorView& view) {
  const int64_t width = kDTypeBytes[static_cast<int>(view.dtype)];
  if (view.size == 0) return {};
  int64_t low = 0, high = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t reach = (view.shape[axis] - 1) * view.strides[axis];
    (reach < 0 ? low : high) += reach;
  }
  return {low * width, (high - low + 1) * width};
}

/// A copy of a host tensor on the device, with the same layout.
class OnDevice {
 public:
  OnDevice(const Backend& backend, const TensorView& host, bool withContents)
      : backend_(backend), host_(host), view_(host), span_(spanOf(host)) {
    const size_t bytes = static_cast<size_t>(span_.bytes);
    data_ = static_cast<char*>(backend_.allocate(backend_.device, bytes));
    REQUIRE((data_ != nullptr || bytes == 0));
    view_.data = data_ == nullptr ? nullptr : data_ - span_.low;
    if (!withContents || bytes == 0) return;
    const Status status = backend_.copyFromHost(backend_.device, data_, hostLow(), bytes);
    REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
  }
  ~OnDevice() {
    if (data_ != nullptr) {
      backend_.deallocate(backend_.device, data_, static_cast<size_t>(span_.bytes));
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  const TensorView& view() const { return view_; }

  /// Copies the contents over the host tensor's.
  Status fetch() const {
    if (span_.bytes == 0) return Status::ok;
    return backend_.copyToHost(backend_.device, hostLow(), data_, static_cast<size_t>(span_.bytes));
  }

 private:
  char* hostLow() const { return static_cast<char*>(host_.data) + span_.low; }

  const Backend& backend_;
  TensorView host_, view_;
  Span span_;
  char* data_ = nullptr;
};

/// A tensor of its own with the same layout and contents.
inline TestTensor copyOf(const TestTensor& source) {
  TestTensor copy = TestTensor(source.dtype(), source.shape());
  for (int64_t i = 0; i < source.size(); ++i) copy.set(i, source.at(i));
  return copy;
}

/// An op record of host tensors.
inline OpCall recordOf(Op op, const std::vector<TestTensor>& inputs,
                       const std::vector<TestTensor>& outputs, const std::vector<int32_t>& ints,
                       const std::vector<double>& floats) {
  OpCall call = {};
  call.op = op;
  for (size_t i = 0; i < inputs.size(); ++i) call.inputs[i] = inputs[i].view();
  for (size_t i = 0; i < outputs.size(); ++i) call.outputs[i] = outputs[i].view();
  for (size_t i = 0; i < ints.size(); ++i) call.ints[i] = ints[i];
  for (size_t i = 0; i < floats.size(); ++i) call.floats[i] = floats[i];
  return call;
}

/// Runs an op on the emulated device: inputs go there, outputs and (for in-place ops) the inputs
/// come back. `hostInputs` has a bit for each input whose elements the host reads.
inline Status runOnDevice(Op op, const std::vector<TestTensor>& inputs,
                          const std::vector<TestTensor>& outputs,
                          const std::vector<int32_t>& ints = {},
                          const std::vector<double>& floats = {}, unsigned hostInputs = 0,
                          int32_t device = 0) {
  const Backend& backend = cudaBackend(device);
  OpCall call = recordOf(op, inputs, outputs, ints, floats);
  std::vector<std::unique_ptr<OnDevice>> there;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (hostInputs >> i & 1) continue;
    there.push_back(std::make_unique<OnDevice>(backend, inputs[i].view(), true));
    call.inputs[i] = there.back()->view();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    there.push_back(std::make_unique<OnDevice>(backend, outputs[i].view(), false));
    call.outputs[i] = there.back()->view();
  }
  Status status = validate(call);
  if (status == Status::ok) {
    REQUIRE_MESSAGE((backend.kernels[static_cast<int>(op)] != nullptr), "no CUDA kernel for ",
                    nameOf(op));
    status = runKernel(backend, call);
  }
  if (status == Status::ok) status = backend.synchronize(backend.device);
  for (const auto& tensor : there) {
    if (status == Status::ok) status = tensor->fetch();
  }
  return status;
}

/// Requires each element of `actual` to be as `expected`, which must have no NaN that it should
/// not: the message names the first element that differs and how many do.
inline void requireClose(const std::string& what, const TestTensor& actual,
                         const TestTensor& expected, Tolerance tolerance) {
  REQUIRE(actual.size() == expected.size());
  int64_t wrong = 0, first = -1;
  double worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double a = actual.at(i), e = expected.at(i);
    if (a == e || (a != a && e != e)) continue;
    const double error = std::fabs(a - e);
    // A NaN or infinity on one side makes the comparison false, hence wrong.
    if (error <= tolerance.absolute + tolerance.relative * std::fabs(e) && std::isfinite(e)) {
      continue;
    }
    if (first < 0) first = i;
    if (!(error <= worst)) worst = error;
    ++wrong;
  }
  CHECK_MESSAGE(wrong == 0, what, ": ", wrong, " of ", expected.size(),
                " elements differ; element ", first, " is ", first < 0 ? 0 : actual.at(first),
                ", not ", first < 0 ? 0 : expected.at(first), "; the largest difference is ",
                worst);
}

struct CompareOptions {
  unsigned hostInputs = 0;   // see runOnDevice()
  unsigned skipOutputs = 0;  // a bit for each output whose elements are not compared
  int inPlace = 0;           // so many first inputs are written and compared
};

/// Runs an op on the CPU and on the emulated device, and requires the same status and, within
/// `tolerance`, the same outputs. `outputs` give dtypes and shapes.
inline void compare(Op op, const std::vector<TestTensor>& inputs,
                    const std::vector<TestTensor>& outputs, const std::vector<int32_t>& ints = {},
                    const std::vector<double>& floats = {}, Tolerance tolerance = kFloatTolerance,
                    CompareOptions options = {}) {
  std::vector<TestTensor> deviceInputs = inputs, deviceOutputs;
  std::vector<TestTensor> cpuInputs = inputs, cpuOutputs;
  for (int i = 0; i < options.inPlace; ++i) {
    deviceInputs[static_cast<size_t>(i)] = copyOf(inputs[static_cast<size_t>(i)]);
    cpuInputs[static_cast<size_t>(i)] = copyOf(inputs[static_cast<size_t>(i)]);
  }
  for (const TestTensor& output : outputs) {
    deviceOutputs.emplace_back(output.dtype(), output.shape());
    cpuOutputs.emplace_back(output.dtype(), output.shape());
  }
  const std::string name = nameOf(op);
  const OpCall call = recordOf(op, cpuInputs, cpuOutputs, ints, floats);
  const Status expected = execute(cpuBackend(), call);
  const std::string expectedMessage = expected == Status::ok ? "" : lastErrorMessage();
  const Status status =
      runOnDevice(op, deviceInputs, deviceOutputs, ints, floats, options.hostInputs);
  const std::string message = status == Status::ok ? "" : lastErrorMessage();
  REQUIRE_MESSAGE(status == expected, name, " on the device: ", message,
                  "; on the CPU: ", expectedMessage);
  CHECK(message == expectedMessage);
  if (status != Status::ok) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (options.skipOutputs >> i & 1) continue;
    requireClose(name + ", output " + std::to_string(i), deviceOutputs[i], cpuOutputs[i],
                 tolerance);
  }
  for (int i = 0; i < options.inPlace; ++i) {
    requireClose(name + ", input " + std::to_string(i), deviceInputs[static_cast<size_t>(i)],
                 cpuInputs[static_cast<size_t>(i)], tolerance);
  }
}

}  // namespace testing
}  // namespace kindling

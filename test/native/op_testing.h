#pragma once
// Helpers of the kernel tests: tensors of any layout, and every ISA level that this CPU can run.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cpu_features.h"
#include "core/execute.h"
#include "core/op_info.h"
#include "core/thread_pool.h"
#include "cpu/portable/portable.h"
#include "cpu/random.h"
#include "doctest/doctest.h"

namespace kindling {

#define KINDLING_DECLARE(isa)        \
  namespace isa {                    \
  void fillKernels(Kernel* kernels); \
  }
KINDLING_ISA_LEVELS(KINDLING_DECLARE)
#undef KINDLING_DECLARE

namespace testing {

using Shape = std::vector<int64_t>;

/// IEEE binary16 and bfloat16 as numbers, one element at a time.
inline double halfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double value =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 31) value = mantissa == 0 ? HUGE_VAL : std::nan("");
  return bits >> 15 ? -value : value;
}
inline uint16_t halfBits(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (value != value) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  int exponent;
  std::frexp(size, &exponent);
  if (exponent < -13) exponent = -13;
  const int digits = static_cast<int>(std::nearbyint(std::ldexp(size, 11 - exponent)));
  return static_cast<uint16_t>(sign | (digits < 1024 ? digits : ((exponent + 13) << 10) + digits));
}
inline double brainValue(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return static_cast<double>(value);
}
inline uint16_t brainBits(double value) {
  const float single = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &single, 4);
  if (single != single) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline int64_t elementCount(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

/// A view and a share of the memory under it. The memory is exactly as large as the elements need,
/// so that AddressSanitizer sees every step outside.
class TestTensor {
 public:
  /// Contiguous; every byte is 0xcd, so that an element nobody wrote shows.
  TestTensor(DType dtype, const Shape& shape) {
    const int64_t count = elementCount(shape);
    const size_t bytes = static_cast<size_t>(count) * kDTypeBytes[static_cast<int>(dtype)];
    memory_ = std::shared_ptr<void>(std::malloc(bytes ? bytes : 1), std::free);
    if (bytes) std::memset(memory_.get(), 0xcd, bytes);
    view_.data = memory_.get();
    view_.dtype = dtype;
    setShape(shape);
    int64_t stride = 1;
    for (int axis = view_.rank - 1; axis >= 0; --axis) {
      view_.strides[axis] = stride;
      stride *= view_.shape[axis];
    }
    view_.contiguous = true;
  }

  /// Contiguous, element i (row-major) is value(i).
  static TestTensor generate(DType dtype, const Shape& shape,
                             const std::function<double(int64_t)>& value) {
    TestTensor tensor(dtype, shape);
    for (int64_t i = 0; i < tensor.size(); ++i) tensor.set(i, value(i));
    return tensor;
  }

  static TestTensor from(DType dtype, const Shape& shape, const std::vector<double>& values) {
    REQUIRE(static_cast<int64_t>(values.size()) == elementCount(shape));
    return generate(dtype, shape, [&](int64_t i) { return values[static_cast<size_t>(i)]; });
  }

  static TestTensor floats(const Shape& shape, const std::vector<double>& values) {
    return from(DType::float32, shape, values);
  }
  static TestTensor ints(const Shape& shape, const std::vector<double>& values) {
    return from(DType::int32, shape, values);
  }
  static TestTensor bools(const Shape& shape, const std::vector<double>& values) {
    return from(DType::boolean, shape, values);
  }

  /// A view of memory that somebody else has laid out.
  static TestTensor over(std::shared_ptr<void> memory, const TensorView& view) {
    TestTensor tensor(view.dtype, {0});
    tensor.memory_ = std::move(memory);
    tensor.view_ = view;
    return tensor;
  }

  const TensorView& view() const { return view_; }
  int64_t size() const { return view_.size; }
  DType dtype() const { return view_.dtype; }
  Shape shape() const { return Shape(view_.shape, view_.shape + view_.rank); }
  float* floatData() const { return static_cast<float*>(view_.data); }

  /// Element i in row-major order of the view.
  double at(int64_t i) const {
    const int64_t offset = offsetOf(i);
    switch (view_.dtype) {
      case DType::float32:
        return static_cast<const float*>(view_.data)[offset];
      case DType::int32:
        return static_cast<const int32_t*>(view_.data)[offset];
      case DType::float64:
        return static_cast<const double*>(view_.data)[offset];
      case DType::int64:
        return static_cast<double>(static_cast<const int64_t*>(view_.data)[offset]);
      case DType::float16:
        return halfValue(static_cast<const uint16_t*>(view_.data)[offset]);
      case DType::bfloat16:
        return brainValue(static_cast<const uint16_t*>(view_.data)[offset]);
      default:
        return static_cast<const uint8_t*>(view_.data)[offset];
    }
  }

  void set(int64_t i, double value) const {
    const int64_t offset = offsetOf(i);
    switch (view_.dtype) {
      case DType::float32:
        static_cast<float*>(view_.data)[offset] = static_cast<float>(value);
        break;
      case DType::int32:
        static_cast<int32_t*>(view_.data)[offset] = static_cast<int32_t>(value);
        break;
      case DType::float64:
        static_cast<double*>(view_.data)[offset] = value;
        break;
      case DType::int64:
        static_cast<int64_t*>(view_.data)[offset] = static_cast<int64_t>(value);
        break;
      case DType::float16:
        static_cast<uint16_t*>(view_.data)[offset] = halfBits(value);
        break;
      case DType::bfloat16:
        static_cast<uint16_t*>(view_.data)[offset] = brainBits(value);
        break;
      case DType::uint8:
        static_cast<uint8_t*>(view_.data)[offset] = static_cast<uint8_t>(value);
        break;
      default:
        static_cast<uint8_t*>(view_.data)[offset] = value != 0;
    }
  }

  std::vector<double> values() const {
    std::vector<double> result;
    for (int64_t i = 0; i < size(); ++i) result.push_back(at(i));
    return result;
  }

  /// The elements of a tensor of the same shape and dtype, whatever the layouts; bit by bit.
  void copyFrom(const TestTensor& other) const {
    const int64_t width = kDTypeBytes[static_cast<int>(view_.dtype)];
    const char* from = static_cast<const char*>(other.view_.data);
    char* to = static_cast<char*>(view_.data);
    for (int64_t i = 0; i < size(); ++i) {
      std::memcpy(to + offsetOf(i) * width, from + other.offsetOf(i) * width,
                  static_cast<size_t>(width));
    }
  }
  /// A contiguous copy.
  TestTensor cloned() const {
    const TestTensor result(dtype(), shape());
    result.copyFrom(*this);
    return result;
  }

  TestTensor transposed(int a, int b) const {
    TestTensor result = *this;
    std::swap(result.view_.shape[a], result.view_.shape[b]);
    std::swap(result.view_.strides[a], result.view_.strides[b]);
    return result.checkContiguity();
  }

  /// Elements start, start + step, ... of one axis; `step` may be negative.
  TestTensor sliced(int axis, int64_t start, int64_t count, int64_t step = 1) const {
    TestTensor result = *this;
    TensorView& view = result.view_;
    const int64_t bytes = kDTypeBytes[static_cast<int>(view.dtype)];
    view.data = static_cast<char*>(view.data) + start * view.strides[axis] * bytes;
    view.strides[axis] *= step;
    view.shape[axis] = count;
    result.setShape(result.shape());
    return result.checkContiguity();
  }

  TestTensor flipped(int axis) const {
    const int64_t extent = view_.shape[axis];
    return extent == 0 ? *this : sliced(axis, extent - 1, extent, -1);
  }

  /// Broadcast to `shape`: stride 0 where an axis is repeated.
  TestTensor expanded(const Shape& shape) const {
    TestTensor result = *this;
    result.setShape(shape);
    const int missing = result.view_.rank - view_.rank;
    for (int axis = 0; axis < result.view_.rank; ++axis) {
      const int own = axis - missing;
      const bool repeated = own < 0 || (view_.shape[own] == 1 && result.view_.shape[axis] != 1);
      result.view_.strides[axis] = repeated ? 0 : view_.strides[own];
    }
    return result.checkContiguity();
  }

 private:
  void setShape(const Shape& shape) {
    REQUIRE(shape.size() <= static_cast<size_t>(kMaxRank));
    view_.rank = static_cast<int32_t>(shape.size());
    view_.size = elementCount(shape);
    for (int axis = 0; axis < kMaxRank; ++axis) {
      view_.shape[axis] = axis < view_.rank ? shape[static_cast<size_t>(axis)] : 0;
      if (axis >= view_.rank) view_.strides[axis] = 0;
    }
  }

  TestTensor& checkContiguity() {
    int64_t stride = 1;
    view_.contiguous = true;
    for (int axis = view_.rank - 1; axis >= 0; --axis) {
      if (view_.shape[axis] != 1 && view_.strides[axis] != stride) view_.contiguous = false;
      stride *= view_.shape[axis];
    }
    if (view_.size == 0) view_.contiguous = true;
    return *this;
  }

  int64_t offsetOf(int64_t i) const {
    int64_t offset = 0;
    for (int axis = view_.rank - 1; axis >= 0; --axis) {
      offset += i % view_.shape[axis] * view_.strides[axis];
      i /= view_.shape[axis];
    }
    return offset;
  }

  std::shared_ptr<void> memory_;
  TensorView view_ = {};
};

struct NamedTensor {
  std::string layout;
  TestTensor tensor;
};

/// The same values in every kind of memory layout.
inline std::vector<NamedTensor> inEveryLayout(const TestTensor& source) {
  const Shape shape = source.shape();
  const int rank = static_cast<int>(shape.size());
  const auto filled = [&](const TestTensor& target) {
    for (int64_t i = 0; i < source.size(); ++i) target.set(i, source.at(i));
    return target;
  };
  std::vector<NamedTensor> result = {{"contiguous", filled(TestTensor(source.dtype(), shape))}};
  if (rank == 0) return result;

  TestTensor reversed(source.dtype(), Shape(shape.rbegin(), shape.rend()));
  for (int axis = 0; axis < rank / 2; ++axis) reversed = reversed.transposed(axis, rank - 1 - axis);
  result.push_back({"axes reversed", filled(reversed)});

  Shape stepped = shape;
  stepped.back() = shape.back() * 2 + 1;
  result.push_back(
      {"every other element",
       filled(TestTensor(source.dtype(), stepped).sliced(rank - 1, 1, shape.back(), 2))});

  Shape padded = shape;
  padded.back() += 3;
  result.push_back({"padded rows",
                    filled(TestTensor(source.dtype(), padded).sliced(rank - 1, 1, shape.back()))});

  TestTensor backwards(source.dtype(), shape);
  for (int axis = 0; axis < rank; ++axis) backwards = backwards.flipped(axis);
  result.push_back({"backwards", filled(backwards)});

  if (rank >= 2) {
    Shape swapped = shape;
    std::swap(swapped[0], swapped[1]);
    result.push_back(
        {"leading axes swapped", filled(TestTensor(source.dtype(), swapped).transposed(0, 1))});
  }
  return result;
}

/// The kernel table of one ISA level.
struct IsaLevel {
  Isa isa;
  Kernel kernels[kOpCount];
};

inline const std::vector<IsaLevel>& isaLevels() {
  static const std::vector<IsaLevel> levels = [] {
    std::vector<IsaLevel> found;
    const auto add = [&](Isa isa, void (*fill)(Kernel*)) {
      if (static_cast<int>(isa) > static_cast<int>(detectedIsa())) return;
      IsaLevel level = {isa, {}};
      fill(level.kernels);
      level.kernels[static_cast<int>(Op::randomUniform)] = randomUniform;
      level.kernels[static_cast<int>(Op::randomNormal)] = randomNormal;
      level.kernels[static_cast<int>(Op::randomBernoulli)] = randomBernoulli;
      registerGather(level.kernels);
      registerScan(level.kernels);
      registerSort(level.kernels);
      found.push_back(level);
    };
#define KINDLING_ADD(isa) add(Isa::isa, isa::fillKernels);
    KINDLING_ISA_LEVELS(KINDLING_ADD)
#undef KINDLING_ADD
    return found;
  }();
  return levels;
}

inline std::string nameOf(Op op) { return opInfo(op).name; }
inline std::string nameOf(const IsaLevel& level) { return isaName(level.isa); }

/// Checks the record as eager execution does and runs the level's kernel.
inline Status run(const IsaLevel& level, Op op, const std::vector<TestTensor>& inputs,
                  const std::vector<TestTensor>& outputs, const std::vector<int32_t>& ints = {},
                  const std::vector<double>& floats = {}) {
  OpCall call = {};
  call.op = op;
  for (size_t i = 0; i < inputs.size(); ++i) call.inputs[i] = inputs[i].view();
  for (size_t i = 0; i < outputs.size(); ++i) call.outputs[i] = outputs[i].view();
  for (size_t i = 0; i < ints.size(); ++i) call.ints[i] = ints[i];
  for (size_t i = 0; i < floats.size(); ++i) call.floats[i] = floats[i];
  Status valid = validate(call);
  if (valid == Status::ok) valid = validateValues(call);
  if (valid != Status::ok) return valid;
  const Kernel kernel = level.kernels[static_cast<int>(op)];
  REQUIRE_MESSAGE((kernel != nullptr), "no kernel for ", nameOf(op));
  return kernel(call);
}

/// The one output of an op that must succeed.
inline TestTensor runOp(const IsaLevel& level, Op op, const std::vector<TestTensor>& inputs,
                        DType dtype, const Shape& shape, const std::vector<int32_t>& ints = {},
                        const std::vector<double>& floats = {}) {
  const TestTensor output(dtype, shape);
  const Status status = run(level, op, inputs, {output}, ints, floats);
  REQUIRE_MESSAGE(status == Status::ok, nameOf(op), ": ", std::string(lastErrorMessage()));
  return output;
}

/// Distance in units in the last place of float32; equal values, and NaN against NaN, give 0. A
/// reference beyond float32's range counts as infinity.
inline double ulpDistance(double value, double reference) {
  if (value != value || reference != reference) {
    return value != value && reference != reference ? 0 : 1e30;
  }
  const float rounded = static_cast<float>(reference);
  if (value == rounded) return 0;
  if (rounded - rounded != 0 || value - value != 0) return 1e30;
  int exponent;
  std::frexp(rounded, &exponent);
  if (exponent < -125) exponent = -125;
  return std::fabs(value - reference) / std::ldexp(1.0, exponent - 24);
}

}  // namespace testing
}  // namespace kindling

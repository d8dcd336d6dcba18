#pragma once
// The pass that every optimizer makes over a parameter: a functor gets the index of a vector of
// elements and how many of its lanes count.

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Below two of these a second thread does not pay.
constexpr int64_t kUpdateGrain = 16384;

/// An operand of an update, read and written by vectors.
template <class V>
struct Elements {
  typename V::Scalar* data;
  explicit Elements(const TensorView& view) : data(static_cast<typename V::Scalar*>(view.data)) {}
  KINDLING_INLINE V get(int64_t i, int lanes) const {
    return lanes == V::width ? V::load(data + i) : V::loadPartial(data + i, lanes);
  }
  KINDLING_INLINE void put(V x, int64_t i, int lanes) const {
    if (lanes == V::width) {
      x.store(data + i);
    } else {
      x.storePartial(data + i, lanes);
    }
  }
};

template <class V>
KINDLING_INLINE V splat(double x) {
  return V::set1(static_cast<typename V::Scalar>(x));
}

/// Calls update(i, lanes, gradient) over a parameter; the last vector may have fewer lanes.
template <class V, typename Update>
Status updateAll(const OpCall& call, const Update& update) {
  const Contiguous grad(call.inputs[1]);
  if (!grad.ok()) return fail(Status::outOfMemory, "no memory for a contiguous gradient");
  parallelFor(call.inputs[0].size, kUpdateGrain, 64, [&](int64_t begin, int64_t end) {
    // A copy that no store can alias stays in registers.
    const Update local = update;
    const typename V::Scalar* g = grad.as<typename V::Scalar>();
    int64_t i = begin;
    for (; i + V::width <= end; i += V::width) local(i, V::width, V::load(g + i));
    if (i < end) {
      const int lanes = static_cast<int>(end - i);
      local(i, lanes, V::loadPartial(g + i, lanes));
    }
  });
  return Status::ok;
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling

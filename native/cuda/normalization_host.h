#pragma once
// How the host shares out groups, for both directions of normalization.

#include <initializer_list>

#include "core/op_info.h"
#include "cuda/copies.h"
#include "cuda/kernel_table.h"
#include "cuda/normalization.cuh"

namespace kindling {
namespace cuda {

template <typename T>
struct NormOutputs {
  T* y;
  T* mean;
  T* variance;
};

/// The pieces of a whole tensor in the order of memory, and the group of each.
struct GroupElements {
  int64_t pieces;
  int width;
  FastDivisor<uint64_t> run, groups;

  explicit GroupElements(const GroupPlan& plan)
      : pieces(plan.outer * plan.groups * static_cast<int64_t>(plan.pieces.divisor)),
        width(plan.vector ? kLanes : 1),
        run(plan.pieces),
        groups(static_cast<uint64_t>(plan.groups)) {}
  __device__ __forceinline__ int64_t group(int64_t piece) const {
    const uint64_t line = run.divide(static_cast<uint64_t>(piece));
    return static_cast<int64_t>(line - groups.divide(line) * groups.divisor);
  }
};

inline Status noScratch(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

template <typename T>
const T* inputOf(const TensorView& view) {
  return static_cast<const T*>(view.data);
}
template <typename T>
T* outputOf(const OpCall& call, int i) {
  return static_cast<T*>(call.outputs[i].data);
}

/// The groups of a contiguous tensor [outer, groups, inner], and the parts that few of them are cut
/// into. `memory`: what is read and written in fours.
template <typename T>
GroupPlan groupsOf(const TensorView& view, std::initializer_list<const void*> memory) {
  constexpr int64_t kLeastPart = 4096, kMostParts = 1024, kBlocksPerProcessor = 4;
  GroupPlan plan;
  plan.outer = view.shape[0];
  plan.groups = view.shape[1];
  plan.inner = view.shape[2];
  plan.vector = plan.inner % kLanes == 0;
  for (const void* data : memory) plan.vector = plan.vector && isAlignedForFour<T>(data);
  const int64_t width = plan.vector ? kLanes : 1, run = plan.inner / width;
  plan.pieces = FastDivisor<uint64_t>(static_cast<uint64_t>(run > 0 ? run : 1));
  const int64_t elements = plan.outer * plan.inner;
  int64_t parts =
      kBlocksPerProcessor * gpu::deviceInfo().multiProcessors / (plan.groups > 0 ? plan.groups : 1);
  if (parts > elements / kLeastPart) parts = elements / kLeastPart;
  if (parts > kMostParts) parts = kMostParts;
  if (parts < 1) parts = 1;
  const int64_t pieces = plan.outer * run;
  plan.partPieces = ceilDivide(pieces > 0 ? pieces : 1, parts);
  plan.parts = ceilDivide(pieces > 0 ? pieces : 1, plan.partPieces);
  return plan;
}

/// Whether a group is more than one block's, or beside others, so that a block would read across.
inline bool isSplit(const GroupPlan& plan, bool byPosition) {
  if (byPosition || plan.outer * plan.groups * plan.inner == 0) return false;
  return plan.parts > 1 || (plan.inner == 1 && plan.outer > 1 && plan.groups > 1);
}

/// Parts of columns for enough blocks.
inline ColumnPlan columnsOf(int64_t rows, int64_t columns) {
  constexpr int64_t kLeastRows = 64, kMostParts = 1024, kBlocksPerProcessor = 4;
  const int64_t across = ceilDivide(columns > 0 ? columns : 1, kColumnLanes);
  int64_t parts = ceilDivide(kBlocksPerProcessor * gpu::deviceInfo().multiProcessors, across);
  if (parts > ceilDivide(rows, kLeastRows)) parts = ceilDivide(rows, kLeastRows);
  if (parts > kMostParts) parts = kMostParts;
  if (parts < 1) parts = 1;
  const int64_t partRows = ceilDivide(rows > 0 ? rows : 1, parts);
  return {rows, columns, partRows};
}
inline int64_t partsOf(const ColumnPlan& plan) {
  return ceilDivide(plan.rows > 0 ? plan.rows : 1, plan.partRows);
}
inline dim3 gridOf(const ColumnPlan& plan) {
  return dim3(static_cast<unsigned>(ceilDivide(plan.columns, kColumnLanes)),
              static_cast<unsigned>(partsOf(plan)));
}

}  // namespace cuda
}  // namespace kindling

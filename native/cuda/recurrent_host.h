#pragma once
// What both directions of the recurrent layers ask on the host.

#include "core/op_info.h"
#include "cuda/copies.h"
#include "cuda/recurrent_persistent.cuh"

namespace kindling {
namespace cuda {

inline Status noScratch(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

inline float* floatsOf(const TensorView& view) { return static_cast<float*>(view.data); }

/// `y`: [t, n, h]; the first attribute is reverse, the second of the plain RNN ReLU.
inline RecurrentSize sizeOf(const OpCall& call, const TensorView& y, const TensorView& lengths,
                            bool isRnn) {
  return {y.shape[0],
          y.shape[1],
          y.shape[2],
          call.ints[0] != 0,
          isRnn && call.ints[1] != 0,
          static_cast<const int32_t*>(lengths.data),
          lengths.strides[0],
          gpu::errorSlot()};
}

// Beyond, a product of its own for each step is better than a few columns a block.
constexpr int64_t kMostPersistentRows = 64;

/// Runs all steps in one launch where the rows are few and the weights fit on the chip; `kernel1`
/// for up to 8 rows, `kernel4` for tiles of 32.
template <class Share, typename Plan>
Status tryPersistent(const OpCall& call, const Plan& plan, const TensorView& weight,
                     void (*kernel1)(Plan, PersistentPlan), void (*kernel4)(Plan, PersistentPlan),
                     bool* ran) {
  const RecurrentSize& s = plan.size;
  const gpu::DeviceInfo& device = gpu::deviceInfo();
  *ran = false;
  if (s.rows > kMostPersistentRows || s.steps < 2 || !device.cooperativeLaunch) return Status::ok;
  const bool isFew = s.rows <= 8;
  const size_t bytes =
      isFew ? persistentBytes<Share, 1>(s.width) : persistentBytes<Share, 4>(s.width);
  if (bytes > static_cast<size_t>(device.sharedBytesPerBlock)) return Status::ok;
  const auto kernel = isFew ? kernel1 : kernel4;
  Status status = gpu::allowSharedBytes(reinterpret_cast<const void*>(kernel), bytes);
  if (status != Status::ok) return status;
  const int64_t blocks = ceilDivide(s.width, Share::kUnits);
  if (blocks > gpu::residentBlocks(kernel, kPersistentThreads, bytes)) return Status::ok;
  PersistentPlan shared;
  shared.weight = floatsOf(weight);
  shared.weightRow = weight.strides[0];
  shared.weightColumn = weight.strides[1];
  const int64_t tile = isFew ? 8 : 32;
  shared.paddedRows = ceilDivide(s.rows, tile) * tile;
  const size_t exchanged =
      sizeof(float) * static_cast<size_t>(2 * Share::depth(s.width) * shared.paddedRows);
  const DeviceScratch scratch(exchanged + sizeof(unsigned));
  if (!scratch) return noScratch(call);
  shared.exchange = scratch.as<float>();
  shared.counter = reinterpret_cast<unsigned*>(scratch.as<char>() + exchanged);
  status = gpu::fillBytes(scratch.data(), 0, scratch.bytes());
  if (status != Status::ok) return status;
  *ran = true;
  return launchCooperative(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kPersistentThreads),
                           bytes, plan, shared);
}

}  // namespace cuda
}  // namespace kindling

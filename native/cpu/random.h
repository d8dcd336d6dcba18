#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", 2011). Element i depends only on seed, offset and i, never on the
// number of threads or the instruction set.

#include <cstdint>

#include "core/op_call.h"

namespace kindling {

/// One block: four 32-bit numbers of a 128-bit counter under a 64-bit key.
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t result[4]);

/// Kernels of Op::randomUniform and Op::randomNormal. Elements 4i to 4i + 3 come from the block
/// whose counter is offset + i.
Status randomUniform(const OpCall& call);
Status randomBernoulli(const OpCall& call);
Status randomNormal(const OpCall& call);

}  // namespace kindling

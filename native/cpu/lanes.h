#pragma once
// The lanes of a vector that lie inside a row.

#include <cstdint>

#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int32_t kLaneNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// The first `count` lanes.
KINDLING_INLINE Mask lanesBelow(int count) { return VecI::load(kLaneNumbers) < VecI::set1(count); }

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling

#pragma once
// With KINDLING_EMULATOR_COUNT=1 the checked build counts what a warp's accesses cost: sectors of
// global memory (coalescing) and wavefronts of shared memory (bank conflicts). At the end of the
// process it prints the lines that cost more than they must.

namespace kindling {
namespace cuda {
namespace emulator {

struct Block;

bool isCounting();
void countAccess(const void* data, unsigned bytes, bool isShared, const void* code);
/// The lanes' accesses since the last call are put side by side: the n-th of a place in the code of
/// each lane belongs to one instruction of the warp.
void countBlock(const Block& block);

/// What one place in the code did.
struct Counted {
  unsigned long long requests, transactions, least;
};
/// Of everything so far, for tests.
Counted countedTotal(bool shared);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

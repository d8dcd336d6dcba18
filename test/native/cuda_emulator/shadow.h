#pragma once
// The entrance to the checked build's shadow: an access of a kernel to memory.

namespace kindling {
namespace cuda {
namespace emulator {

enum class Access { read, write, atomic };

/// `code` is where it happens: the return address of the inserted call.
void noteAccess(const void* data, unsigned bytes, Access access, const void* code);
/// The same where the hardware asks for an address that `bytes` divides.
void noteAligned(const void* data, unsigned bytes, Access access, const void* code);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

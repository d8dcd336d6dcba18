#pragma once
// What the emulator finds wrong. The launch in which it happens is given up and fails.

#include "cuda_emulator/collectives.h"

namespace kindling {
namespace cuda {
namespace emulator {

/// Prints a message with the kernel, block and thread, if there is one, and has the next
/// synchronization fail with it. Does not return while a kernel runs.
void finding(const char* format, ...) __attribute__((format(printf, 1, 2)));

/// The finding that nobody was told of yet; empty if there is none.
bool takeFinding();
const char* lastFinding();

/// "file:line", without the folders.
struct PlaceText {
  explicit PlaceText(Place place);
  char text[160];
};

/// "kernel<float>+0x12 (file.cu:34)" of an address in code.
const char* describeCode(const void* code);
/// The name of the function at an address.
const char* describeFunction(const void* code);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

#pragma once
// The code of a chain of elementwise ops (lib/compile writes it, native/cpu/fused_loop.h says how
// it is laid out), checked and translated for the kernel of fused.cu: places become registers, each
// value has one as long as it is needed, and what the next instruction alone needs has none.

#include <cstdint>

#include "core/op_call.h"

namespace kindling {
namespace cuda {

constexpr int kFusedOperands = 8;
constexpr int kFusedConstants = 16;
constexpr int kFusedInstructions = 32;
constexpr int kFusedResults = 4;
constexpr int kFusedSlots = 12;

/// Sources: a register, a constant from kFusedFirstConstant on, or the result of the instruction
/// before.
constexpr uint8_t kFusedFirstConstant = 128, kFusedPrevious = 255;
constexpr uint8_t kFusedNowhere = 255;

struct FusedInstruction {
  uint16_t op;
  uint8_t inputs;  // 1 to 3
  uint8_t sources[3];
  uint8_t target;  // a register or kFusedNowhere
  uint8_t result;  // where the value is stored in memory, or kFusedNowhere
};

struct FusedCode {
  int operands = 0, instructions = 0, results = 0, registers = 0;
  uint32_t bools = 0;  // operands of one byte
  uint32_t used = 0;   // operands that are read
  uint8_t operandRegister[kFusedOperands] = {};
  float constants[kFusedConstants] = {};
  FusedInstruction code[kFusedInstructions] = {};
};

/// How many operands an op of a chain has; 0 for ops that chains do not have.
int fusedInputs(int32_t op);

/// Reads the words in host memory, trusting nothing in them; false if they are broken. `bools` says
/// which operands are bool.
bool readFusedCode(const int32_t* words, int64_t count, uint32_t bools, FusedCode* code);

}  // namespace cuda
}  // namespace kindling

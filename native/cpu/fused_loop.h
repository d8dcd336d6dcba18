#pragma once
// A chain of elementwise ops as one loop. The code says how many operands, constants, instructions
// and results there are; then come the constants' bits, then five numbers for each instruction: op,
// target and up to three sources. What a number of a target or source stands for, see `Place`. The
// chain goes over a block of elements at a time, so that what is passed on stays in the first-level
// cache.

#include <cstdint>

#include "core/tensor_view.h"
#include "cpu/elementwise_loop.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

constexpr int kMaxFusedOperands = 8;
constexpr int kMaxFusedConstants = 16;
constexpr int kMaxFusedInstructions = 32;
constexpr int kMaxFusedResults = 4;
constexpr int kMaxFusedSlots = 12;
constexpr int kFusedHeader = 4;
constexpr int kFusedWords = 5;  // of an instruction

/// Sources and targets: the kind of a place and its number.
enum class Place : int32_t { operand = 0, constant = 100, slot = 200, result = 300 };

class FusedLoop {
 public:
  struct Source {
    Place place;
    int number;
  };
  struct Instruction {
    FloatLoop loop;
    Source target;
    Source sources[3];
  };

  int operands = 0, instructions = 0, results = 0;
  const float* constants = nullptr;
  uint32_t bools = 0;  // operands of one byte
  float* resultData[kMaxFusedResults] = {};
  Instruction code[kMaxFusedInstructions];

  void operator()(void* out, const void* const* inputs, uint32_t repeated, int64_t n) const {
    const int64_t first = static_cast<float*>(out) - resultData[0];
    alignas(64) float slots[kMaxFusedSlots][kBlock];
    for (int64_t start = 0; start < n; start += kBlock) {
      const int64_t count = n - start < kBlock ? n - start : kBlock;
      for (int i = 0; i < instructions; ++i) {
        runBlock(code[i], inputs, repeated, slots, first + start, start, count);
      }
    }
  }

 private:
  static constexpr int64_t kBlock = 512;

  KINDLING_INLINE void runBlock(const Instruction& instruction, const void* const* inputs,
                                uint32_t repeated, float (*slots)[kBlock], int64_t at,
                                int64_t start, int64_t count) const {
    const void* in[3];
    uint32_t once = 0;
    for (int k = 0; k < instruction.loop.inputs; ++k) {
      const Source source = instruction.sources[k];
      switch (source.place) {
        case Place::operand: {
          const bool single = repeated >> source.number & 1;
          const int64_t bytes = bools >> source.number & 1 ? 1 : 4;
          in[k] = static_cast<const char*>(inputs[source.number]) + (single ? 0 : start * bytes);
          once |= single ? 1u << k : 0;
          break;
        }
        case Place::constant:
          in[k] = constants + source.number;
          once |= 1u << k;
          break;
        case Place::slot:
          in[k] = slots[source.number];
          break;
        case Place::result:
          in[k] = resultData[source.number] + at;
          break;
      }
    }
    float* to = instruction.target.place == Place::slot
                    ? slots[instruction.target.number]
                    : resultData[instruction.target.number] + at;
    instruction.loop.run(to, in, once, count);
  }
};

}  // namespace KINDLING_ISA
}  // namespace kindling

#include "cuda/fused_code.h"

#include <cstring>

namespace kindling {
namespace cuda {

namespace {

constexpr int kHeader = 4, kWords = 5;  // of the code, of an instruction
constexpr int kPlaces = 100;            // numbers between the first operand, constant, slot, result
constexpr int kSlots = 2 * kPlaces, kResults = 3 * kPlaces;
constexpr int kValues = kFusedOperands + kFusedInstructions;  // operands, then instructions
constexpr int kNone = -1;

bool isIn(int32_t value, int32_t least, int32_t most) { return value >= least && value <= most; }

class Translator {
 public:
  Translator(const int32_t* words, int64_t count, FusedCode* code)
      : words_(words), count_(count), code_(*code) {
    for (int& value : slots_) value = kNone;
    for (int& value : results_) value = kNone;
    for (int& use : lastUse_) use = kNone;
  }

  bool run() {
    if (!readHeader()) return false;
    for (int i = 0; i < code_.instructions; ++i) {
      if (!readInstruction(words_ + kHeader + constants_ + kWords * i, i)) return false;
    }
    for (int k = 0; k < code_.results; ++k) {
      if (results_[k] == kNone) continue;
      code_.code[results_[k] - kFusedOperands].result = static_cast<uint8_t>(k);
    }
    assignRegisters();
    return true;
  }

 private:
  bool readHeader() {
    if (count_ < kHeader) return false;
    code_.operands = words_[0];
    constants_ = words_[1];
    code_.instructions = words_[2];
    code_.results = words_[3];
    if (!isIn(code_.operands, 0, kFusedOperands) || !isIn(constants_, 0, kFusedConstants) ||
        !isIn(code_.instructions, 1, kFusedInstructions) ||
        !isIn(code_.results, 1, kFusedResults) ||
        count_ != kHeader + constants_ + kWords * code_.instructions) {
      return false;
    }
    memcpy(code_.constants, words_ + kHeader, static_cast<size_t>(constants_) * sizeof(float));
    return true;
  }

  bool readInstruction(const int32_t* word, int at) {
    FusedInstruction& instruction = code_.code[at];
    const int inputs = fusedInputs(word[0]);
    if (inputs == 0) return false;
    instruction = {static_cast<uint16_t>(word[0]),
                   static_cast<uint8_t>(inputs),
                   {},
                   kFusedNowhere,
                   kFusedNowhere};
    for (int k = 0; k < inputs; ++k) {
      // Only a choice takes bools, and only as its condition.
      if (!readSource(word[2 + k], inputs == 3 && k == 0, at, &sources_[at][k])) return false;
    }
    const int32_t target = word[1];
    if (isIn(target, kSlots, kSlots + kFusedSlots - 1)) {
      slots_[target - kSlots] = kFusedOperands + at;
      return true;
    }
    if (!isIn(target, kResults, kResults + code_.results - 1)) return false;
    results_[target - kResults] = kFusedOperands + at;
    return true;
  }

  /// The value that a word names, or a constant as kValues and its number.
  bool readSource(int32_t word, bool isCondition, int at, int* value) {
    if (word < 0 || word >= 4 * kPlaces) return false;
    const int number = word % kPlaces;
    switch (word / kPlaces) {
      case 0:
        if (number >= code_.operands) return false;
        if ((code_.bools >> number & 1) != (isCondition ? 1u : 0u)) return false;
        code_.used |= 1u << number;
        *value = number;
        break;
      case 1:
        *value = kValues + number;
        return !isCondition && number < constants_;
      case 2:
        if (isCondition || number >= kFusedSlots) return false;
        *value = slots_[number];
        break;
      default:
        if (isCondition || number >= code_.results) return false;
        *value = results_[number];
        break;
    }
    if (*value == kNone) return false;
    if (*value != kFusedOperands + at - 1 || at == 0) lastUse_[*value] = at;
    return true;
  }

  void assignRegisters() {
    uint64_t free = ~uint64_t{0};
    uint8_t places[kValues];
    const auto take = [&](int value) {
      const int place = __builtin_ctzll(free);
      free &= ~(uint64_t{1} << place);
      places[value] = static_cast<uint8_t>(place);
      if (place >= code_.registers) code_.registers = place + 1;
    };
    for (int k = 0; k < code_.operands; ++k) {
      if (!(code_.used >> k & 1)) continue;
      take(k);
      code_.operandRegister[k] = places[k];
    }
    for (int i = 0; i < code_.instructions; ++i) {
      FusedInstruction& instruction = code_.code[i];
      for (int k = 0; k < instruction.inputs; ++k) {
        const int value = sources_[i][k];
        if (value >= kValues) {
          instruction.sources[k] = static_cast<uint8_t>(kFusedFirstConstant + value - kValues);
        } else if (i > 0 && value == kFusedOperands + i - 1) {
          instruction.sources[k] = kFusedPrevious;
        } else {
          instruction.sources[k] = places[value];
        }
      }
      for (int k = 0; k < instruction.inputs; ++k) {
        const int value = sources_[i][k];
        if (value < kValues && lastUse_[value] == i) free |= uint64_t{1} << places[value];
      }
      if (lastUse_[kFusedOperands + i] > i) {
        take(kFusedOperands + i);
        instruction.target = places[kFusedOperands + i];
      }
    }
  }

  const int32_t* words_;
  int64_t count_;
  FusedCode& code_;
  int constants_ = 0;
  int slots_[kFusedSlots], results_[kFusedResults];  // the values they hold
  int sources_[kFusedInstructions][3];
  int lastUse_[kValues];  // from a register
};

}  // namespace

int fusedInputs(int32_t op) {
  switch (static_cast<Op>(op)) {
    case Op::neg:
    case Op::abs:
    case Op::sign:
    case Op::relu:
    case Op::square:
    case Op::reciprocal:
    case Op::sqrt:
    case Op::rsqrt:
    case Op::exp:
    case Op::expm1:
    case Op::log:
    case Op::log1p:
    case Op::log2:
    case Op::sin:
    case Op::cos:
    case Op::tan:
    case Op::asin:
    case Op::acos:
    case Op::atan:
    case Op::sinh:
    case Op::cosh:
    case Op::tanh:
    case Op::erf:
    case Op::erfinv:
    case Op::sigmoid:
    case Op::softplus:
    case Op::floor:
    case Op::ceil:
    case Op::round:
    case Op::trunc:
      return 1;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::maximum:
    case Op::minimum:
    case Op::reluBackward:
    case Op::atan2:
      return 2;
    case Op::where:
      return 3;
    default:
      return 0;
  }
}

bool readFusedCode(const int32_t* words, int64_t count, uint32_t bools, FusedCode* code) {
  *code = FusedCode();
  code->bools = bools;
  return Translator(words, count, code).run();
}

}  // namespace cuda
}  // namespace kindling

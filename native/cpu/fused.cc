#include "cpu/fused_loop.h"
#include "cpu/kernel_table.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

/// Reads code, trusting nothing in it.
class CodeReader {
 public:
  CodeReader(const OpCall& call, FusedLoop* loop)
      : call_(call), loop_(*loop), words_(static_cast<const int32_t*>(call.inputs[0].data)) {}

  bool read() {
    const int64_t size = call_.inputs[0].size;
    if (size < kFusedHeader) return false;
    loop_.operands = words_[0];
    constants_ = words_[1];
    loop_.instructions = words_[2];
    loop_.results = words_[3];
    if (!isIn(loop_.operands, 0, kMaxFusedOperands) || !isIn(constants_, 0, kMaxFusedConstants) ||
        !isIn(loop_.instructions, 1, kMaxFusedInstructions) ||
        !isIn(loop_.results, 1, kMaxFusedResults) ||
        size != kFusedHeader + constants_ + kFusedWords * loop_.instructions) {
      return false;
    }
    loop_.constants = reinterpret_cast<const float*>(words_ + kFusedHeader);
    readOperands();
    for (int i = 0; i < loop_.instructions; ++i) {
      const int32_t* word = words_ + kFusedHeader + constants_ + kFusedWords * i;
      if (!readInstruction(word, &loop_.code[i])) return false;
    }
    return true;
  }

 private:
  static bool isIn(int value, int least, int most) { return value >= least && value <= most; }

  void readOperands() {
    for (int k = 0; k < loop_.operands; ++k) {
      if (call_.inputs[1 + k].dtype == DType::boolean) loop_.bools |= 1u << k;
    }
    for (int k = 0; k < loop_.results; ++k) {
      loop_.resultData[k] = static_cast<float*>(call_.outputs[k].data);
    }
  }

  bool readInstruction(const int32_t* word, FusedLoop::Instruction* instruction) {
    instruction->loop = floatLoop(word[0]);
    if (!instruction->loop.run || !readTarget(word[1], &instruction->target)) return false;
    for (int k = 0; k < instruction->loop.inputs; ++k) {
      // Only a choice takes bools, and only as its condition.
      const bool isCondition = instruction->loop.inputs == 3 && k == 0;
      if (!readSource(word[2 + k], isCondition, &instruction->sources[k])) return false;
    }
    (instruction->target.place == Place::slot ? slots_ : results_) |= 1u
                                                                      << instruction->target.number;
    return true;
  }

  bool readTarget(int32_t word, FusedLoop::Source* target) const {
    const bool isSlot = word < static_cast<int32_t>(Place::result);
    target->place = isSlot ? Place::slot : Place::result;
    target->number = word - static_cast<int32_t>(target->place);
    return isIn(target->number, 0, (isSlot ? kMaxFusedSlots : loop_.results) - 1);
  }

  bool readSource(int32_t word, bool isCondition, FusedLoop::Source* source) const {
    if (word < 0 || word >= 400) return false;
    source->place = static_cast<Place>(word / 100 * 100);
    source->number = word % 100;
    switch (source->place) {
      case Place::operand:
        return source->number < loop_.operands &&
               (loop_.bools >> source->number & 1) == (isCondition ? 1u : 0u);
      case Place::constant:
        return !isCondition && source->number < constants_;
      case Place::slot:
        return !isCondition && source->number < kMaxFusedSlots && (slots_ >> source->number & 1);
      default:
        return !isCondition && source->number < loop_.results && (results_ >> source->number & 1);
    }
  }

  const OpCall& call_;
  FusedLoop& loop_;
  const int32_t* words_;
  int constants_ = 0;
  uint32_t slots_ = 0, results_ = 0;  // written so far
};

Status fused(const OpCall& call) {
  FusedLoop loop;
  if (!CodeReader(call, &loop).read())
    return fail(Status::badArgument, "fused: the code is broken");
  constexpr int64_t kGrain = 16384;
  static_assert(kGrain < kCheapGrain, "a chain finds its place by the address it is to write to");
  OpCall chain = call;
  for (int k = 0; k < loop.operands; ++k) chain.inputs[k] = call.inputs[1 + k];
  return runFused(chain, loop.operands, loop, kGrain);
}

}  // namespace

void registerFused(Kernel* kernels) { kernels[static_cast<int>(Op::fused)] = fused; }

}  // namespace KINDLING_ISA
}  // namespace kindling

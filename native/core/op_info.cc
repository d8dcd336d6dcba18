#include "core/op_info.h"

namespace kindling {

namespace {

constexpr uint32_t F = 1u << static_cast<int>(DType::float32);
constexpr uint32_t I = 1u << static_cast<int>(DType::int32);
constexpr uint32_t B = 1u << static_cast<int>(DType::boolean);
constexpr uint32_t D = 1u << static_cast<int>(DType::float64);
constexpr uint32_t L = 1u << static_cast<int>(DType::int64);
constexpr uint32_t U = 1u << static_cast<int>(DType::uint8);
constexpr uint32_t H = 1u << static_cast<int>(DType::float16);
constexpr uint32_t E = 1u << static_cast<int>(DType::bfloat16);
constexpr uint32_t ANY = F | I | B | D | L | U | H | E;

constexpr OpInfo kOps[] = {
#define KINDLING_OP(name, kind, inputs, outputs, ints, floats, dtypes) \
  {#name, OpKind::kind, inputs, outputs, ints, floats, dtypes},
#include "core/ops.def"
#undef KINDLING_OP
};

constexpr bool tableFits() {
  for (const OpInfo& op : kOps) {
    if (op.inputs > kMaxInputs || op.outputs > kMaxOutputs) return false;
    if (op.ints > kMaxInts || op.floats > kMaxFloats) return false;
  }
  return true;
}
static_assert(tableFits(), "an op in ops.def needs more than an OpCall holds");

}  // namespace

const OpInfo& opInfo(Op op) { return kOps[static_cast<int>(op)]; }

uint32_t opTableHash() {
  static const char rows[] =
#define KINDLING_OP(name, kind, inputs, outputs, ints, floats, dtypes) \
#name "," #kind "," #inputs "," #outputs "," #ints "," #floats "\n"
#include "core/ops.def"
#undef KINDLING_OP
      ;
  uint32_t hash = 2166136261u;
  for (const char* c = rows; *c; ++c) hash = (hash ^ static_cast<unsigned char>(*c)) * 16777619u;
  return hash;
}

}  // namespace kindling

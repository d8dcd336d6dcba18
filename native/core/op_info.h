#pragma once
// The op table as data: what validate.cc and the binding need to know of every op.

#include <cstdint>

#include "core/op_call.h"

namespace kindling {

/// The shape rules of validate.cc. One kind serves every op with the same rule.
enum class OpKind : int32_t {
  create,
  unary,
  test,
  cast,
  indexSelect,
  indexAdd,
  sliceBackward,
  concat,
  binary,
  binarySame,
  compare,
  where,
  fused,
  reduce,
  argReduce,
  matmul,
  linear,
  convolution,
  pooling,
  linalg,
  fft,
  crossEntropy,
  crossEntropyBackward,
  ctcLoss,
  gather,
  scatter,
  scan,
  sort,
  searchSorted,
  nonzero,
  normalize,
  normalizeBackward,
  attention,
  recurrent,
  inplace,
  assignRows,
};

struct OpInfo {
  const char* name;
  OpKind kind;
  int32_t inputs, outputs, ints, floats;
  uint32_t dtypes;  // bit i: DType i is allowed for input 0 (for `create`, for the output)
};

const OpInfo& opInfo(Op op);

/// Whether an input is read by the host on every device, and so is in its memory: the code of a
/// chain of elementwise ops, on which depends what is launched.
inline bool isReadByHost(Op op, int input) { return op == Op::fused && input == 0; }

/// FNV-1a over the rows, to recognise an addon and a TypeScript table of different builds.
uint32_t opTableHash();

}  // namespace kindling

// Attention: softmax(q k^T scale) v, in blocks of queries whose scores stay in the second-level
// cache. The way back computes the scores again from the logarithms of the sums of powers (Dao et
// al., 2022), so that memory grows linearly with the length.

#include <cmath>

#include "core/op_info.h"
#include "core/status.h"
#include "cpu/gemm.h"
#include "cpu/kernel_table.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

Status noMemory(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

/// A matrix whose rows are contiguous.
struct Matrix {
  float* data;
  int64_t step;  // from row to row
  float* row(int64_t i) const { return data + i * step; }
};

/// One operand, [outer, heads, rows, columns].
class Heads {
 public:
  explicit Heads(const TensorView& view) : heads_(view.shape[1]), memory_(withPlainRows(view)) {}

  bool ok() const { return memory_.ok(); }
  Matrix operator[](int64_t i) const {
    const TensorView& view = memory_.view();
    float* data = static_cast<float*>(view.data);
    return {data + i / heads_ * view.strides[0] + i % heads_ * view.strides[1], view.strides[2]};
  }

 private:
  /// As contiguous as it has to be: copied only where rows are not.
  static TensorView withPlainRows(TensorView view) {
    if (!view.contiguous) view.contiguous = view.strides[3] == 1;
    return view;
  }

  const int64_t heads_;
  const Contiguous memory_;
};

/// Calls body(i, lanes) over n elements.
template <typename Body>
KINDLING_INLINE void forLanes(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + VecF::width <= n; i += VecF::width) body(i, VecF::width);
  if (VecF::width > 1 && i < n) body(i, static_cast<int>(n - i));
}
KINDLING_INLINE VecF get(const float* p, int lanes) {
  return lanes == VecF::width ? VecF::load(p) : VecF::loadPartial(p, lanes);
}
KINDLING_INLINE void put(VecF x, float* p, int lanes) {
  if (lanes == VecF::width) {
    x.store(p);
  } else {
    x.storePartial(p, lanes);
  }
}

/// `x` with 0 in the lanes beyond the first ones.
KINDLING_INLINE VecF keepLanes(VecF x, int lanes) {
  return lanes == VecF::width ? x : select(lanesBelow(lanes), x, VecF::zero());
}

void clearFloats(float* to, int64_t count) {
  // There may be no memory to point at.
  if (count > 0) __builtin_memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

float dot(const float* a, const float* b, int64_t n) {
  VecF sum = VecF::zero();
  forLanes(n, [&](int64_t i, int lanes) { sum = fma(get(a + i, lanes), get(b + i, lanes), sum); });
  return reduceAdd(sum);
}

/// Scores of a row become their powers, relative to the largest; `shown` of `n` are seen, the
/// others give 0. Returns the sum of the powers; `log` is that of the sum of powers of the scores
/// themselves.
float powersOf(float* scores, int64_t shown, int64_t n, float scale, float* log) {
  const VecF factor = VecF::set1(scale);
  float top = -INFINITY;
  VecF tops = VecF::set1(top);
  int64_t i = 0;
  for (; i + VecF::width <= shown; i += VecF::width) {
    const VecF x = VecF::load(scores + i) * factor;
    x.store(scores + i);
    tops = maxRaw(x, tops);
  }
  top = reduceMaxRaw(tops);
  for (; i < shown; ++i) {
    scores[i] *= scale;
    top = scores[i] > top ? scores[i] : top;
  }
  const VecF shift = VecF::set1(top);
  double total = 0;
  constexpr int64_t kBlock = 256 * VecF::width;
  for (int64_t from = 0; from < shown; from += kBlock) {
    VecF sum = VecF::zero();
    forLanes(shown - from < kBlock ? shown - from : kBlock, [&](int64_t at, int lanes) {
      const VecF power = exp(get(scores + from + at, lanes) - shift);
      put(power, scores + from + at, lanes);
      sum = sum + keepLanes(power, lanes);
    });
    total += static_cast<double>(reduceAdd(sum));
  }
  clearFloats(scores + shown, n - shown);
  *log = shown > 0 ? top + static_cast<float>(std::log(total)) : 0.0f;
  return static_cast<float>(total);
}

/// Queries at a time: their scores fill half of a second-level cache. Fewer would make the products
/// inefficient, more leave threads idle. A causal block's products reach to the last key that its
/// last query sees: of few keys a quarter at a time, so that they leave out what no query sees.
int64_t blockRows(int64_t keys, bool causal) {
  constexpr int64_t kScores = 1 << 17, kFew = 16, kMany = 128, kLeastCausal = 32;
  int64_t rows = keys > 0 ? kScores / keys : kMany;
  if (causal && rows > keys / 4) rows = keys / 4 > kLeastCausal ? keys / 4 : kLeastCausal;
  return rows < kFew ? kFew : rows > kMany ? kMany : rows;
}

struct Sizes {
  int64_t count, queries, keys, d, features, rows, blocks;
  bool causal;
  float scale;

  Sizes(const TensorView& q, const TensorView& v, const OpCall& call)
      : count(q.shape[0] * q.shape[1]),
        queries(q.shape[2]),
        keys(v.shape[2]),
        d(q.shape[3]),
        features(v.shape[3]),
        rows(blockRows(keys, call.ints[0] != 0)),
        blocks((queries + rows - 1) / rows),
        causal(call.ints[0] != 0),
        scale(static_cast<float>(call.floats[0])) {}

  /// How many keys a query sees.
  int64_t shown(int64_t query) const { return causal && query + 1 < keys ? query + 1 : keys; }
  int64_t first(int64_t block) const { return block * rows; }
  int64_t rowsOf(int64_t block) const {
    return queries - first(block) < rows ? queries - first(block) : rows;
  }
  /// Keys that any query of a block sees.
  int64_t keysOf(int64_t block) const { return shown(first(block) + rowsOf(block) - 1); }
};

/// Calls body(task) for tasks of about `work` multiply-adds each. Returns whether all returned
/// true.
template <typename Body>
bool forTasks(int64_t tasks, int64_t work, const Body& body) {
  constexpr int64_t kMostParts = 256, kWorthThreads = 1 << 18;
  struct Context {
    const Body* body;
    int64_t tasks, parts;
    bool ok;
  };
  Context context = {&body, tasks, tasks < kMostParts ? tasks : kMostParts, true};
  const PartFunction run = [](void* opaque, int part) {
    Context& c = *static_cast<Context*>(opaque);
    for (int64_t i = part * c.tasks / c.parts; i < (part + 1) * c.tasks / c.parts; ++i) {
      if (!(*c.body)(i)) __atomic_store_n(&c.ok, false, __ATOMIC_RELAXED);
    }
  };
  // With fewer tasks than threads the products inside are shared out instead.
  if (tasks >= numThreads() && tasks * work >= kWorthThreads) {
    parallelParts(static_cast<int>(context.parts), run, &context);
  } else {
    for (int part = 0; part < context.parts; ++part) run(&context, part);
  }
  return context.ok;
}

Status forward(const OpCall& call) {
  const Sizes s(call.inputs[0], call.inputs[2], call);
  const Heads q(call.inputs[0]), k(call.inputs[1]), v(call.inputs[2]);
  const Heads y(call.outputs[0]), logs(call.outputs[1]);
  if (!q.ok() || !k.ok() || !v.ok()) return noMemory(call);
  const auto task = [&](int64_t i) {
    const int64_t head = i / s.blocks, block = i % s.blocks;
    const int64_t first = s.first(block), rows = s.rowsOf(block), keys = s.keysOf(block);
    const Scratch memory(static_cast<size_t>(rows * (keys + 1)) * sizeof(float));
    if (!memory.ok()) return false;
    float* scores = memory.as<float>();
    float* sums = scores + rows * keys;
    const Matrix from = q[head], key = k[head], value = v[head], to = y[head], log = logs[head];
    if (!gemm(rows, keys, s.d, from.row(first), from.step, 1, key.data, 1, key.step, scores, keys,
              GemmEpilogue())) {
      return false;
    }
    for (int64_t row = 0; row < rows; ++row) {
      sums[row] = powersOf(scores + row * keys, s.shown(first + row), keys, s.scale,
                           log.data + first + row);
    }
    if (!gemm(rows, s.features, keys, scores, keys, 1, value.data, value.step, 1, to.row(first),
              to.step, GemmEpilogue())) {
      return false;
    }
    for (int64_t row = 0; row < rows && keys > 0; ++row) {
      float* out = to.row(first + row);
      const VecF inverse = VecF::set1(1.0f / sums[row]);
      forLanes(s.features,
               [&](int64_t j, int lanes) { put(get(out + j, lanes) * inverse, out + j, lanes); });
    }
    return true;
  };
  const int64_t work = s.rows * s.keys * (s.d + s.features);
  return forTasks(s.count * s.blocks, work, task) ? Status::ok : noMemory(call);
}

class Backward {
 public:
  explicit Backward(const OpCall& call)
      : call_(call),
        s_(call.inputs[1], call.inputs[3], call),
        grad_(call.inputs[0]),
        q_(call.inputs[1]),
        k_(call.inputs[2]),
        v_(call.inputs[3]),
        y_(call.inputs[4]),
        logs_(call.inputs[5]),
        dq_(call.outputs[0]),
        dk_(call.outputs[1]),
        dv_(call.outputs[2]) {}

  Status run() {
    if (!grad_.ok() || !q_.ok() || !k_.ok() || !v_.ok() || !y_.ok() || !logs_.ok()) {
      return noMemory(call_);
    }
    const int64_t work = s_.queries * s_.keys * (s_.d + s_.features);
    const bool done = forTasks(s_.count, work, [&](int64_t head) { return oneHead(head); });
    return done ? Status::ok : noMemory(call_);
  }

 private:
  /// Block after block, because each adds to the gradients of the keys and values.
  bool oneHead(int64_t head) const {
    clearFloats(dk_[head].data, s_.keys * s_.d);
    clearFloats(dv_[head].data, s_.keys * s_.features);
    const Scratch memory(static_cast<size_t>(2 * s_.rows * s_.keys) * sizeof(float));
    if (!memory.ok()) return false;
    for (int64_t block = 0; block < s_.blocks; ++block) {
      if (!oneBlock(head, block, memory.as<float>(), memory.as<float>() + s_.rows * s_.keys)) {
        return false;
      }
    }
    return true;
  }

  /// `weights` and `slopes`: [rows, keys], of the block's scores.
  bool oneBlock(int64_t head, int64_t block, float* weights, float* slopes) const {
    const int64_t first = s_.first(block), rows = s_.rowsOf(block), keys = s_.keysOf(block);
    const Matrix q = q_[head], k = k_[head], v = v_[head], grad = grad_[head];
    const Matrix dq = dq_[head], dk = dk_[head], dv = dv_[head];
    const GemmEpilogue set;
    GemmEpilogue add;
    add.accumulate = true;
    if (!gemm(rows, keys, s_.d, q.row(first), q.step, 1, k.data, 1, k.step, weights, keys, set) ||
        !gemm(rows, keys, s_.features, grad.row(first), grad.step, 1, v.data, 1, v.step, slopes,
              keys, set)) {
      return false;
    }
    for (int64_t row = 0; row < rows; ++row) {
      slopesOf(head, first + row, keys, weights + row * keys, slopes + row * keys);
    }
    return gemm(keys, s_.features, rows, weights, 1, keys, grad.row(first), grad.step, 1, dv.data,
                dv.step, add) &&
           gemm(rows, s_.d, keys, slopes, keys, 1, k.data, k.step, 1, dq.row(first), dq.step,
                set) &&
           gemm(keys, s_.d, rows, slopes, 1, keys, q.row(first), q.step, 1, dk.data, dk.step, add);
  }

  /// A row's scores become its weights, and the gradients of the weights those of the scores.
  void slopesOf(int64_t head, int64_t query, int64_t keys, float* weights, float* slopes) const {
    const int64_t shown = s_.shown(query);
    const VecF log = VecF::set1(*logs_[head].row(query)), scale = VecF::set1(s_.scale);
    const VecF mean = VecF::set1(dot(grad_[head].row(query), y_[head].row(query), s_.features));
    forLanes(shown, [&](int64_t i, int lanes) {
      const VecF weight = exp(fma(get(weights + i, lanes), scale, VecF::zero() - log));
      put(weight, weights + i, lanes);
      put(weight * (get(slopes + i, lanes) - mean) * scale, slopes + i, lanes);
    });
    clearFloats(weights + shown, keys - shown);
    clearFloats(slopes + shown, keys - shown);
  }

  const OpCall& call_;
  const Sizes s_;
  const Heads grad_, q_, k_, v_, y_, logs_, dq_, dk_, dv_;
};

Status backward(const OpCall& call) { return Backward(call).run(); }

}  // namespace

void registerAttention(Kernel* kernels) {
  kernels[static_cast<int>(Op::attention)] = forward;
  kernels[static_cast<int>(Op::attentionBackward)] = backward;
}

}  // namespace KINDLING_ISA
}  // namespace kindling

// Reductions over any axes. Two cases cover every layout: an innermost run of memory is reduced
// (rows), or it is kept (columns, vectorized across); what has no such run is copied first. Float
// sums run in blocks: their error grows with the logarithm of the count. Chunks have fixed sizes,
// so that results do not depend on the number of threads.

#include <cmath>

#include "core/cpu_features.h"
#include "core/status.h"
#include "cpu/arg_reduce.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/reducers.h"
#include "cpu/reduction_box.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which a part does not pay for its thread.
constexpr int64_t kGrain = 32768;
// A long reduction is cut into chunks of so many elements, combined in order.
constexpr int64_t kChunk = 16384;
// With fewer outputs than this, long reductions are cut.
constexpr int64_t kFewOutputs = 64;
// Rows of fewer elements end before it matters where the next ones come from.
constexpr int64_t kShortRow = 64;
// Up to so many times the second-level cache rows come fast enough one by one.
constexpr int64_t kNear = 8;
// Columns that one pass keeps in the first-level cache.
constexpr int64_t kColumns = 1024;
// Rows combined one after the other before their result joins the total.
constexpr int64_t kRows = 64;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

/// Elements [begin, end) of the reduced axes, whose innermost is contiguous.
template <typename R>
typename R::T reduceSpan(const Axes& reduced, const typename R::T* x, int64_t begin, int64_t end) {
  if (reduced.rank <= 1) return reduceRow<R>(x + begin, end - begin);
  if (end - begin > kChunk) {
    const int64_t middle = begin + ceilDivide((end - begin) / 2, kChunk) * kChunk;
    return R::combine(reduceSpan<R>(reduced, x, begin, middle),
                      reduceSpan<R>(reduced, x, middle, end));
  }
  const int64_t width = reduced.inner();
  int64_t row = begin / width, column = begin % width;
  typename R::T total = R::identity();
  while (begin < end) {
    typename R::T block = R::identity();
    for (int64_t i = 0; i < kRows && begin < end; ++i) {
      const int64_t n = least(width - column, end - begin);
      block = R::combine(block, reduceRow<R>(x + reduced.offset(row++, 1) + column, n));
      begin += n;
      column = 0;
    }
    total = R::combine(total, block);
  }
  return total;
}

/// out[i] of the rows [begin, end), which have countAt(i) elements and start at rowAt(i). Rows a
/// quarter of the range apart are read side by side: from one stream of addresses a core gets less
/// than memory could give, since what foresees them stops at every page.
template <typename R, typename RowAt, typename CountAt>
void reduceManyRows(int64_t begin, int64_t end, const RowAt& rowAt, const CountAt& countAt,
                    typename R::T* out) {
  constexpr int kStreams = 4;
  const int64_t quarter = (end - begin) / kStreams;
  for (int64_t i = begin; i < begin + quarter; ++i) {
    const typename R::T* rows[kStreams];
    typename R::T results[kStreams];
    const int64_t count = countAt(i);
    bool even = true;
    for (int s = 0; s < kStreams; ++s) {
      rows[s] = rowAt(i + s * quarter);
      even = even && countAt(i + s * quarter) == count;
    }
    if (even) reduceRowsTogether<R, kStreams>(rows, count, results);
    for (int s = 0; s < kStreams; ++s) {
      const int64_t at = i + s * quarter;
      out[at] = even ? results[s] : reduceRow<R>(rows[s], countAt(at));
    }
  }
  for (int64_t i = begin + kStreams * quarter; i < end; ++i) {
    out[i] = reduceRow<R>(rowAt(i), countAt(i));
  }
}

/// Few outputs of many elements: fixed chunks side by side, their results in order.
template <typename R>
Status reduceLongRows(const Box& box, const typename R::T* x, typename R::T* out) {
  const int64_t chunks = ceilDivide(box.reduced.count, kChunk);
  const Scratch scratch(static_cast<size_t>(box.kept.count * chunks) * sizeof(typename R::T));
  if (!scratch.ok()) return noMemory("reduce");
  typename R::T* partial = scratch.as<typename R::T>();
  const auto rowOf = [&](int64_t i) { return x + box.kept.offset(i / chunks, 0); };
  const auto firstOf = [&](int64_t i) { return i % chunks * kChunk; };
  const auto countAt = [&](int64_t i) { return least(kChunk, box.reduced.count - firstOf(i)); };
  parallelFor(box.kept.count * chunks, kGrain / kChunk, 1, [&](int64_t begin, int64_t end) {
    if (box.reduced.rank == 1) {
      const auto chunkAt = [&](int64_t i) { return rowOf(i) + firstOf(i); };
      return reduceManyRows<R>(begin, end, chunkAt, countAt, partial);
    }
    for (int64_t i = begin; i < end; ++i) {
      partial[i] = reduceSpan<R>(box.reduced, rowOf(i), firstOf(i), firstOf(i) + countAt(i));
    }
  });
  for (int64_t i = 0; i < box.kept.count; ++i) out[i] = reduceRow<R>(partial + i * chunks, chunks);
  return Status::ok;
}

template <typename R>
Status reduceRows(const Box& box, const typename R::T* x, typename R::T* out) {
  const int64_t outputs = box.kept.count, count = box.reduced.count;
  if (outputs < kFewOutputs && count > 2 * kChunk) return reduceLongRows<R>(box, x, out);
  const auto rowAt = [&](int64_t i) { return x + box.kept.offset(i, 0); };
  const int64_t bytes = outputs * count * static_cast<int64_t>(sizeof(typename R::T));
  const bool isNear = bytes <= kNear * cacheSizes().l2;
  parallelFor(outputs, kGrain / count + 1, 1, [&](int64_t begin, int64_t end) {
    if (box.reduced.rank == 1 && (isNear || count < kShortRow)) {
      if (count <= kRowBlock) {
        for (int64_t i = begin; i < end; ++i) {
          const typename R::T* const row = rowAt(i);
          reduceBlocks<R, 1>(&row, count, out + i);
        }
      } else {
        for (int64_t i = begin; i < end; ++i) out[i] = reduceRow<R>(rowAt(i), count);
      }
      return;
    }
    if (box.reduced.rank == 1) {
      const auto countAt = [=](int64_t) { return count; };
      return reduceManyRows<R>(begin, end, rowAt, countAt, out);
    }
    for (int64_t i = begin; i < end; ++i) out[i] = reduceSpan<R>(box.reduced, rowAt(i), 0, count);
  });
  return Status::ok;
}

/// Positions [begin, end) of the reduced axes, a few vectors wide, into `out`: all in registers.
template <typename R, int vectors>
void reduceStrip(const Axes& reduced, const typename R::T* x, int64_t begin, int64_t end,
                 int64_t columns, typename R::T* out) {
  using V = typename R::V;
  constexpr int last = vectors - 1;
  const int rest = static_cast<int>(columns - last * V::width);
  const V identity = V::set1(R::identity());
  V total[vectors], even[vectors], odd[vectors];
  for (int v = 0; v < vectors; ++v) total[v] = identity;
  const auto add = [&](int64_t row, V* sums) {
    const typename R::T* at = x + reduced.offset(row, 0);
    for (int v = 0; v < last; ++v) sums[v] = R::combine(sums[v], V::load(at + v * V::width));
    sums[last] = R::combine(sums[last], V::loadPartial(at + last * V::width, rest));
  };
  for (int64_t row = begin; row < end;) {
    const int64_t stop = least(row + kRows, end);
    for (int v = 0; v < vectors; ++v) even[v] = odd[v] = identity;
    for (; row + 2 <= stop; row += 2) {
      add(row, even);
      add(row + 1, odd);
    }
    if (row < stop) add(row++, even);
    for (int v = 0; v < vectors; ++v) {
      total[v] = R::combine(total[v], R::combine(even[v], odd[v]));
    }
  }
  for (int v = 0; v < last; ++v) total[v].store(out + v * V::width);
  total[last].storePartial(out + last * V::width, rest);
}

/// The same for up to kColumns.
template <typename R>
void reduceTile(const Axes& reduced, const typename R::T* x, int64_t begin, int64_t end,
                int64_t columns, typename R::T* out) {
  constexpr int64_t width = R::V::width;
  if (columns <= width) return reduceStrip<R, 1>(reduced, x, begin, end, columns, out);
  if (columns <= 2 * width) return reduceStrip<R, 2>(reduced, x, begin, end, columns, out);
  if (columns <= 4 * width && columns > 3 * width) {
    return reduceStrip<R, 4>(reduced, x, begin, end, columns, out);
  }
  typename R::T block[kColumns];
  for (int64_t first = begin; first < end; first += kRows) {
    const int64_t last = least(first + kRows, end);
    typename R::T* target = first == begin ? out : block;
    for (int64_t j = 0; j < columns; ++j) target[j] = R::identity();
    for (int64_t row = first; row < last; ++row) {
      combineInto<R>(target, x + reduced.offset(row, 0), columns);
    }
    if (first > begin) combineInto<R>(out, block, columns);
  }
}

/// For any width.
template <typename R>
void reduceTiles(const Axes& reduced, const typename R::T* x, int64_t begin, int64_t end,
                 int64_t width, typename R::T* out) {
  for (int64_t column = 0; column < width; column += kColumns) {
    reduceTile<R>(reduced, x + column, begin, end, least(width - column, kColumns), out + column);
  }
}

/// Few columns of many rows: chunks of rows side by side, their results in order.
template <typename R>
Status reduceTallColumns(const Box& box, const typename R::T* x, int64_t chunkRows,
                         typename R::T* out) {
  const int64_t width = box.kept.inner(), groups = box.kept.count / width;
  const int64_t chunks = ceilDivide(box.reduced.count, chunkRows);
  const Scratch scratch(static_cast<size_t>(groups * chunks * width) * sizeof(typename R::T));
  if (!scratch.ok()) return noMemory("reduce");
  typename R::T* partial = scratch.as<typename R::T>();
  const int64_t grain = kGrain / (chunkRows * width) + 1;
  parallelFor(groups * chunks, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % chunks * chunkRows;
      reduceTiles<R>(box.reduced, x + box.kept.offset(i / chunks, 1), first,
                     least(first + chunkRows, box.reduced.count), width, partial + i * width);
    }
  });
  Axes results;
  results.add(chunks, width);
  for (int64_t i = 0; i < groups; ++i) {
    reduceTiles<R>(results, partial + i * chunks * width, 0, chunks, width, out + i * width);
  }
  return Status::ok;
}

template <typename R>
Status reduceColumns(const Box& box, const typename R::T* x, typename R::T* out) {
  const int64_t width = box.kept.inner(), groups = box.kept.count / width;
  const int64_t tiles = ceilDivide(width, kColumns), rows = box.reduced.count;
  const int64_t chunkRows = kChunk / width > kRows ? kChunk / width : kRows;
  if (groups * tiles < kFewOutputs && rows >= 2 * chunkRows) {
    return reduceTallColumns<R>(box, x, chunkRows, out);
  }
  const int64_t work = rows * least(width, kColumns);
  parallelFor(groups * tiles, kGrain / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / tiles, column = i % tiles * kColumns;
      reduceTile<R>(box.reduced, x + box.kept.offset(group, 1) + column, 0, rows,
                    least(width - column, kColumns), out + group * width + column);
    }
  });
  return Status::ok;
}

template <typename R>
Status reduceView(const TensorView& view, uint32_t mask, typename R::T* out) {
  const Box box = makeBox(view, mask);
  const typename R::T* x = static_cast<const typename R::T*>(view.data) + box.start;
  if (box.reduced.innerIsContiguous()) return reduceRows<R>(box, x, out);
  if (box.kept.innerIsContiguous()) return reduceColumns<R>(box, x, out);
  if (view.size == 1) {
    *out = *x;
    return Status::ok;
  }
  const Contiguous dense(view);
  return dense.ok() ? reduceView<R>(dense.view(), mask, out) : noMemory("reduce");
}

template <typename R>
Status reduce(const OpCall& call) {
  typename R::T* out = static_cast<typename R::T*>(call.outputs[0].data);
  if (call.inputs[0].size == 0) {
    for (int64_t i = 0; i < call.outputs[0].size; ++i) out[i] = R::identity();
    return Status::ok;
  }
  return reduceView<R>(call.inputs[0], static_cast<uint32_t>(call.ints[0]), out);
}

Status sum(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, reduce<SumF>, reduce<SumI>, reduce<SumOf<double>>,
                  reduce<SumOf<int64_t>>, nullptr);
}

Status prod(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, reduce<ProductOf<float>>, reduce<ProductI>,
                  reduce<ProductOf<double>>, reduce<ProductOf<int64_t>>, nullptr);
}

Status max(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, reduce<MaxF>, reduce<MaxI>, reduce<MaxOf<double>>,
                  reduce<MaxOf<int64_t>>, reduce<MaxOf<uint8_t>>);
}

/// Of nothing all are true.
struct AllOf : MinOf<uint8_t> {
  static KINDLING_INLINE uint8_t identity() { return 1; }
};

Status min(const OpCall& call) {
  if (call.inputs[0].dtype == DType::boolean) return reduce<AllOf>(call);
  return byNumber(call, call.inputs[0].dtype, reduce<MinF>, reduce<MinI>, reduce<MinOf<double>>,
                  reduce<MinOf<int64_t>>, reduce<MinOf<uint8_t>>);
}

template <typename R>
Status meanOf(const OpCall& call) {
  using T = typename R::T;
  const Status status = reduce<R>(call);
  if (status != Status::ok) return status;
  const TensorView& in = call.inputs[0];
  int64_t count = 1;
  for (int axis = 0; axis < in.rank; ++axis) {
    if (call.ints[0] >> axis & 1) count *= in.shape[axis];
  }
  T* out = static_cast<T*>(call.outputs[0].data);
  // 0 / 0 is NaN: the mean of nothing.
  for (int64_t i = 0; i < call.outputs[0].size; ++i) out[i] /= static_cast<T>(count);
  return Status::ok;
}

Status mean(const OpCall& call) { return byFloat(call, meanOf<SumF>, meanOf<SumOf<double>>); }

template <typename R>
Status argReduceView(const OpCall& call, const TensorView& view) {
  const typename R::T* x = static_cast<const typename R::T*>(view.data);
  int32_t* out = static_cast<int32_t*>(call.outputs[0].data);
  const int axis = call.ints[0];
  const int64_t n = axis < 0 ? view.size : view.shape[axis];
  const int64_t outputs = call.outputs[0].size;
  int64_t inner = 1;
  for (int i = axis + 1; axis >= 0 && i < view.rank; ++i) inner *= view.shape[i];
  if (inner == 1) {
    parallelFor(outputs, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = argOfRow<R>(x + i * n, n);
    });
    return Status::ok;
  }
  const int64_t tiles = ceilDivide(inner, kColumns);
  const int64_t grain = kGrain / (n * least(inner, kColumns)) + 1;
  parallelFor(outputs / inner * tiles, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / tiles, column = i % tiles * kColumns;
      argOfColumns<R>(x + group * n * inner, n, inner, column, least(column + kColumns, inner),
                      out + group * inner);
    }
  });
  return Status::ok;
}

template <typename R>
Status argReduce(const OpCall& call) {
  if (call.outputs[0].size == 0) return Status::ok;
  const Contiguous x(call.inputs[0]);
  return x.ok() ? argReduceView<R>(call, x.view()) : noMemory("argReduce");
}

Status argmax(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, argReduce<MaxF>, argReduce<MaxI>,
                  argReduce<MaxOf<double>>, argReduce<MaxOf<int64_t>>, argReduce<MaxOf<uint8_t>>);
}

Status argmin(const OpCall& call) {
  return byNumber(call, call.inputs[0].dtype, argReduce<MinF>, argReduce<MinI>,
                  argReduce<MinOf<double>>, argReduce<MinOf<int64_t>>, argReduce<MinOf<uint8_t>>);
}

}  // namespace

void registerReductions(Kernel* kernels) {
  kernels[static_cast<int>(Op::sum)] = sum;
  kernels[static_cast<int>(Op::mean)] = mean;
  kernels[static_cast<int>(Op::prod)] = prod;
  kernels[static_cast<int>(Op::max)] = max;
  kernels[static_cast<int>(Op::min)] = min;
  kernels[static_cast<int>(Op::argmax)] = argmax;
  kernels[static_cast<int>(Op::argmin)] = argmin;
}

}  // namespace KINDLING_ISA
}  // namespace kindling

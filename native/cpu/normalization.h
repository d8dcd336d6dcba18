#pragma once
// What the kernels of normalization share. A tensor is [outer, groups, inner]; a group's elements
// are those of one middle position. Groups beside each other are worked on together where their
// runs of memory are short, so that memory is read in order and stays in the second-level cache for
// the passes after the first.

#include <cstdint>

#include "core/tensor_view.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which a part of the groups is not worth a thread.
constexpr int64_t kGrain = 16384;
// Elements added up in vector lanes before their sum joins a double.
constexpr int64_t kBlock = 16384;
// Groups that are worked on together, at most.
constexpr int kTogether = 32;

struct Groups {
  int64_t outer, count, inner;
  explicit Groups(const TensorView& view)
      : outer(view.shape[0]), count(view.shape[1]), inner(view.shape[2]) {}
  int64_t elements() const { return outer * inner; }
  /// Whether groups are rows of which a few fit the second-level cache, to be fetched one ahead.
  bool areRows() const { return outer == 1 && inner <= 8192; }
  /// The distance to the row that comes after this one, if any.
  int64_t toNext(int64_t group) const { return group + 1 < count ? inner : 0; }
  int64_t offset(int64_t o, int64_t group) const { return (o * count + group) * inner; }
  int64_t together() const {
    constexpr int64_t kRun = 512;  // elements of a run that is read in order
    const int64_t groups = inner > 0 ? kRun / inner : kTogether;
    if (outer == 1 || groups <= 1) return 1;
    return groups < kTogether ? groups : kTogether;
  }

  /// Calls body(first, count) for groups that are worked on together, in parallel.
  template <typename Body>
  void forTogether(const Body& body) const {
    const int64_t size = together(), blocks = (count + size - 1) / size;
    const int64_t work = elements() * size;
    parallelFor(blocks, work > 0 ? kGrain / work + 1 : blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * size;
        body(first, static_cast<int>(count - first < size ? count - first : size));
      }
    });
  }
};

template <class V>
KINDLING_INLINE V loadLanes(const typename V::Scalar* p, int lanes) {
  return lanes == V::width ? V::load(p) : V::loadPartial(p, lanes);
}

template <class V>
KINDLING_INLINE void storeLanes(V x, typename V::Scalar* p, int lanes) {
  if (lanes == V::width) {
    x.store(p);
  } else {
    x.storePartial(p, lanes);
  }
}

/// `x` with 0 in the lanes beyond the first ones.
template <class V>
KINDLING_INLINE V keepLanes(V x, int lanes) {
  if constexpr (V::width > 1) {
    if (lanes < V::width) return select(lanesBelow(lanes), x, V::zero());
  }
  return x;
}

/// Calls body(i, lanes) over [begin, end).
template <class V, typename Body>
KINDLING_INLINE void forLanes(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + V::width <= end; i += V::width) body(i, V::width);
  if (V::width > 1 && i < end) body(i, static_cast<int>(end - i));
}

struct NothingAhead {
  KINDLING_INLINE void operator()(int64_t, int64_t) const {}
};

/// Asks for lines of some rows for the second-level cache, ahead of their use: what foresees
/// addresses starts anew with every page, and a row is about one. Not a lambda, which GCC takes for
/// a function without effects and removes.
template <typename T, int kRows>
struct LinesAhead {
  const T* rows[kRows];
  KINDLING_INLINE void operator()(int64_t i, int64_t n) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t end = i + n; i < end; i += kLine) {
      for (int row = 0; row < kRows; ++row) __builtin_prefetch(rows[row] + i, 0, 2);
    }
  }
};

/// Adds to sums: term(i, lanes, terms) gives the terms of a vector of elements. Several chains of
/// additions, because one is slower than the memory. ahead(i, n) is called once for n elements.
template <class V, int kTerms, typename Term, typename Ahead = NothingAhead>
KINDLING_INLINE void addRun(int64_t begin, int64_t end, const Term& term, V* sums,
                            const Ahead& ahead = Ahead()) {
  constexpr int kChains = 4;
  int64_t i = begin;
  if (end - begin >= 2 * kChains * V::width) {
    V parts[kChains][kTerms];
    for (int c = 0; c < kChains; ++c) {
      for (int k = 0; k < kTerms; ++k) parts[c][k] = V::zero();
    }
    for (; i + kChains * V::width <= end; i += kChains * V::width) {
      ahead(i, kChains * V::width);
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        V terms[kTerms];
        term(i + c * V::width, V::width, terms);
        for (int k = 0; k < kTerms; ++k) parts[c][k] = parts[c][k] + terms[k];
      }
    }
    for (int k = 0; k < kTerms; ++k) {
      sums[k] = sums[k] + ((parts[0][k] + parts[1][k]) + (parts[2][k] + parts[3][k]));
    }
  }
  forLanes<V>(i, end, [&](int64_t at, int lanes) {
    V terms[kTerms];
    term(at, lanes, terms);
    for (int k = 0; k < kTerms; ++k) sums[k] = sums[k] + terms[k];
  });
}

/// The sums over one run of memory.
template <class V, int kTerms, typename Term, typename Ahead = NothingAhead>
KINDLING_INLINE void sumRun(int64_t begin, int64_t end, const Term& term, double* totals,
                            const Ahead& ahead = Ahead()) {
  for (int k = 0; k < kTerms; ++k) totals[k] = 0;
  for (int64_t from = begin; from < end; from += kBlock) {
    V sums[kTerms];
    for (int k = 0; k < kTerms; ++k) sums[k] = V::zero();
    addRun<V, kTerms>(from, end - from < kBlock ? end : from + kBlock, term, sums, ahead);
    for (int k = 0; k < kTerms; ++k) totals[k] += static_cast<double>(reduceAdd(sums[k]));
  }
}

/// The sums over groups that are worked on together; termOf(group) makes a group's term.
template <class V, int kTerms, typename TermOf>
KINDLING_INLINE void sumGroups(const Groups& groups, int64_t first, int count, const TermOf& termOf,
                               double (*totals)[kTerms]) {
  for (int g = 0; g < count; ++g) {
    for (int k = 0; k < kTerms; ++k) totals[g][k] = 0;
  }
  if (count == 1) {
    const auto term = termOf(0);
    // Short runs share a vector of sums.
    const int64_t runs = groups.inner > 0 && groups.inner < kBlock ? kBlock / groups.inner : 1;
    for (int64_t o = 0; o < groups.outer; o += runs) {
      const int64_t last = groups.outer - o < runs ? groups.outer : o + runs;
      if (groups.inner > kBlock) {
        double more[kTerms];
        const int64_t at = groups.offset(o, first);
        sumRun<V, kTerms>(at, at + groups.inner, term, more);
        for (int k = 0; k < kTerms; ++k) totals[0][k] += more[k];
        continue;
      }
      V sums[kTerms];
      for (int k = 0; k < kTerms; ++k) sums[k] = V::zero();
      for (int64_t run = o; run < last; ++run) {
        const int64_t at = groups.offset(run, first);
        addRun<V, kTerms>(at, at + groups.inner, term, sums);
      }
      for (int k = 0; k < kTerms; ++k) totals[0][k] += static_cast<double>(reduceAdd(sums[k]));
    }
    return;
  }
  constexpr int64_t kRuns = 64;  // whose sums stay in vectors
  for (int64_t o = 0; o < groups.outer; o += kRuns) {
    const int64_t last = groups.outer - o < kRuns ? groups.outer : o + kRuns;
    V sums[kTogether][kTerms];
    for (int g = 0; g < count; ++g) {
      for (int k = 0; k < kTerms; ++k) sums[g][k] = V::zero();
    }
    for (int64_t run = o; run < last; ++run) {
      for (int g = 0; g < count; ++g) {
        const int64_t at = groups.offset(run, first + g);
        addRun<V, kTerms>(at, at + groups.inner, termOf(g), sums[g]);
      }
    }
    for (int g = 0; g < count; ++g) {
      for (int k = 0; k < kTerms; ++k) totals[g][k] += static_cast<double>(reduceAdd(sums[g][k]));
    }
  }
}

template <class V>
KINDLING_INLINE V splat(double x) {
  return V::set1(static_cast<typename V::Scalar>(x));
}

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling

// The choice of a kernel for a product, by shape, strides and device, and of how its k is split.

#include "cuda/gemm.h"

#include "core/op_info.h"
#include "cuda/copies.h"
#include "cuda/gemm_launch.h"
#include "cuda/kernel_table.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

// --- The second pass of a split k ---

/// Adds the splits' sums in their order, so that the result does not change from run to run.
template <typename Acc>
__global__ void __launch_bounds__(kBlockThreads)
    gemmReduceKernel(const Acc* __restrict__ sums, int64_t splitStep, uint32_t splits, int64_t size,
                     int64_t rows, int64_t columns, GemmResult<Acc> result) {
  for (int64_t i = firstOfThread(); i < size; i += strideOfGrid()) {
    Acc total[1] = {sums[i]};
    for (uint32_t s = 1; s < splits; ++s) total[0] += sums[i + s * splitStep];
    const int64_t line = i / columns, batch = line / rows;
    gemmFinish(result, static_cast<uint32_t>(batch), 0, line - batch * rows, i - line * columns,
               columns, total);
  }
}

namespace {

using Kernel = GemmChoice::Kernel;

Status noMemory() { return fail(Status::outOfMemory, "a matrix product: no scratch memory"); }

int64_t batchesOf(const GemmProblem& p) {
  int64_t count = 1;
  for (int axis = 0; axis < p.batch.rank; ++axis) count *= p.batch.shape[axis];
  return count;
}

// --- Filling a kernel's plan ---

/// Whether memory can be read in pieces of `width` elements along one axis, whose step is `along`.
bool readsInPieces(const GemmProblem& p, bool isA, int64_t along, int64_t other, int64_t extent,
                   int64_t width, int64_t bytes) {
  const void* const data = isA ? p.a.data : p.b.data;
  if (along != 1 || other % width != 0 || extent % width != 0) return false;
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(bytes) != 0) return false;
  for (int axis = 0; axis < p.batch.rank; ++axis) {
    if ((isA ? p.batch.a[axis] : p.batch.b[axis]) % width != 0) return false;
  }
  return true;
}

int64_t outerStep(const GemmProblem& p, bool isA) { return isA ? p.a.row : p.b.column; }
int64_t depthStep(const GemmProblem& p, bool isA) { return isA ? p.a.column : p.b.row; }
int64_t outers(const GemmProblem& p, bool isA) { return isA ? p.m : p.n; }

/// Which axis of an operand memory goes along.
bool liesAlongK(const GemmProblem& p, bool isA) {
  const auto size = [](int64_t step) { return step < 0 ? -step : step; };
  const int64_t outer = size(outerStep(p, isA)), k = size(depthStep(p, isA));
  return outer != 1 && (k == 1 || k <= outer);
}

/// `inPieces`: whether the kernel can take pieces of 16 bytes along the axis that memory goes
/// along.
template <typename T>
GemmSource<T> sourceOf(const GemmProblem& p, bool isA, bool alongK, bool inPieces) {
  GemmSource<T> source;
  source.data = static_cast<const T*>(isA ? p.a.data : p.b.data);
  source.outer = outerStep(p, isA);
  source.k = depthStep(p, isA);
  source.outers = static_cast<int>(outers(p, isA));
  source.lanesAlongK = alongK;
  const int64_t along = alongK ? source.k : source.outer, other = alongK ? source.outer : source.k;
  source.vector = inPieces && readsInPieces(p, isA, along, other, alongK ? p.k : outers(p, isA),
                                            16 / static_cast<int64_t>(sizeof(T)), 16);
  return source;
}

template <typename Acc>
GemmResult<Acc> resultOf(const GemmProblem& p) {
  const GemmEpilogue& e = p.epilogue;
  GemmResult<Acc> result;
  result.c = static_cast<Acc*>(p.c);
  result.row = p.ldc;
  result.batch = p.batch.c;
  result.split = 0;
  result.bias = static_cast<const Acc*>(e.bias);
  result.biasStride = e.biasStride;
  result.biasBatch = e.biasBatch;
  result.biasOfRows = e.biasOfRows;
  result.residual = static_cast<const Acc*>(e.residual);
  result.residualRow = e.residualRow;
  result.residualBatch = e.residualBatch;
  result.accumulate = e.accumulate;
  result.relu = e.relu;
  result.vector =
      reinterpret_cast<uintptr_t>(p.c) % 16 == 0 && p.ldc % 4 == 0 && p.batch.c % 4 == 0;
  return result;
}

/// How k is cut: `depth` is what one step of a kernel takes of it.
struct Splits {
  int64_t ofSplit;
  uint32_t count;
  Splits(int64_t k, int64_t wanted, int64_t depth) {
    ofSplit = ceilDivide(ceilDivide(k, wanted), depth) * depth;
    count = k > 0 ? static_cast<uint32_t>(ceilDivide(k, ofSplit)) : 1;
  }
};

template <typename T, typename Acc>
GemmPlan<T, Acc> planOf(const GemmProblem& p, int64_t tilesM, int64_t tilesN, Splits splits) {
  GemmPlan<T, Acc> plan;
  plan.k = static_cast<int>(p.k);
  plan.kOfSplit = static_cast<int>(splits.ofSplit);
  plan.splits = splits.count;
  plan.tilesM = static_cast<uint32_t>(tilesM);
  plan.tilesN = static_cast<uint32_t>(tilesN);
  plan.batch.rank = p.batch.rank;
  for (int axis = 0; axis < p.batch.rank; ++axis) {
    plan.batch.shape[axis] = static_cast<uint32_t>(p.batch.shape[axis]);
    plan.batch.a[axis] = p.batch.a[axis];
    plan.batch.b[axis] = p.batch.b[axis];
  }
  plan.result = resultOf<Acc>(p);
  return plan;
}

/// Calls run(result, blocks), with the sums of a split k in scratch memory and added up after.
template <typename T, typename Acc, typename Run>
Status runSplit(const GemmProblem& p, GemmPlan<T, Acc>& plan, const Run& run) {
  const int64_t batches = batchesOf(p), size = batches * p.m * p.n;
  const int64_t blocks = int64_t{plan.tilesM} * plan.tilesN * plan.splits * batches;
  if (blocks > INT32_MAX) return fail(Status::unsupported, "a matrix product: too many tiles");
  if (plan.splits == 1) return run(static_cast<uint32_t>(blocks));
  const DeviceScratch scratch(static_cast<size_t>(size * plan.splits) * sizeof(Acc));
  if (!scratch) return noMemory();
  const GemmResult<Acc> result = plan.result;
  plan.result = {};
  plan.result.c = scratch.as<Acc>();
  plan.result.row = p.n;
  plan.result.batch = p.m * p.n;
  plan.result.split = size;
  plan.result.vector = p.n % 4 == 0;
  const Status status = run(static_cast<uint32_t>(blocks));
  if (status != Status::ok) return status;
  return launch(gemmReduceKernel<Acc>, gridFor(size, kBlockThreads), dim3(kBlockThreads), 0,
                scratch.as<Acc>(), size, plan.splits, size, p.m, p.n, result);
}

// --- The choice of tile and splits ---

/// What a kernel with a tile is worth. `share` of the multiprocessor's arithmetic that enough
/// blocks reach, and how many blocks it takes.
struct TileModel {
  int tile;
  double share, blocks;
};
constexpr TileModel kSimtTiles[] = {{128, 1.0, 1.5}, {64, 0.8, 3}, {32, 0.5, 6}};
constexpr TileModel kTensorTiles[] = {{128, 1.0, 1.5}, {64, 0.6, 3}};
constexpr TileModel kOneTile[] = {{64, 1.0, 2}};
constexpr TileModel kHalfTile[] = {{128, 1.0, 1.5}};

struct Tiling {
  int tile;
  Splits splits;
};

/// Compares by a count of multiply-adds per multiprocessor, with the second pass of a split in the
/// same unit.
template <int kTiles>
Tiling chooseTiling(const GemmProblem& p, const TileModel (&tiles)[kTiles], int64_t depth,
                    const GemmChoice& choice) {
  constexpr int kSplits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};
  constexpr double kSecondPass = 5e5, kPerSum = 12;  // a launch; an element read or written
  constexpr int64_t kLeastSteps = 4, kMostSums = int64_t{1} << 26;
  const int64_t batches = batchesOf(p);
  const double processors = gpu::deviceInfo().multiProcessors;
  Tiling best = {tiles[0].tile, Splits(p.k, choice.splits > 0 ? choice.splits : 1, depth)};
  double least = INFINITY;
  for (const TileModel& model : tiles) {
    if (choice.tile != 0 && choice.tile != model.tile) continue;
    const int64_t count = ceilDivide(p.m, model.tile) * ceilDivide(p.n, model.tile) * batches;
    for (const int wanted : kSplits) {
      if (choice.splits > 0 && wanted > 1) break;
      const Splits splits(p.k, choice.splits > 0 ? choice.splits : wanted, depth);
      const int64_t sums = p.m * p.n * batches * splits.count;
      const bool isSplit = splits.count > 1;
      if (choice.splits == 0 && isSplit &&
          (splits.ofSplit < kLeastSteps * depth || sums > kMostSums)) {
        break;
      }
      const double blocks = std::ceil(static_cast<double>(count) * splits.count / processors);
      const double work = static_cast<double>(model.tile) * model.tile *
                          static_cast<double>(splits.ofSplit + depth) / model.share;
      const double second =
          isSplit ? kSecondPass + static_cast<double>(sums) * kPerSum / processors : 0;
      const double cost = work * (blocks > model.blocks ? blocks : model.blocks) + second;
      if (cost < least) {
        least = cost;
        best = {model.tile, splits};
      }
    }
  }
  return best;
}

// --- One product or batch that the kernels' 32-bit extents can count ---

template <typename T>
Status fewProduct(const GemmProblem& given, const GemmChoice& choice) {
  // The few are the rows of A, or the columns of B.
  const bool fewAreRows = given.m <= given.n;
  GemmProblem p = given;
  if (!fewAreRows) {
    p.m = given.n;
    p.n = given.m;
    p.a = {given.b.data, given.b.column, given.b.row};
    p.b = {given.a.data, given.a.column, given.a.row};
    for (int axis = 0; axis < p.batch.rank; ++axis) {
      p.batch.a[axis] = given.batch.b[axis];
      p.batch.b[axis] = given.batch.a[axis];
    }
  }
  const bool alongK = liesAlongK(p, false);
  const int64_t span = alongK ? kFewWarps : kFewSpan, least = alongK ? 2048 : 256;
  const int64_t blocks = ceilDivide(p.n, span) * batchesOf(p);
  const int64_t target = int64_t{gpu::deviceInfo().multiProcessors} * 4;
  int64_t wanted = choice.splits;
  if (wanted == 0) {
    wanted = ceilDivide(target, blocks);
    if (wanted > p.k / least) wanted = p.k / least;
  }
  const Splits splits(p.k, wanted > 1 ? wanted : 1, kLanes);
  FewPlan<T> few;
  few.fewAreRows = fewAreRows;
  few.plan = planOf<T, T>(p, 1, ceilDivide(p.n, span), splits);
  few.plan.a = sourceOf<T>(p, true, true, false);
  few.plan.b = sourceOf<T>(p, false, alongK, false);
  const auto fits = [&](bool isA) {
    // The last elements go one by one, so the extent does not matter.
    const int64_t outer = outerStep(p, isA), k = depthStep(p, isA);
    return readsInPieces(p, isA, alongK ? k : outer, alongK ? outer : k, 0, kLanes, 16);
  };
  few.plan.b.vector = fits(false);
  few.plan.a.vector = alongK && fits(true);
  return runSplit(given, few.plan,
                  [&](uint32_t count) { return launchGemmFew(few, alongK, count); });
}

template <typename T, int kTiles>
Status simtProduct(const GemmProblem& p, const TileModel (&tiles)[kTiles],
                   const GemmChoice& choice) {
  constexpr int64_t kDepth = 16;
  const Tiling tiling = chooseTiling(p, tiles, kDepth, choice);
  GemmPlan<T, T> plan =
      planOf<T, T>(p, ceilDivide(p.m, tiling.tile), ceilDivide(p.n, tiling.tile), tiling.splits);
  const bool aAlongK = liesAlongK(p, true), bAlongK = liesAlongK(p, false);
  plan.a = sourceOf<T>(p, true, aAlongK, !aAlongK);
  plan.b = sourceOf<T>(p, false, bAlongK, !bAlongK);
  return runSplit(p, plan,
                  [&](uint32_t blocks) { return launchGemmSimt(plan, tiling.tile, blocks); });
}

template <typename T, int kTiles, typename Launch>
Status tensorProduct(const GemmProblem& p, const TileModel (&tiles)[kTiles],
                     const GemmChoice& choice, const Launch& launchWith) {
  constexpr int64_t kDepth = 128 / sizeof(T);
  const Tiling tiling = chooseTiling(p, tiles, kDepth, choice);
  GemmPlan<T, float> plan = planOf<T, float>(p, ceilDivide(p.m, tiling.tile),
                                             ceilDivide(p.n, tiling.tile), tiling.splits);
  const GemmLayouts layouts = {liesAlongK(p, true), liesAlongK(p, false)};
  plan.a = sourceOf<T>(p, true, layouts.aAlongK, true);
  plan.b = sourceOf<T>(p, false, layouts.bAlongK, true);
  return runSplit(p, plan,
                  [&](uint32_t blocks) { return launchWith(plan, layouts, tiling.tile, blocks); });
}

bool hasTensorCores() { return gpu::deviceInfo().major >= 8; }

Status floatProduct(const GemmProblem& p, const GemmChoice& choice) {
  const bool isFew = (p.m < p.n ? p.m : p.n) <= kMostFew;
  if (choice.kernel == Kernel::few || (choice.kernel == Kernel::automatic && isFew)) {
    return fewProduct<float>(p, choice);
  }
  const bool isWanted =
      choice.kernel == Kernel::tensor || (choice.kernel == Kernel::automatic && gpu::allowTf32());
  if (!isWanted || !hasTensorCores()) return simtProduct<float>(p, kSimtTiles, choice);
  return tensorProduct<float>(p, kTensorTiles, choice, launchGemmTf32);
}

Status doubleProduct(const GemmProblem& p, const GemmChoice& choice) {
  const bool isFew = (p.m < p.n ? p.m : p.n) <= kMostFew;
  if (choice.kernel == Kernel::few || (choice.kernel == Kernel::automatic && isFew)) {
    return fewProduct<double>(p, choice);
  }
  return simtProduct<double>(p, kOneTile, choice);
}

/// An operand of 16-bit floats as float32, contiguous.
Status widenOperand(const GemmProblem& p, bool isA, DeviceScratch& scratch, GemmOperand* operand,
                    int64_t* batchSteps) {
  TensorView from = {}, to;
  from.data = const_cast<void*>(operand->data);
  from.dtype = p.dtype;
  from.rank = p.batch.rank + 2;
  for (int axis = 0; axis < p.batch.rank; ++axis) {
    from.shape[axis] = p.batch.shape[axis];
    from.strides[axis] = isA ? p.batch.a[axis] : p.batch.b[axis];
  }
  const int row = p.batch.rank, column = row + 1;
  from.shape[row] = isA ? p.m : p.k;
  from.shape[column] = isA ? p.k : p.n;
  from.strides[row] = operand->row;
  from.strides[column] = operand->column;
  to = from;
  to.dtype = DType::float32;
  to.contiguous = true;
  to.size = 1;
  for (int axis = column; axis >= 0; --axis) {
    to.strides[axis] = to.size;
    to.size *= to.shape[axis];
  }
  from.size = to.size;
  scratch = DeviceScratch(static_cast<size_t>(to.size) * sizeof(float));
  if (!scratch) return noMemory();
  to.data = scratch.data();
  *operand = {to.data, to.strides[row], to.strides[column]};
  for (int axis = 0; axis < p.batch.rank; ++axis) batchSteps[axis] = to.strides[axis];
  return castView(to, from);
}

Status halfProduct(const GemmProblem& p, const GemmChoice& choice) {
  if (hasTensorCores() && choice.kernel != Kernel::simt) {
    return tensorProduct<uint16_t>(
        p, kHalfTile, choice,
        [&](const GemmPlan<uint16_t, float>& plan, GemmLayouts layouts, int, uint32_t blocks) {
          return launchGemmHalf(plan, p.dtype, layouts, blocks);
        });
  }
  GemmProblem wide = p;
  wide.dtype = DType::float32;
  DeviceScratch a, b;
  if (p.k > 0) {
    Status status = widenOperand(p, true, a, &wide.a, wide.batch.a);
    if (status == Status::ok) status = widenOperand(p, false, b, &wide.b, wide.batch.b);
    if (status != Status::ok) return status;
  }
  return floatProduct(wide, choice);
}

const void* moved(const void* data, int64_t elements, DType dtype) {
  return data == nullptr ? nullptr
                         : static_cast<const char*>(data) + elements * elementBytes(dtype);
}
DType resultType(DType dtype) { return dtype == DType::float64 ? DType::float64 : DType::float32; }

/// The two halves of a product whose m, n or k is too long; the epilogue's later steps belong to
/// the last part of k.
Status halves(const GemmProblem& p, const GemmChoice& choice) {
  GemmProblem front = p, back = p;
  const DType of = resultType(p.dtype);
  const GemmEpilogue& e = p.epilogue;
  if (p.m > choice.mostExtent) {
    const int64_t half = front.m = p.m / 2;
    back.m = p.m - half;
    back.a.data = moved(p.a.data, half * p.a.row, p.dtype);
    back.c = const_cast<void*>(moved(p.c, half * p.ldc, of));
    if (e.biasOfRows) back.epilogue.bias = moved(e.bias, half * e.biasStride, of);
    back.epilogue.residual = moved(e.residual, half * e.residualRow, of);
  } else if (p.n > choice.mostExtent) {
    const int64_t half = front.n = p.n / 2;
    back.n = p.n - half;
    back.b.data = moved(p.b.data, half * p.b.column, p.dtype);
    back.c = const_cast<void*>(moved(p.c, half, of));
    if (!e.biasOfRows) back.epilogue.bias = moved(e.bias, half * e.biasStride, of);
    back.epilogue.residual = moved(e.residual, half, of);
  } else {
    const int64_t half = front.k = p.k / 2;
    back.k = p.k - half;
    back.a.data = moved(p.a.data, half * p.a.column, p.dtype);
    back.b.data = moved(p.b.data, half * p.b.row, p.dtype);
    front.epilogue.residual = back.epilogue.bias = nullptr;
    front.epilogue.relu = false;
    back.epilogue.accumulate = true;
  }
  const Status status = gemm(front, choice);
  return status == Status::ok ? gemm(back, choice) : status;
}

}  // namespace

Status gemm(const GemmProblem& problem, const GemmChoice& choice) {
  if (problem.m == 0 || problem.n == 0 || batchesOf(problem) == 0) return Status::ok;
  if (problem.m > choice.mostExtent || problem.n > choice.mostExtent ||
      problem.k > choice.mostExtent) {
    return halves(problem, choice);
  }
  switch (problem.dtype) {
    case DType::float32:
      return floatProduct(problem, choice);
    case DType::float64:
      return doubleProduct(problem, choice);
    default:
      return halfProduct(problem, choice);
  }
}

}  // namespace cuda
}  // namespace kindling

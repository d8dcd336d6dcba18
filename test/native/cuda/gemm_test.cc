// Matrix products of the device against plain sums in float64, for every kernel that the host may
// choose: around each tile's edges, in all layouts, with every step of the epilogue.

#include "cuda/gemm.h"

#include <cmath>
#include <string>
#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

using cuda::GemmBatch;
using cuda::GemmChoice;
using cuda::GemmEpilogue;
using cuda::GemmProblem;
using Kind = GemmChoice::Kernel;

/// Small numbers that float16, bfloat16 and TF32 hold exactly, so that only sums round.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  double value() { return (static_cast<double>(next() % 255) - 127) / 64; }

 private:
  uint32_t state_;
};

/// How a matrix lies in memory.
enum class Lay { rows, columns, paddedRows, paddedColumns, strided, backwards };

TestTensor matrix(DType dtype, int64_t rows, int64_t columns, Lay lay, uint32_t seed) {
  Numbers numbers(seed);
  const auto fill = [&](const TestTensor& t) {
    for (int64_t i = 0; i < t.size(); ++i) t.set(i, numbers.value());
    return t;
  };
  switch (lay) {
    case Lay::rows:
      return fill(TestTensor(dtype, {rows, columns}));
    case Lay::columns:
      return fill(TestTensor(dtype, {columns, rows}).transposed(0, 1));
    case Lay::paddedRows:
      return fill(TestTensor(dtype, {rows, columns + 3}).sliced(1, 1, columns));
    case Lay::paddedColumns:
      return fill(TestTensor(dtype, {columns, rows + 8}).transposed(0, 1).sliced(0, 8, rows));
    case Lay::strided:
      return fill(TestTensor(dtype, {rows, 2 * columns + 1}).sliced(1, 0, columns, 2));
    default:
      return fill(TestTensor(dtype, {rows, columns}).flipped(0).flipped(1));
  }
}

struct Case {
  DType dtype = DType::float32;
  int64_t m, n, k;
  GemmChoice choice;
  Lay a = Lay::rows, b = Lay::rows;
  bool bias = false, ofRows = false, accumulate = false, residual = false, relu = false;
  int64_t padding = 0;  // of C's rows
};

std::string describe(const Case& c) {
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + " dtype " +
         std::to_string(static_cast<int>(c.dtype)) + " kernel " +
         std::to_string(static_cast<int>(c.choice.kernel)) + " tile " +
         std::to_string(c.choice.tile) + " splits " + std::to_string(c.choice.splits) + " lays " +
         std::to_string(static_cast<int>(c.a)) + std::to_string(static_cast<int>(c.b)) +
         " epilogue " + std::to_string(c.bias) + std::to_string(c.ofRows) +
         std::to_string(c.accumulate) + std::to_string(c.residual) + std::to_string(c.relu);
}

/// Calls the entry as the host function of a kernel does.
Status onDevice(const GemmProblem& problem, const GemmChoice& choice) {
  static const GemmProblem* theProblem;
  static const GemmChoice* theChoice;
  theProblem = &problem;
  theChoice = &choice;
  OpCall call = {};
  call.op = Op::matmul;
  const Backend& backend = cudaBackend();
  return backend.run(
      backend.device, [](const OpCall&) { return cuda::gemm(*theProblem, *theChoice); }, call);
}

void check(const Case& c) {
  const DType out = c.dtype == DType::float64 ? DType::float64 : DType::float32;
  const TestTensor a = matrix(c.dtype, c.m, c.k, c.a, 1), b = matrix(c.dtype, c.k, c.n, c.b, 2);
  const TestTensor bias = matrix(out, 1, (c.ofRows ? c.m : c.n) * 2, Lay::rows, 3);
  const TestTensor residual = matrix(out, c.m, c.n, Lay::rows, 4);
  const TestTensor result = matrix(out, c.m, c.n + c.padding, Lay::rows, 5).sliced(1, 0, c.n);
  TestTensor expected(out, {c.m, c.n});
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < c.k; ++p) sum += a.at(i * c.k + p) * b.at(p * c.n + j);
      if (c.bias) sum += bias.at(2 * (c.ofRows ? i : j));
      if (c.accumulate) sum += result.at(i * c.n + j);
      if (c.residual) sum += residual.at(i * c.n + j);
      expected.set(i * c.n + j, c.relu && sum < 0 ? 0 : sum);
    }
  }
  const Backend& backend = cudaBackend();
  const OnDevice da(backend, a.view(), true), db(backend, b.view(), true),
      dBias(backend, bias.view(), true), dResidual(backend, residual.view(), true),
      dc(backend, result.view(), c.accumulate);
  GemmProblem p;
  p.dtype = c.dtype;
  p.m = c.m;
  p.n = c.n;
  p.k = c.k;
  p.a = {da.view().data, a.view().strides[0], a.view().strides[1]};
  p.b = {db.view().data, b.view().strides[0], b.view().strides[1]};
  p.c = dc.view().data;
  p.ldc = result.view().strides[0];
  if (c.bias) p.epilogue.bias = dBias.view().data;
  p.epilogue.biasStride = 2;
  p.epilogue.biasOfRows = c.ofRows;
  p.epilogue.accumulate = c.accumulate;
  if (c.residual) p.epilogue.residual = dResidual.view().data;
  p.epilogue.residualRow = c.n;
  p.epilogue.relu = c.relu;
  const Status status = onDevice(p, c.choice);
  REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
  REQUIRE(dc.fetch() == Status::ok);
  // Products are multiples of 2^-12, so that small sums are exact.
  const double scale = std::sqrt(static_cast<double>(c.k) + 1);
  requireClose(describe(c), result, expected,
               {1e-6, c.dtype == DType::float64 ? 1e-12 : 1e-6 * scale});
}

GemmChoice choose(Kind kernel, int tile = 0, int splits = 1) {
  GemmChoice choice;
  choice.kernel = kernel;
  choice.tile = tile;
  choice.splits = splits;
  return choice;
}

struct Variant {
  DType dtype;
  Kind kernel;
  int tile, depth;
};
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {DType::float32, Kind::simt, 32, 16},    {DType::float32, Kind::simt, 64, 16},
      {DType::float32, Kind::simt, 128, 16},   {DType::float64, Kind::simt, 64, 16},
      {DType::float32, Kind::tensor, 64, 32},  {DType::float32, Kind::tensor, 128, 32},
      {DType::float16, Kind::tensor, 128, 64}, {DType::bfloat16, Kind::tensor, 128, 64}};
  return all;
}

TEST_CASE("cuda gemm: around the edges of every tile") {
  for (const Variant& v : variants()) {
    const int64_t t = v.tile, d = v.depth;
    const int64_t shapes[][3] = {{1, 1, 1},
                                 {t, t, d},
                                 {t - 1, t + 1, d + 1},
                                 {t + 1, t - 1, d - 1},
                                 {5, 2 * t + 3, 3 * d + 4},
                                 {2 * t + 4, 8, 2 * d},
                                 {t, t, 0},
                                 {t / 2 + 4, t + 12, 4 * d + 8}};
    for (const auto& s : shapes) {
      Case c = {v.dtype, s[0], s[1], s[2], choose(v.kernel, v.tile)};
      check(c);
    }
  }
}

TEST_CASE("cuda gemm: every layout of both operands") {
  const Lay lays[] = {Lay::rows,          Lay::columns, Lay::paddedRows,
                      Lay::paddedColumns, Lay::strided, Lay::backwards};
  for (const Variant& v : variants()) {
    for (const Lay a : lays) {
      for (const Lay b : lays) {
        // Large tiles are slow here, so theirs are not all paired.
        if (v.tile == 128 && a != b && a != Lay::rows) continue;
        Case c = {v.dtype, 72, 40, 80, choose(v.kernel, v.tile), a, b};
        check(c);
      }
    }
  }
}

TEST_CASE("cuda gemm: epilogues, with and without a split k") {
  for (const Variant& v : variants()) {
    for (int bits = 0; bits < 32; bits += v.tile == 128 ? 3 : 1) {
      Case c = {v.dtype, 37, 44, v.depth * 5 + 4, choose(v.kernel, v.tile, 1 + bits % 3)};
      c.bias = bits & 1;
      c.ofRows = bits & 2;
      c.accumulate = bits & 4;
      c.residual = bits & 8;
      c.relu = bits & 16;
      c.padding = bits % 5;
      check(c);
    }
  }
}

TEST_CASE("cuda gemm: a few rows or columns") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (int64_t few = 1; few <= 4; ++few) {
      for (const int64_t many : {1, 7, 128, 133}) {
        for (const int64_t k : {0, 1, 3, 64, 257}) {
          for (int variant = 0; variant < 8; ++variant) {
            const bool rows = variant & 1;
            const Lay lay = variant & 2 ? Lay::columns : Lay::rows;
            Case c = {dtype,
                      rows ? few : many,
                      rows ? many : few,
                      k,
                      choose(Kind::few, 0, variant & 4 ? 3 : 1),
                      lay,
                      lay};
            if (variant == 6) c.a = c.b = Lay::strided;
            c.bias = variant & 4;
            c.relu = variant & 2;
            check(c);
          }
        }
      }
    }
  }
}

TEST_CASE("cuda gemm: the host's own choice") {
  Numbers numbers(7);
  for (int i = 0; i < 40; ++i) {
    const auto extent = [&](int64_t most) {
      return 1 + static_cast<int64_t>(numbers.next() % most);
    };
    Case c = {i % 5 ? DType::float32 : DType::float64, extent(150), extent(150), extent(200),
              GemmChoice()};
    c.a = static_cast<Lay>(numbers.next() % 6);
    c.b = static_cast<Lay>(numbers.next() % 6);
    c.bias = i & 1;
    c.accumulate = i & 2;
    check(c);
  }
}

TEST_CASE("cuda gemm: a long k is split") {
  Case c = {DType::float32, 16, 16, 9000, GemmChoice()};
  check(c);
  c.choice.kernel = Kind::tensor;
  check(c);
}

TEST_CASE("cuda gemm: extents beyond what a launch counts are cut") {
  for (const Variant& v : variants()) {
    Case c = {v.dtype, 50, 70, 90, choose(v.kernel, v.tile)};
    c.choice.mostExtent = 33;
    c.bias = c.accumulate = c.residual = c.relu = true;
    check(c);
    c.ofRows = true;
    check(c);
  }
}

TEST_CASE("cuda gemm: 16-bit operands without tensor cores") {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    Case c = {dtype, 33, 40, 70, choose(Kind::simt, 32), Lay::columns, Lay::strided};
    check(c);
  }
}

TEST_CASE("cuda gemm: a batch of 16-bit operands, with and without tensor cores") {
  for (const Kind kernel : {Kind::tensor, Kind::simt}) {
    Numbers numbers(3);
    const auto fill = [&](const TestTensor& t) {
      for (int64_t i = 0; i < t.size(); ++i) t.set(i, numbers.value());
      return t;
    };
    const TestTensor a = fill(TestTensor(DType::float16, {2, 1, 9, 20}));
    const TestTensor b = fill(TestTensor(DType::float16, {1, 3, 20, 12}));
    const TestTensor bias = fill(TestTensor(DType::float32, {6, 12}));
    const TestTensor result(DType::float32, {2, 3, 9, 12}), expected(DType::float32, {2, 3, 9, 12});
    for (int64_t i = 0; i < result.size(); ++i) {
      const int64_t column = i % 12, row = i / 12 % 9, batch = i / 108;
      double sum = bias.at(batch * 12 + column);
      for (int64_t p = 0; p < 20; ++p) {
        sum += a.at((batch / 3 * 9 + row) * 20 + p) * b.at((batch % 3 * 20 + p) * 12 + column);
      }
      expected.set(i, sum);
    }
    const Backend& backend = cudaBackend();
    const OnDevice da(backend, a.view(), true), db(backend, b.view(), true),
        dBias(backend, bias.view(), true), dc(backend, result.view(), false);
    GemmProblem p;
    p.dtype = DType::float16;
    p.m = 9;
    p.n = 12;
    p.k = 20;
    p.a = {da.view().data, 20, 1};
    p.b = {db.view().data, 12, 1};
    p.c = dc.view().data;
    p.ldc = 12;
    p.batch.rank = 2;
    p.batch.shape[0] = 2;
    p.batch.shape[1] = 3;
    p.batch.a[0] = 180;
    p.batch.b[1] = 240;
    p.batch.c = 108;
    p.epilogue.bias = dBias.view().data;
    p.epilogue.biasBatch = 12;
    const Status status = onDevice(p, choose(kernel, kernel == Kind::simt ? 32 : 128));
    REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
    REQUIRE(dc.fetch() == Status::ok);
    requireClose("a batch of halves", result, expected, {1e-6, 1e-5});
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling

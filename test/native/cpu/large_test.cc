// More than 2^31 elements. Inputs are mappings of which only a few pages are ever written; results
// need their memory, about 2 GiB. Left out unless asked for (--no-skip): native-tests.mjs runs
// these by themselves.

#include <sys/mman.h>

#include <cstdio>
#include <string>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

constexpr int64_t kBeyond = (int64_t{1} << 31) + 4099;
constexpr int64_t kNeededBytes = int64_t{5} << 29;

/// Zeros without memory, until they are written.
class Sparse {
 public:
  explicit Sparse(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(data_ != MAP_FAILED);
  }
  ~Sparse() { munmap(data_, bytes_); }
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  /// A contiguous tensor over the first elements, which does not own them.
  TestTensor tensor(DType dtype, const Shape& shape) const {
    TensorView view = {};
    view.data = data_;
    view.dtype = dtype;
    view.rank = static_cast<int32_t>(shape.size());
    view.size = elementCount(shape);
    view.contiguous = true;
    int64_t stride = 1;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      view.shape[axis] = shape[static_cast<size_t>(axis)];
      view.strides[axis] = stride;
      stride *= view.shape[axis];
    }
    return TestTensor::over(nullptr, view);
  }

 private:
  size_t bytes_;
  void* data_;
};

int64_t availableBytes() {
  FILE* const file = fopen("/proc/meminfo", "r");
  if (!file) return 0;
  char line[256];
  long long kilobytes = 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "MemAvailable: %lld", &kilobytes) == 1) break;
  }
  fclose(file);
  return kilobytes << 10;
}

bool lacksMemory() {
  if (availableBytes() >= kNeededBytes) return false;
  puts("skipped: tensors of more than 2^31 elements need 2.5 GiB of free memory");
  return true;
}

const std::vector<int64_t> kMarks = {0, 77, (int64_t{1} << 31) - 1, int64_t{1} << 31, kBeyond - 1};

/// Bytes of 0 but for 1, 2, ... at the marks.
void mark(const Sparse& memory) {
  for (size_t i = 0; i < kMarks.size(); ++i) {
    memory.as<uint8_t>()[kMarks[i]] = static_cast<uint8_t>(i + 1);
  }
}

}  // namespace

TEST_SUITE_BEGIN("large" * doctest::skip());

TEST_CASE("large: elementwise ops and copies") {
  if (lacksMemory()) return;
  const Sparse in(kBeyond), out(kBeyond);
  mark(in);
  const TestTensor x = in.tensor(DType::uint8, {kBeyond});
  const TestTensor three = TestTensor::from(DType::uint8, {}, {3});
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    const auto check = [&](DType dtype, double offset, double factor) {
      const TestTensor y = out.tensor(dtype, {kBeyond});
      for (size_t i = 0; i < kMarks.size(); ++i) {
        CHECK(y.at(kMarks[i]) == offset + factor * static_cast<double>(i + 1));
        if (kMarks[i] > 0)
          CHECK(y.at(kMarks[i] - 1) == (kMarks[i] == kMarks[3] ? offset + 3 * factor : offset));
      }
    };
    const TestTensor y = out.tensor(DType::uint8, {kBeyond});
    REQUIRE(run(level, Op::copy, {x}, {y}) == Status::ok);
    check(DType::uint8, 0, 1);
    REQUIRE(run(level, Op::add, {x, three}, {y}) == Status::ok);
    check(DType::uint8, 3, 1);
    // Backwards: every offset from the last element.
    REQUIRE(run(level, Op::copy, {x.flipped(0)}, {y}) == Status::ok);
    CHECK(y.at(0) == 5);
    CHECK(y.at(kBeyond - 1) == 1);
    CHECK(y.at(kBeyond - 78) == 2);
    REQUIRE(run(level, Op::greater, {x, three}, {out.tensor(DType::boolean, {kBeyond})}) ==
            Status::ok);
    CHECK(y.at(kBeyond - 1) == 1);
    CHECK(y.at(kMarks[3]) == 1);
    CHECK(y.at(kMarks[2]) == 0);
  }
}

TEST_CASE("large: conversions and reductions") {
  if (lacksMemory()) return;
  const Sparse in(kBeyond), out(kBeyond);
  mark(in);
  const TestTensor x = in.tensor(DType::uint8, {kBeyond});
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    REQUIRE(run(level, Op::cast, {x}, {out.tensor(DType::boolean, {kBeyond})}) == Status::ok);
    for (const int64_t at : kMarks) CHECK(out.as<uint8_t>()[at] == 1);
    CHECK(out.as<uint8_t>()[kBeyond - 2] == 0);
    // The largest is the last element.
    CHECK(runOp(level, Op::max, {x}, DType::uint8, {}, {1}).at(0) == 5);
  }
}

TEST_CASE("large: rows of a table beyond 2^31 elements") {
  constexpr int64_t kRows = (int64_t{1} << 28) + 9, kWidth = 9;
  const Sparse table(kRows * kWidth * 2);
  const TestTensor x = table.tensor(DType::float16, {kRows, kWidth});
  const TestTensor index = TestTensor::ints({3}, {kRows - 1, 0, kRows - 2});
  for (int64_t i = 0; i < 2 * kWidth; ++i) x.set((kRows - 2) * kWidth + i, static_cast<double>(i));
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor rows = runOp(level, Op::indexSelect, {x, index}, DType::float16, {3, kWidth});
    for (int64_t i = 0; i < kWidth; ++i) {
      CHECK(rows.at(i) == static_cast<double>(kWidth + i));
      CHECK(rows.at(kWidth + i) == 0);
      CHECK(rows.at(2 * kWidth + i) == static_cast<double>(i));
    }
  }
}

TEST_CASE("large: products of operands whose rows lie more than 2^31 elements apart") {
  constexpr int64_t kApart = (int64_t{1} << 31) + 64, kInner = 40;
  const Sparse memory((2 * kApart + kInner) * 4);
  TensorView view = memory.tensor(DType::float32, {3, kInner}).view();
  view.strides[0] = kApart;
  view.contiguous = false;
  const TestTensor a = TestTensor::over(nullptr, view);
  for (int64_t i = 0; i < a.size(); ++i) a.set(i, static_cast<double>(i % 7) - 3);
  for (const int64_t columns : {1, 5, 70}) {
    const TestTensor b = TestTensor::generate(DType::float32, {kInner, columns}, [](int64_t i) {
      return static_cast<double>(i % 5) - 2;
    });
    for (const IsaLevel& level : isaLevels()) {
      CAPTURE(nameOf(level));
      CAPTURE(columns);
      const TestTensor c = runOp(level, Op::matmul, {a, b}, DType::float32, {3, columns});
      const TestTensor d = runOp(level, Op::matmul, {b.transposed(0, 1), a.transposed(0, 1)},
                                 DType::float32, {columns, 3});
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < kInner; ++k) sum += a.at(i * kInner + k) * b.at(k * columns + j);
          CHECK(c.at(i * columns + j) == sum);
          CHECK(d.at(j * 3 + i) == sum);
        }
      }
    }
  }
}

TEST_SUITE_END();

}  // namespace testing
}  // namespace kindling

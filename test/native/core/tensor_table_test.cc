#include "core/tensor_table.h"

#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "core/allocator.h"
#include "doctest/doctest.h"

namespace kindling {
namespace {

std::unique_ptr<TensorTable> makeTable() { return std::make_unique<TensorTable>(); }

Handle create(TensorTable& table, std::vector<int64_t> shape) {
  Handle handle = 0;
  REQUIRE(table.create(cpuBackend(), DType::float32, static_cast<int>(shape.size()), shape.data(),
                       &handle) == Status::ok);
  return handle;
}

Status view(TensorTable& table, Handle base, std::vector<int64_t> shape,
            std::vector<int64_t> strides, int64_t offset) {
  Handle handle = 0;
  return table.view(base, static_cast<int>(shape.size()), shape.data(), strides.data(), offset,
                    &handle);
}

}  // namespace

TEST_CASE("handles find their tensors until released, never after") {
  const auto table = makeTable();
  const Handle a = create(*table, {2, 3});
  REQUIRE(table->find(a) != nullptr);
  CHECK(table->find(a)->view.size == 6);
  CHECK(table->find(a)->view.strides[0] == 3);
  CHECK(table->find(a)->view.contiguous);
  CHECK(table->release(a) == Status::ok);
  CHECK(table->find(a) == nullptr);
  CHECK(table->release(a) == Status::badHandle);
  // The slot is used again under another generation.
  const Handle b = create(*table, {2, 3});
  CHECK(b != a);
  CHECK(table->find(a) == nullptr);
  CHECK(table->find(0) == nullptr);
  CHECK(table->find(~0u) == nullptr);
}

TEST_CASE("a view keeps its storage alive") {
  const auto table = makeTable();
  const uint64_t before = memoryStats().allocatedBytes;
  const Handle base = create(*table, {4});
  static_cast<float*>(table->find(base)->view.data)[2] = 7;
  Handle part = 0;
  const int64_t shape[] = {2}, strides[] = {1};
  REQUIRE(table->view(base, 1, shape, strides, 2, &part) == Status::ok);
  table->release(base);
  CHECK(memoryStats().allocatedBytes > before);
  CHECK(static_cast<float*>(table->find(part)->view.data)[0] == 7);
  table->release(part);
  CHECK(memoryStats().allocatedBytes == before);
}

TEST_CASE("no view reaches outside its storage") {
  const auto table = makeTable();
  const Handle base = create(*table, {2, 3});
  CHECK(view(*table, base, {3, 2}, {1, 3}, 0) == Status::ok);
  CHECK(view(*table, base, {6}, {-1}, 5) == Status::ok);
  CHECK(view(*table, base, {100}, {0}, 5) == Status::ok);
  CHECK(view(*table, base, {7}, {1}, 0) == Status::badShape);
  CHECK(view(*table, base, {6}, {1}, 1) == Status::badShape);
  CHECK(view(*table, base, {6}, {-1}, 4) == Status::badShape);
  CHECK(view(*table, base, {2}, {1}, -1) == Status::badShape);
  CHECK(view(*table, base, {2, 2}, {5, 1}, 0) == Status::badShape);
  CHECK(view(*table, base, {2}, {int64_t{1} << 62}, 0) == Status::badShape);
  CHECK(view(*table, base, {2}, {std::numeric_limits<int64_t>::min()}, 0) == Status::badShape);
  CHECK(view(*table, base, {1}, {1}, std::numeric_limits<int64_t>::max()) == Status::badShape);
  CHECK(view(*table, base, {int64_t{1} << 40, int64_t{1} << 40}, {0, 0}, 0) == Status::badShape);
  CHECK(view(*table, base, {-1}, {1}, 0) == Status::badShape);
  // An empty view reaches nothing, wherever it points.
  CHECK(view(*table, base, {0, 5}, {99, 99}, 0) == Status::ok);
  // Views of a view count from its first element, within the same storage.
  Handle tail = 0;
  const int64_t shape[] = {2}, strides[] = {1};
  REQUIRE(table->view(base, 1, shape, strides, 4, &tail) == Status::ok);
  CHECK(view(*table, tail, {6}, {1}, -4) == Status::ok);
  CHECK(view(*table, tail, {3}, {1}, 0) == Status::badShape);
}

TEST_CASE("shapes are checked") {
  const auto table = makeTable();
  Handle handle = 0;
  const int64_t negative[] = {-1};
  const int64_t huge[] = {int64_t{1} << 40, int64_t{1} << 40};
  const int64_t large[] = {int64_t{1} << 45};
  const int64_t nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  CHECK(table->create(cpuBackend(), DType::float32, 1, negative, &handle) == Status::badShape);
  CHECK(table->create(cpuBackend(), DType::float32, 2, huge, &handle) == Status::badShape);
  CHECK(table->create(cpuBackend(), DType::float32, 9, nine, &handle) == Status::badShape);
  CHECK(table->create(cpuBackend(), DType::float32, -1, nine, &handle) == Status::badShape);
  CHECK(table->create(cpuBackend(), DType::float32, 1, large, &handle) == Status::outOfMemory);
  CHECK(table->live() == 0);
  CHECK(strlen(lastErrorMessage()) > 0);
}

TEST_CASE("many tensors, and a sweep that frees the chosen ones") {
  const auto table = makeTable();
  std::vector<Handle> handles;
  for (int64_t i = 0; i < 3000; ++i) handles.push_back(create(*table, {i % 7}));
  CHECK(table->live() == 3000);
  table->sweep([](TensorTable::Slot& slot) { return slot.view.size % 2 == 1; });
  for (size_t i = 0; i < handles.size(); ++i) {
    CHECK((table->find(handles[i]) != nullptr) == (i % 7 % 2 == 0));
  }
}

}  // namespace kindling

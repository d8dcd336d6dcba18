// The run time of the CUDA backend on the emulator: memory, copies, errors of kernels, graphs.

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/devices.h"
#include "core/executor.h"
#include "core/program.h"
#include "core/program_words.h"
#include "core/storage.h"
#include "cuda/compare.h"
#include "cuda_emulator/schedule.h"
#include "doctest/doctest.h"

namespace kindling {
namespace {

using testing::cudaApi;
using testing::cudaBackend;

constexpr size_t kMiB = size_t{1} << 20;

MemoryStats stats() {
  MemoryStats result = {};
  cudaBackend().memoryStats(cudaBackend().device, &result);
  return result;
}

void* take(size_t bytes) { return cudaBackend().allocate(cudaBackend().device, bytes); }
void give(void* data, size_t bytes) { cudaBackend().deallocate(cudaBackend().device, data, bytes); }

/// Whether memory is cached at all in this run (KINDLING_CUDA_NO_CACHE).
bool isCached() {
  const uint64_t before = stats().cachedBytes;
  give(take(100), 100);
  return stats().cachedBytes != before || stats().cacheHits > 0;
}

Status send(void* to, const std::vector<float>& values, const Backend& backend = cudaBackend()) {
  return backend.copyFromHost(backend.device, to, values.data(), values.size() * sizeof(float));
}

std::vector<float> receive(const void* from, size_t count, const Backend& backend = cudaBackend()) {
  std::vector<float> values(count, -1.0f);
  const Status status =
      backend.copyToHost(backend.device, values.data(), from, count * sizeof(float));
  CHECK_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
  return values;
}

std::vector<float> counting(size_t count, float start = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), start);
  return values;
}

TEST_SUITE_BEGIN("cuda run time");

TEST_CASE("cuda memory: a block given back is the next one of its size") {
  if (!isCached()) {
    MESSAGE("skipped: memory is not cached in this run");
    return;
  }
  const uint64_t used = stats().allocatedBytes;
  void* const first = take(5000);
  CHECK(stats().allocatedBytes >= used + 5000);
  give(first, 5000);
  CHECK(stats().allocatedBytes == used);
  const uint64_t hits = stats().cacheHits, reserved = stats().reservedBytes;
  void* const second = take(5000);
  CHECK(second == first);
  CHECK(stats().cacheHits == hits + 1);
  CHECK(stats().reservedBytes == reserved);
  give(second, 5000);
}

TEST_CASE("cuda memory: blocks are cut from segments and become whole again") {
  if (!isCached()) {
    MESSAGE("skipped: memory is not cached in this run");
    return;
  }
  cudaBackend().emptyCache(cudaBackend().device);
  const MemoryStats before = stats();
  std::vector<void*> parts;
  for (int i = 0; i < 7; ++i) parts.push_back(take(256 * 1024));
  const uint64_t reserved = stats().reservedBytes;
  for (size_t i : {1u, 3u, 5u, 0u, 2u, 4u, 6u}) give(parts[i], 256 * 1024);
  // As one piece it holds what the parts held.
  void* const whole = take(kMiB);
  CHECK(stats().reservedBytes == reserved);
  give(whole, kMiB);
  cudaBackend().emptyCache(cudaBackend().device);
  CHECK(stats().reservedBytes == before.reservedBytes);
  CHECK(stats().cachedBytes == before.cachedBytes);
  CHECK(stats().allocatedBytes == before.allocatedBytes);
}

TEST_CASE("cuda memory: blocks do not overlap") {
  std::vector<std::pair<char*, size_t>> blocks;
  for (size_t i = 1; i < 200; ++i) {
    const size_t bytes = i * i * 37 % 90000 + 1;
    blocks.emplace_back(static_cast<char*>(take(bytes)), bytes);
    if (i % 3 == 0) {
      give(blocks[i / 3].first, blocks[i / 3].second);
      blocks[i / 3].first = static_cast<char*>(take(blocks[i / 3].second = bytes));
    }
  }
  std::vector<std::pair<char*, size_t>> sorted = blocks;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < sorted.size(); ++i) {
    CHECK(sorted[i - 1].first + sorted[i - 1].second <= sorted[i].first);
  }
  for (const auto& [data, bytes] : blocks) give(data, bytes);
}

TEST_CASE("cuda memory: what one queue gave back is not for another, whose work may come first") {
  if (!isCached()) {
    MESSAGE("skipped: memory is not cached in this run");
    return;
  }
  void* const queue = cudaApi().takeQueue();
  void* const mine = take(7000);
  give(mine, 7000);
  void* other = nullptr;
  std::thread thread([&] {
    cudaApi().useQueue(queue);
    other = take(7000);
    give(other, 7000);
    cudaApi().useQueue(nullptr);
  });
  thread.join();
  CHECK(other != nullptr);
  CHECK(other != mine);
  void* const again = take(7000);
  CHECK(again == mine);
  give(again, 7000);
  cudaApi().giveQueueBack(queue);
}

TEST_CASE("cuda memory: more than there is") {
  CHECK(take(size_t{1} << 50) == nullptr);
  CHECK(take(~size_t{0}) == nullptr);
  void* const some = take(10);
  CHECK(some != nullptr);
  give(some, 10);
}

TEST_CASE("cuda copies: any number of bytes, there and back, the source free at once") {
  for (size_t count : {size_t{1}, size_t{1000}, kMiB, kMiB + 1, 3 * kMiB + 77}) {
    std::vector<float> values = counting(count);
    void* const data = take(count * sizeof(float));
    REQUIRE(send(data, values) == Status::ok);
    std::fill(values.begin(), values.end(), -5.0f);
    CHECK(receive(data, count) == counting(count));
    give(data, count * sizeof(float));
  }
}

TEST_CASE("cuda copies: a read that has begun sees what was there") {
  const Backend& backend = cudaBackend();
  const size_t bytes = 1000 * sizeof(float);
  void* const data = take(bytes);
  REQUIRE(send(data, counting(1000)) == Status::ok);
  void* read = nullptr;
  REQUIRE(backend.beginRead(backend.device, data, bytes, &read) == Status::ok);
  REQUIRE(send(data, counting(1000, 7)) == Status::ok);
  std::vector<float> values(1000);
  std::thread([&] { CHECK(backend.finishRead(read, values.data()) == Status::ok); }).join();
  CHECK(values == counting(1000));
  CHECK(receive(data, 1000) == counting(1000, 7));
  REQUIRE(backend.beginRead(backend.device, data, bytes, &read) == Status::ok);
  CHECK(backend.finishRead(read, nullptr) == Status::ok);
  give(data, bytes);
}

TEST_CASE("cuda copies: from device to device, in the order of both") {
  int32_t count = 0;
  cudaApi().start([](const char*) {}, &count);
  if (count < 2) {
    MESSAGE("skipped: one device (KINDLING_EMULATOR_DEVICES=2 makes two)");
    return;
  }
  const Backend &first = cudaBackend(0), &second = cudaBackend(1);
  const size_t bytes = 5000 * sizeof(float);
  void* const from = first.allocate(first.device, bytes);
  void* const to = second.allocate(second.device, bytes);
  REQUIRE(send(from, counting(5000), first) == Status::ok);
  REQUIRE(second.copyFromDevice(second.device, to, first.device, from, bytes) == Status::ok);
  REQUIRE(send(from, counting(5000, 100), first) == Status::ok);
  CHECK(receive(to, 5000, second) == counting(5000));
  CHECK(receive(from, 5000, first) == counting(5000, 100));
  first.deallocate(first.device, from, bytes);
  second.deallocate(second.device, to, bytes);
}

TEST_CASE("cuda errors: a bad index is told once, by the next call that waits") {
  using testing::TestTensor;
  const Backend& backend = cudaBackend();
  const auto table = TestTensor::generate(DType::float32, {4, 3}, [](int64_t i) { return i; });
  const auto index = TestTensor::from(DType::int32, {2}, {1, 9});
  const TestTensor rows(DType::float32, {2, 3});
  CHECK(testing::runOnDevice(Op::indexSelect, {table, index}, {rows}) == Status::indexOutOfRange);
  CHECK(std::string(lastErrorMessage()) == "indexSelect: index 9 at position 1 is outside [0, 4)");
  CHECK(backend.synchronize(backend.device) == Status::ok);
}

TEST_CASE("cuda errors: devices that are not there") {
  CHECK(cudaApi().backend(77) == nullptr);
  CHECK(std::string(lastErrorMessage()).find("no device cuda:77") != std::string::npos);
  CHECK(cudaApi().backend(-1) == nullptr);
}

/// The device's memory of one test.
struct Memory {
  explicit Memory(size_t bytes) : bytes(bytes), data(take(bytes)) { REQUIRE(data != nullptr); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { give(data, bytes); }
  size_t bytes;
  void* data;
};

constexpr size_t kBytes = static_cast<size_t>(kLength) * sizeof(float);

/// y = -(-(x + x)) + k, where k is a live number; 5 steps, the live one in the middle.
Words withLive() {
  const double apart = 4 * kLength;
  Words words(2, 6, 5, 4 * apart, 1);
  words.binding(Role::argument).binding(Role::result);
  words.value(0, 0).value(1, 0);
  for (int i = 0; i < 4; ++i) words.value(-1, i * apart);
  words.step(Op::add, {0, 0, 2}).step(Op::neg, {2, 3});
  words.step(Op::full, {4, 0}, 0);
  words.step(Op::neg, {3, 5}).step(Op::add, {5, 4, 1});
  return words;
}

TEST_CASE(
    "cuda graphs: stretches are recorded once and launched, live numbers are those of each run") {
  std::shared_ptr<const Program> program;
  REQUIRE_MESSAGE(withLive().parse(&program, cudaBackend()) == Status::ok,
                  std::string(lastErrorMessage()));
  const Memory arena(program->arenaBytes());
  for (int run = 0; run < 6; ++run) {
    // Other memory at each run.
    const Memory gap(kBytes * static_cast<size_t>(run + 1)), x(kBytes), y(kBytes);
    REQUIRE(send(x.data, std::vector<float>(kLength, static_cast<float>(run))) == Status::ok);
    void* const data[] = {x.data, y.data};
    const double live = 10.0 * run;
    const Status status = program->run(arena.data, data, &live);
    REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
    CHECK(receive(y.data, kLength) == std::vector<float>(kLength, static_cast<float>(12 * run)));
  }
  REQUIRE(program->replay() != nullptr);
  CHECK(program->replay()->recordings() == 2);
  CHECK(program->replay()->launches() == 10);
}

TEST_CASE("cuda programs: neighbouring updates of one optimizer are one launch") {
  constexpr int kParameters = 5;
  // Three with one learning rate and two with another; param, grad and an unused velocity each.
  Words words(3 * kParameters, 3 * kParameters, kParameters, 0);
  for (int i = 0; i < 3 * kParameters; ++i) {
    words.binding(i % 3 == 1 ? Role::captured : Role::updated);
  }
  for (int i = 0; i < 3 * kParameters; ++i) words.value(i, 0);
  for (int i = 0; i < kParameters; ++i) {
    const double at = 3 * i;
    words.step(Op::sgdStep, {at, at + 1, at + 2, 0, 1, i < 3 ? 0.5 : 0.25, 0, 0, 0});
  }
  std::shared_ptr<const Program> program;
  REQUIRE_MESSAGE(words.parse(&program, cudaBackend()) == Status::ok,
                  std::string(lastErrorMessage()));
  std::vector<std::unique_ptr<Memory>> memory;
  std::vector<void*> data;
  for (int i = 0; i < 3 * kParameters; ++i) {
    memory.push_back(std::make_unique<Memory>(kBytes));
    data.push_back(memory.back()->data);
    const float value = i % 3 == 0 ? 1.0f : i % 3 == 1 ? 2.0f : 0.0f;
    REQUIRE(send(data.back(), std::vector<float>(kLength, value)) == Status::ok);
  }
  const uint64_t before = cuda::emulator::counters().launches;
  REQUIRE_MESSAGE(program->run(nullptr, data.data(), nullptr) == Status::ok,
                  std::string(lastErrorMessage()));
  REQUIRE(cudaBackend().synchronize(cudaBackend().device) == Status::ok);
  CHECK(cuda::emulator::counters().launches == before + 2);
  for (int i = 0; i < kParameters; ++i) {
    const float wanted = i < 3 ? 0.0f : 0.5f;
    CHECK(receive(data[static_cast<size_t>(3 * i)], kLength) ==
          std::vector<float>(kLength, wanted));
  }
}

/// total += x + x, by way of the arena; out = total.
Words accumulating() {
  Words words(3, 5, 3, 2 * 4 * kLength + 64);
  words.binding(Role::argument).binding(Role::updated).binding(Role::result);
  words.value(0, 0).value(1, 0).value(2, 0).value(-1, 0).value(-1, 4 * kLength);
  words.step(Op::add, {0, 0, 3}).step(Op::add, {3, 1, 2}).step(Op::assign, {1, 2});
  return words;
}

TEST_CASE("cuda graphs: are recorded again where what they update has moved") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulating().parse(&program, cudaBackend()) == Status::ok);
  const Memory arena(program->arenaBytes()), x(kBytes), first(kBytes), second(kBytes), out(kBytes);
  REQUIRE(send(x.data, std::vector<float>(kLength, 1)) == Status::ok);
  for (const Memory* total : {&first, &second}) {
    REQUIRE(send(total->data, std::vector<float>(kLength, 0)) == Status::ok);
  }
  float expected[2] = {0, 0};
  const int order[] = {0, 0, 0, 1, 1, 0, 1};
  for (const int which : order) {
    void* const data[] = {x.data, which == 0 ? first.data : second.data, out.data};
    REQUIRE(program->run(arena.data, data, nullptr) == Status::ok);
    expected[which] += 2;
    CHECK(receive(out.data, 1)[0] == expected[which]);
  }
  CHECK(receive(first.data, kLength) == std::vector<float>(kLength, expected[0]));
  CHECK(receive(second.data, kLength) == std::vector<float>(kLength, expected[1]));
  // The second run, and each change after it.
  CHECK(program->replay()->recordings() == 4);
}

TEST_CASE("cuda programs: an operand that the host reads cannot be the device's") {
  Words words(2, 2, 1, 64);
  words.binding(Role::captured).binding(Role::result);
  words.value(0, 0).value(1, 0);
  words.step(Op::neg, {0, 1});
  std::shared_ptr<const Program> program;
  CHECK(words.parse(&program, cudaBackend()) == Status::ok);
  CHECK_FALSE(program->bindings()[0].isOnHost);
}

struct Ended {
  std::vector<Status> statuses;
  std::vector<std::string> messages;
  static void tell(void* context, const Run&, Status status, const char* message) {
    Ended& ended = *static_cast<Ended*>(context);
    ended.statuses.push_back(status);
    ended.messages.emplace_back(message);
  }
};

TEST_CASE("cuda programs: the executor runs them in the order of its queue") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulating().parse(&program, cudaBackend()) == Status::ok);
  DeviceQueue queue;
  Ended ended;
  const auto filled = [](float value) {
    StorageRef storage = Storage::create(cudaBackend(), kBytes);
    REQUIRE(send(storage->data(), std::vector<float>(kLength, value)) == Status::ok);
    REQUIRE(cudaBackend().synchronize(cudaBackend().device) == Status::ok);
    return storage;
  };
  const StorageRef total = filled(0);
  {
    Executor executor(queue, Ended::tell, &ended);
    for (uint32_t id = 1; id <= 20; ++id) {
      auto run = std::make_unique<Run>();
      run->id = id;
      run->program = program;
      for (const StorageRef& storage : {filled(1), total, filled(0)}) {
        run->storages.push_back(storage);
        run->data.push_back(storage->data());
      }
      executor.submit(std::move(run));
    }
    executor.drain();
  }
  CHECK(receive(total->data(), kLength) == std::vector<float>(kLength, 40));
  CHECK(program->replay()->launches() == 19);
}

TEST_SUITE_END();

}  // namespace
}  // namespace kindling

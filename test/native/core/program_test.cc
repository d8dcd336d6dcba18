#include "core/program.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "core/executor.h"
#include "core/program_words.h"
#include "core/storage.h"
#include "core/thread_pool.h"
#include "doctest/doctest.h"

namespace kindling {
namespace {

/// total += x + x, by way of the arena, and gives the new total.
Words accumulate() {
  Words words(3, 5, 3, 2 * 4 * kLength + 64);
  words.binding(Role::argument).binding(Role::updated).binding(Role::result);
  words.value(0, 0).value(1, 0).value(2, 0).value(-1, 0).value(-1, 4 * kLength);
  words.step(Op::add, {0, 0, 3}).step(Op::add, {3, 1, 2}).step(Op::assign, {1, 2});
  return words;
}

DeviceQueue queue;

struct Ended {
  std::mutex mutex;
  std::vector<uint32_t> runs;
  std::vector<Status> statuses;
  static void tell(void* context, const Run& run, Status status, const char*) {
    Ended& ended = *static_cast<Ended*>(context);
    const std::lock_guard<std::mutex> lock(ended.mutex);
    ended.runs.push_back(run.id);
    ended.statuses.push_back(status);
  }
};

StorageRef filled(float value) {
  StorageRef storage = Storage::create(cpuBackend(), kLength * sizeof(float));
  float* data = static_cast<float*>(storage->data());
  for (int64_t i = 0; i < kLength; ++i) data[i] = value;
  return storage;
}

float firstOf(const StorageRef& storage) { return *static_cast<const float*>(storage->data()); }

std::unique_ptr<Run> runOf(uint32_t id, const std::shared_ptr<const Program>& program,
                           const std::vector<StorageRef>& storages) {
  std::unique_ptr<Run> run(new Run);
  run->id = id;
  run->program = program;
  run->storages = storages;
  for (const StorageRef& storage : storages) run->data.push_back(storage->data());
  return run;
}

}  // namespace

TEST_SUITE_BEGIN("program");

TEST_CASE("program: runs its records in order") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulate().parse(&program) == Status::ok);
  std::vector<float> x(kLength, 3), total(kLength, 10), out(kLength), arena(3 * kLength);
  void* data[] = {x.data(), total.data(), out.data()};
  REQUIRE(program->run(arena.data(), data, nullptr) == Status::ok);
  CHECK(out[kLength - 1] == 16);
  CHECK(total[0] == 16);
}

TEST_CASE("program: what does not fit is refused") {
  std::shared_ptr<const Program> program;
  const auto refused = [&](Words words) { return words.parse(&program) != Status::ok; };
  CHECK(refused(Words(0, 1, 0, 4 * kLength - 4).value(-1, 0)));
  CHECK(refused(Words(0, 1, 0, 4 * kLength).value(-1, 4)));
  CHECK(refused(Words(0, 1, 0, 4 * kLength).value(-1, -4)));
  CHECK(refused(Words(0, 1, 0, 4 * kLength).value(-1, 2)));
  CHECK(refused(Words(0, 1, 0, 4 * kLength).value(-1, 0, kLength, -1)));
  CHECK(refused(Words(0, 1, 0, 4 * kLength).value(0, 0)));
  CHECK(refused(Words(0, 1, 0, 64).value(-1, 0, int64_t{1} << 50)));
  CHECK(refused(Words(1, 1, 0, 64).binding(Role::captured).value(0, 4)));
  CHECK(refused(Words(1, 2, 1, 4 * kLength)
                    .binding(Role::captured)
                    .value(0, 0)
                    .value(-1, 0)
                    .step(Op::neg, {0, 2})));
  CHECK(refused(Words(1, 2, 1, 4 * kLength)
                    .binding(Role::captured)
                    .value(0, 0)
                    .value(-1, 0, 5)
                    .step(Op::neg, {0, 1})));
  CHECK(refused(Words(0, 1, 1, 4 * kLength).value(-1, 0).step(Op::full, {0, 1}, 0)));
  Words longer = accumulate();
  longer.add({0});
  CHECK(refused(longer));
  Words shorter = accumulate();
  shorter.words().pop_back();
  CHECK(refused(shorter));
}

TEST_CASE("program: no numbers make it crash") {
  std::mt19937 random(1);
  const double odd[] = {-1, 0, 1, 2, 1e9, 1e300, -1e300, NAN, INFINITY, 0.5, 4096};
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Words words = accumulate();
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < changes; ++i) {
      words.words()[random() % words.words().size()] = odd[random() % 11];
    }
    std::shared_ptr<const Program> program;
    if (words.parse(&program) != Status::ok) continue;
    ++accepted;
    bool isSmall = program->arenaBytes() <= 16 * kLength && program->liveCount() < 100;
    const size_t bindings = program->bindings().size();
    for (size_t i = 0; i < bindings; ++i) isSmall &= program->bytesOf(i) <= 16 * kLength;
    if (!isSmall) continue;
    std::vector<std::vector<float>> memory;
    std::vector<void*> data;
    for (size_t i = 0; i < bindings; ++i) {
      memory.emplace_back(static_cast<size_t>(program->bytesOf(i) / 4 + 1), 1.0f);
      data.push_back(memory.back().data());
    }
    std::vector<float> arena(program->arenaBytes() / 4 + 1);
    const std::vector<double> live(program->liveCount() + 1);
    program->run(arena.data(), data.data(), live.data());
  }
  CHECK(accepted > 100);
}

TEST_CASE("executor: runs in order, and says so") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulate().parse(&program) == Status::ok);
  Ended ended;
  const StorageRef total = filled(0);
  std::vector<StorageRef> outs;
  {
    Executor executor(queue, Ended::tell, &ended);
    for (uint32_t id = 1; id <= 50; ++id) {
      outs.push_back(filled(0));
      executor.submit(runOf(id, program, {filled(1), total, outs.back()}));
    }
    executor.drain();
    CHECK_FALSE(total->isInUse());
  }
  CHECK(firstOf(total) == 100);
  for (size_t i = 0; i < outs.size(); ++i) CHECK(firstOf(outs[i]) == 2 * static_cast<float>(i + 1));
  for (size_t i = 0; i < ended.runs.size(); ++i) CHECK(ended.runs[i] == i + 1);
}

TEST_CASE("executor: repetitions go along the arguments and results") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulate().parse(&program) == Status::ok);
  Ended ended;
  const StorageRef total = filled(0);
  const StorageRef x = Storage::create(cpuBackend(), 3 * kLength * sizeof(float));
  const StorageRef out = Storage::create(cpuBackend(), 3 * kLength * sizeof(float));
  float* data = static_cast<float*>(x->data());
  for (int64_t i = 0; i < 3 * kLength; ++i) data[i] = static_cast<float>(i / kLength + 1);
  Executor executor(queue, Ended::tell, &ended);
  std::unique_ptr<Run> run = runOf(1, program, {x, total, out});
  run->repeats = 3;
  executor.submit(std::move(run));
  executor.drain();
  const float* results = static_cast<const float*>(out->data());
  CHECK(results[0] == 2);
  CHECK(results[kLength] == 6);
  CHECK(results[3 * kLength - 1] == 12);
  CHECK(firstOf(total) == 12);
}

TEST_CASE("executor: what has not begun can be cancelled, and an end leaves nothing marked") {
  std::shared_ptr<const Program> program;
  REQUIRE(accumulate().parse(&program) == Status::ok);
  for (int round = 0; round < 50; ++round) {
    Ended ended;
    const StorageRef total = filled(0);
    int cancelled = 0;
    {
      Executor executor(queue, Ended::tell, &ended);
      for (uint32_t id = 1; id <= 20; ++id) {
        executor.submit(runOf(id, program, {filled(1), total, filled(0)}));
      }
      for (uint32_t id = 5; id <= 20; id += 3) cancelled += executor.cancel(id) ? 1 : 0;
      CHECK_FALSE(executor.cancel(99));
      if (round % 2 == 0) executor.drain();
    }
    CHECK_FALSE(total->isInUse());
    if (round % 2 == 0) CHECK(firstOf(total) == 2 * static_cast<float>(20 - cancelled));
  }
}

TEST_SUITE_END();

}  // namespace kindling

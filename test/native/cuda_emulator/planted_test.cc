// Every kind of mistake that a GPU would hide is planted once and must be caught by the builds that
// claim to catch it; the same kernel without the mistake must pass them all.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "cuda_emulator/device.h"
#include "cuda_emulator/planted/planted.h"
#include "cuda_emulator/schedule.h"
#include "doctest/doctest.h"

namespace kindling {
namespace cuda {
namespace {

using namespace planted;
using emulator::Order;

enum class Build { fast, address, checked };
#if defined(KINDLING_EMULATOR_CHECKED)
constexpr Build kBuild = Build::checked;
#elif defined(__SANITIZE_ADDRESS__)
constexpr Build kBuild = Build::address;
#else
constexpr Build kBuild = Build::fast;
#endif

/// As exit codes: none that a sanitizer uses.
enum class End { right = 40, wrongNumbers, found, died };
struct Outcome {
  End end;
  std::string said;
};

/// Runs something in a process of its own, which a sanitizer may end.
Outcome inChild(const std::function<End()>& body) {
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(pipes[0]);
    dup2(pipes[1], 2);
    // Where the test framework would tell of the end of the process.
    dup2(open("/dev/null", O_WRONLY), 1);
    _exit(static_cast<int>(body()));
  }
  close(pipes[1]);
  Outcome outcome = {End::died, ""};
  char buffer[4096];
  for (ssize_t n; (n = read(pipes[0], buffer, sizeof buffer)) > 0;) {
    outcome.said.append(buffer, static_cast<size_t>(n));
  }
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) >= static_cast<int>(End::right) &&
      WEXITSTATUS(status) <= static_cast<int>(End::found)) {
    outcome.end = static_cast<End>(WEXITSTATUS(status));
  }
  return outcome;
}

template <typename T>
T* onDevice(const std::vector<T>& values) {
  T* data = nullptr;
  if (cudaMalloc(&data, values.size() * sizeof(T)) != cudaSuccess) _exit(99);
  if (cudaMemcpy(data, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice) !=
      cudaSuccess) {
    _exit(99);
  }
  return data;
}
template <typename T>
T* newOnDevice(size_t count) {
  T* data = nullptr;
  if (cudaMalloc(&data, count * sizeof(T)) != cudaSuccess) _exit(99);
  return data;
}

/// 0, 1, 2, ...
std::vector<float> ramp(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
  return values;
}

template <typename... Parameters>
cudaError_t run(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
                Parameters... parameters) {
  return emulator::launchKernel(kernel, grid, block, sharedBytes, nullptr, false, parameters...);
}

/// How the work ended, if these should be the numbers at `data`.
template <typename T>
End endWith(const T* data, const std::vector<T>& expected) {
  std::vector<T> values(expected.size());
  if (cudaDeviceSynchronize() != cudaSuccess) return End::found;
  if (cudaMemcpy(values.data(), data, values.size() * sizeof(T), cudaMemcpyDeviceToHost) !=
      cudaSuccess) {
    return End::found;
  }
  return values == expected ? End::right : End::wrongNumbers;
}

/// What a build says of a mistake; nullptr where nothing is claimed.
struct Claims {
  const char* fast;
  const char* address;
  const char* checked;
};
/// The mistake shows in the numbers, not in a message.
const char* const kNumbers = "";

const std::vector<std::pair<const char*, Order>> kOrders = {{"forward", {Order::forward, 0}},
                                                            {"reverse", {Order::reverse, 0}},
                                                            {"random:1", {Order::random, 1}},
                                                            {"random:2", {Order::random, 2}},
                                                            {"random:3", {Order::random, 3}}};

/// `body(false)` runs the mistake, `body(true)` the same without it. In the fast builds one of the
/// orders must show the mistake, in the checked build each.
void checkPlanted(const Claims& claims, const std::function<End(bool right)>& body) {
  const char* const claim = kBuild == Build::fast      ? claims.fast
                            : kBuild == Build::address ? claims.address
                                                       : claims.checked;
  int caught = 0, orders = 0;
  std::string said;
  for (const auto& order : kOrders) {
    INFO("order ", order.first);
    const auto inOrder = [&](bool right) {
      return inChild([&] {
        emulator::setOrder(order.second);
        return body(right);
      });
    };
    const Outcome right = inOrder(true);
    CHECK_MESSAGE(right.end == End::right, "without the mistake: ", right.said);
    if (claim == nullptr) continue;
    const Outcome wrong = inOrder(false);
    ++orders;
    said += wrong.said;
    if (claim == kNumbers) {
      caught += wrong.end == End::wrongNumbers;
    } else {
      caught += wrong.end != End::right && wrong.said.find(claim) != std::string::npos;
    }
  }
  if (claim == nullptr) return;
  if (claim == kNumbers) {
    CHECK(caught > 0);
  } else {
    CHECK_MESSAGE(caught == orders, "not found in every order: ", claim, "\n", said);
  }
}

TEST_SUITE("emulator") {
  TEST_CASE("planted: a reduction without its barrier") {
    checkPlanted({kNumbers, kNumbers, "memory"}, [](bool right) {
      float* const x = onDevice(ramp(2 * kThreads));
      float* const y = newOnDevice<float>(2);
      run(right ? reduceWithoutBarrier<true> : reduceWithoutBarrier<false>, 2, kThreads, 0, y,
          static_cast<const float*>(x));
      return endWith(y, {8128.0f, 24512.0f});
    });
  }

  TEST_CASE("planted: i <= n") {
    checkPlanted({nullptr, "AddressSanitizer", "out of bounds: global"}, [](bool right) {
      float* const x = onDevice(ramp(100));
      float* const y = newOnDevice<float>(100);
      run(right ? copyTooMany<true> : copyTooMany<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x), 100);
      return endWith(y, ramp(100));
    });
  }

  TEST_CASE("planted: a step beyond a shared array") {
    checkPlanted({nullptr, "out of bounds for type", "out of bounds: shared"}, [](bool right) {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      run(right ? shiftBeyondShared<true> : shiftBeyondShared<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x));
      std::vector<float> expected = {0};
      for (int i = 0; i + 1 < kThreads; ++i) expected.push_back(static_cast<float>(i));
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: shared memory that nobody wrote") {
    checkPlanted({kNumbers, kNumbers, "uninitialised: shared"}, [](bool right) {
      float* const x = onDevice(ramp(96));
      float* const y = newOnDevice<float>(kThreads);
      run(right ? sumUnwrittenShared<true> : sumUnwrittenShared<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x), 96);
      return endWith(y, std::vector<float>(kThreads, 4560.0f));
    });
  }

  TEST_CASE("planted: a misaligned load of four numbers") {
    checkPlanted({nullptr, "misaligned address", "misaligned: 16 bytes"}, [](bool right) {
      float* const x = onDevice(ramp(4 * 32 + 4));
      float* const y = newOnDevice<float>(4 * 32);
      run(right ? copyMisaligned<true> : copyMisaligned<false>, 1, 32, 0, y,
          static_cast<const float*>(x));
      std::vector<float> expected = ramp(4 * 32);
      for (float& value : expected) value += 4;
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: global memory that nobody wrote") {
    checkPlanted({kNumbers, kNumbers, "uninitialised: global"}, [](bool right) {
      float* const y = newOnDevice<float>(kThreads);
      float* const unwritten = newOnDevice<float>(kThreads);
      run(right ? readUnwrittenGlobal<true> : readUnwrittenGlobal<false>, 1, kThreads, 0, y,
          unwritten);
      return endWith(y, std::vector<float>(kThreads, 1.0f));
    });
  }

  /// The kernels that turn round a block of numbers.
  void checkReversal(const Claims& claims, void (*right)(float*, const float*),
                     void (*wrong)(float*, const float*)) {
    checkPlanted(claims, [&](bool isRight) {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      run(isRight ? right : wrong, 1, kThreads, 0, y, static_cast<const float*>(x));
      const std::vector<float> values = ramp(kThreads);
      return endWith(y, std::vector<float>(values.rbegin(), values.rend()));
    });
  }

  TEST_CASE("planted: a barrier that only half of the block reaches") {
    const char* const said = "deadlock: of 128 threads 64 wait in __syncthreads at planted.cu";
    checkReversal({said, said, said}, barrierOfSome<true>, barrierOfSome<false>);
  }

  TEST_CASE("planted: two barriers for two halves of a block") {
    const char* const said =
        "divergent barrier: threads of a block are in __syncthreads at planted";
    checkReversal({said, said, said}, twoBarriers<true>, twoBarriers<false>);
  }

  TEST_CASE("planted: a return before the barrier") {
    const char* const said = "100 wait in __syncthreads at planted.cu";
    checkPlanted({said, said, said}, [](bool right) {
      float* const x = onDevice(ramp(100));
      float* const y = newOnDevice<float>(100);
      run(right ? barrierAfterReturn<true> : barrierAfterReturn<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x), 100);
      const std::vector<float> values = ramp(100);
      return endWith(y, std::vector<float>(values.rbegin(), values.rend()));
    });
  }

  TEST_CASE("planted: a tile that is used again without a barrier") {
    checkPlanted({kNumbers, kNumbers, "race in shared memory"}, [](bool right) {
      float* const x = onDevice(ramp(6 * kThreads));
      float* const y = newOnDevice<float>(6 * kThreads);
      run(right ? reuseWithoutBarrier<true> : reuseWithoutBarrier<false>, 2, kThreads, 0, y,
          static_cast<const float*>(x), 3);
      std::vector<float> expected;
      for (int i = 0; i < 6 * kThreads; ++i) {
        expected.push_back(
            static_cast<float>(i / kThreads * kThreads + kThreads - 1 - i % kThreads));
      }
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: an asynchronous copy without its wait") {
    checkPlanted({kNumbers, kNumbers, "uninitialised: shared"}, [](bool right) {
      float* const x = onDevice(ramp(4 * kThreads));
      float* const y = newOnDevice<float>(4 * kThreads);
      run(right ? copyWithoutWait<true> : copyWithoutWait<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x));
      std::vector<float> expected;
      for (int i = 0; i < 4 * kThreads; ++i) {
        expected.push_back(static_cast<float>(4 * (kThreads - 1 - i / 4) + i % 4));
      }
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: a wait for one copy too few") {
    checkPlanted({kNumbers, kNumbers, "uninitialised: shared"}, [](bool right) {
      float* const x = onDevice(ramp(2 * kThreads));
      float* const y = newOnDevice<float>(2 * kThreads);
      run(right ? waitForTooFew<true> : waitForTooFew<false>, 1, kThreads, 0, y,
          static_cast<const float*>(x));
      std::vector<float> expected;
      for (int i = 0; i < 2 * kThreads; ++i) {
        expected.push_back(
            static_cast<float>(i / kThreads * kThreads + kThreads - 1 - i % kThreads));
      }
      return endWith(y, expected);
    });
  }

  /// The kernels that exchange neighbours, all or only the first half of each warp.
  void checkNeighbours(const Claims& claims, int lanes, void (*right)(float*, const float*),
                       void (*wrong)(float*, const float*)) {
    checkPlanted(claims, [&](bool isRight) {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      run(isRight ? right : wrong, 1, kThreads, 0, y, static_cast<const float*>(x));
      std::vector<float> expected;
      for (int i = 0; i < kThreads; ++i) {
        expected.push_back(static_cast<float>(i % 32 < lanes ? i ^ 1 : i));
      }
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: a shuffle that half of the warp does not reach") {
    const char* const said = "wait in a shuffle at planted.cu";
    checkNeighbours({said, said, said}, 16, shuffleOfHalf<true>, shuffleOfHalf<false>);
  }

  TEST_CASE("planted: a shuffle's mask without all of its lanes") {
    const char* const said = "wrong mask";
    checkNeighbours({said, said, said}, 32, shuffleWithWrongMask<true>,
                    shuffleWithWrongMask<false>);
  }

  TEST_CASE("planted: a shuffle taken for a fence") {
    checkNeighbours({nullptr, nullptr, "race in shared memory"}, 32, shuffleAsFence<true>,
                    shuffleAsFence<false>);
  }

  TEST_CASE("planted: a count that is not atomic") {
    checkPlanted({nullptr, nullptr, "race in global memory"}, [](bool right) {
      int* const count = onDevice(std::vector<int>{0});
      run(right ? countInGlobal<true> : countInGlobal<false>, 5, 32, 0, count);
      return endWith(count, {5});
    });
  }

  TEST_CASE("planted: blocks that exchange without a barrier of the grid") {
    checkPlanted({kNumbers, kNumbers, "memory"}, [](bool right) {
      float* const y = newOnDevice<float>(4 * 64);
      float* const between = newOnDevice<float>(4 * 64);
      unsigned* const counter = onDevice(std::vector<unsigned>{0});
      emulator::launchKernel(right ? exchangeBetweenBlocks<true> : exchangeBetweenBlocks<false>, 4,
                             64, 0, nullptr, true, y, between, counter);
      const std::vector<float> values = ramp(4 * 64);
      return endWith(y, std::vector<float>(values.rbegin(), values.rend()));
    });
  }

  TEST_CASE("planted: a pointer of the host on the device") {
    checkPlanted({nullptr, nullptr, "the device reads memory of the host"}, [](bool right) {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      const std::vector<float> bias(kThreads, 1.0f);
      run(addBias, 1, kThreads, 0, y, static_cast<const float*>(x),
          right ? static_cast<const float*>(onDevice(bias)) : bias.data());
      std::vector<float> expected = ramp(kThreads);
      for (float& value : expected) value += 1;
      return endWith(y, expected);
    });
  }

  TEST_CASE("planted: results read before they are there") {
    const char* const said = kNumbers;
    checkPlanted({said, said, said}, [](bool right) {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      float* pinned = nullptr;
      cudaHostAlloc(&pinned, kThreads * sizeof(float), cudaHostAllocDefault);
      run(addOne, 1, kThreads, 0, y, static_cast<const float*>(x));
      cudaMemcpyAsync(pinned, y, kThreads * sizeof(float), cudaMemcpyDeviceToHost, nullptr);
      if (right) cudaStreamSynchronize(nullptr);
      for (int i = 0; i < kThreads; ++i) {
        if (pinned[i] != static_cast<float>(i + 1)) return End::wrongNumbers;
      }
      return End::right;
    });
  }

  TEST_CASE("planted: a copy beyond an allocation, and launches that no device takes") {
    const Outcome outcome = inChild([] {
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      std::vector<float> host(2 * kThreads);
      const auto from = static_cast<const float*>(x);
      const bool refused =
          cudaMemcpy(host.data(), x, 2 * kThreads * sizeof(float), cudaMemcpyDeviceToHost) ==
              cudaErrorInvalidValue &&
          cudaMemset(x + 1, 0, kThreads * sizeof(float)) == cudaErrorInvalidValue &&
          run(addOne, 1, 1025, 0, y, from) == cudaErrorInvalidConfiguration &&
          run(addOne, dim3(1, 65536), 32, 0, y, from) == cudaErrorInvalidConfiguration &&
          run(addOne, 1, 32, (48 << 10) + 1, y, from) == cudaErrorInvalidValue &&
          emulator::launchKernel(addOne, 100000, 32, 0, nullptr, true, y, from) ==
              cudaErrorCooperativeLaunchTooLarge;
      return refused ? End::right : End::wrongNumbers;
    });
    CHECK_MESSAGE(outcome.end == End::right, outcome.said);
  }

  TEST_CASE("planted: more static shared memory than there is") {
    const Outcome outcome = inChild([] {
      float* const y = newOnDevice<float>(kThreads);
      run(tooMuchShared, 1, kThreads, 0, y);
      return cudaDeviceSynchronize() == cudaErrorLaunchFailure ? End::found : End::right;
    });
    CHECK(outcome.end == End::found);
    CHECK(outcome.said.find("static shared memory beyond 48 KiB") != std::string::npos);
  }

  TEST_CASE("planted: the host reads memory of the device") {
    const Outcome outcome = inChild([] {
      emulator::setProtection(true);
      float* const x = onDevice(ramp(kThreads));
      float* const y = newOnDevice<float>(kThreads);
      run(addOne, 1, kThreads, 0, y, static_cast<const float*>(x));
      std::vector<float> expected = ramp(kThreads);
      for (float& value : expected) value += 1;
      if (endWith(y, expected) != End::right) return End::wrongNumbers;
      return *static_cast<volatile float*>(y) == 1 ? End::right : End::wrongNumbers;
    });
    CHECK(outcome.end == End::died);
    if (kBuild != Build::address) {
      CHECK(outcome.said.find("the host touched device memory") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace cuda
}  // namespace kindling

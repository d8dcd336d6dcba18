#include "core/thread_pool.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "core/cpu_features.h"
#include "core/pause.h"

namespace kindling {

namespace {

constexpr int kMaxThreads = 256;
constexpr int kMaxParts = 0xffff;
// A worker that finds no job for this many pauses (some tens of microseconds) goes to sleep.
constexpr int kSpins = 2000;
// Short jobs that come faster than this after one another are a row: it keeps the workers awake.
constexpr std::chrono::microseconds kRowGap{30};
// The caller waits for the last part this long before it lets other threads have the core.
constexpr int kSpinsBeforeYield = 10000;

/// One job at a time. `ticket_` holds the job's number, its number of parts and the next part to
/// run, so that a claim is one compare-and-swap: a worker that comes late, with the number of an
/// older job, fails to claim and has touched nothing.
class Pool {
 public:
  void run(int parts, PartFunction function, void* context) {
    if (!caller_.try_lock()) {
      // Another environment is using the pool, or this is a part of a running job.
      for (int part = 0; part < parts; ++part) function(context, part);
      return;
    }
    const std::lock_guard<std::mutex> caller(caller_, std::adopt_lock);
    ensureWorkers();
    function_ = function;
    context_ = context;
    done_.store(0, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(job << 32 | static_cast<uint64_t>(parts) << 16, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      keepWorkersOffThisCore();
      wake();
    }
    workOn(job & 0xffffffffu);
    for (int spins = 0; done_.load(std::memory_order_acquire) < parts; ++spins) {
      if (spins < kSpinsBeforeYield) {
        pauseCpu();
      } else {
        yieldCore();
      }
    }
  }

  /// Whether a job of a few microseconds should be handed over.
  bool isPrompt() {
    const bool started = ticket_.load(std::memory_order_relaxed) != 0;
    if (started && sleeping_.load(std::memory_order_relaxed) == 0) return true;
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto last = lastShort_.exchange(now.count(), std::memory_order_relaxed);
    return now - decltype(now)(last) < kRowGap;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void setThreads(int threads) { threads_.store(threads, std::memory_order_relaxed); }

  void stop() {
    const std::lock_guard<std::mutex> caller(caller_);
    join();
  }

  /// In a forked child: the workers did not come along, and a lock may be held by one of them.
  void forget() {
    new (&caller_) std::mutex;
    new (&sleep_) std::mutex;
    new (&wakeUp_) std::condition_variable;
    // The handles of threads that do not exist here must not be joined.
    new (&workers_) std::vector<std::thread>;
    avoidedCore_ = -1;
    sleeping_.store(0);
    stopping_.store(false);
  }

 private:
  /// Runs parts of job number `job` until none is left to claim.
  void workOn(uint64_t job) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (ticket >> 32 == job && (ticket & 0xffff) < (ticket >> 16 & 0xffff)) {
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
        continue;
      }
      // Claimed: the job cannot end before this part is done, so its fields stand.
      function_(context_, static_cast<int>(ticket & 0xffff));
      done_.fetch_add(1, std::memory_order_acq_rel);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  void work(uint64_t seen) {
    for (;;) {
      uint64_t job = ticket_.load(std::memory_order_acquire) >> 32;
      for (int spins = 0; job == seen && spins < kSpins; ++spins) {
        if (stopping_.load(std::memory_order_relaxed)) return;
        pauseCpu();
        job = ticket_.load(std::memory_order_acquire) >> 32;
      }
      if (job == seen) job = sleepUntilAfter(seen);
      if (stopping_.load(std::memory_order_relaxed)) return;
      workOn(job);
      seen = job;
    }
  }

  uint64_t sleepUntilAfter(uint64_t seen) {
    std::unique_lock<std::mutex> lock(sleep_);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    wakeUp_.wait(lock, [&] {
      return stopping_.load() || ticket_.load(std::memory_order_seq_cst) >> 32 != seen;
    });
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
    return ticket_.load(std::memory_order_acquire) >> 32;
  }

  void wake() {
    // Taking the lock orders this after a worker's last look at the ticket.
    { const std::lock_guard<std::mutex> lock(sleep_); }
    wakeUp_.notify_all();
  }

  /// Keeps the workers off the core that the caller computes on. A scheduler that packs threads to
  /// save cores wakes a worker where its waker runs and leaves the two to share that core for
  /// milliseconds: two threads were then slower than one. Which of the other cores a worker takes,
  /// and whether a caller that moves later meets it there, is left to the scheduler.
  void keepWorkersOffThisCore() {
#if defined(__linux__)
    const int core = sched_getcpu();
    if (core == avoidedCore_ || core < 0) return;
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0 || CPU_COUNT(&cores) < 2) return;
    CPU_CLR(core, &cores);
    for (std::thread& worker : workers_) {
      pthread_setaffinity_np(worker.native_handle(), sizeof(cores), &cores);
    }
    avoidedCore_ = core;
#endif
  }

  void ensureWorkers() {
    const size_t wanted = static_cast<size_t>(threads() - 1);
    if (workers_.size() == wanted) return;
    if (workers_.size() > wanted) join();
    const uint64_t now = ticket_.load() >> 32;
    while (workers_.size() < wanted) workers_.emplace_back([this, now] { work(now); });
    avoidedCore_ = -1;
  }

  void join() {
    stopping_.store(true);
    wake();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_.store(false);
  }

  std::mutex caller_;
  std::vector<std::thread> workers_;
  std::atomic<int> threads_{1};
  PartFunction function_ = nullptr;
  void* context_ = nullptr;
  int avoidedCore_ = -1;  // that the workers were kept off last; -1: none
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false};
  // When a short job came last that found a worker asleep.
  std::atomic<std::chrono::steady_clock::rep> lastShort_{0};
  std::mutex sleep_;
  std::condition_variable wakeUp_;
};

Pool& pool();

int initialThreads() {
  const char* wanted = getenv("KINDLING_NUM_THREADS");
  const int threads = wanted ? atoi(wanted) : 0;
  return threads >= 1 && threads <= kMaxThreads ? threads : physicalCores();
}

Pool& pool() {
  // Never destroyed: at exit a worker may still be running.
  static Pool& shared = [&]() -> Pool& {
    Pool& created = *new Pool;
    created.setThreads(initialThreads());
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { pool().forget(); });
#endif
    return created;
  }();
  return shared;
}

}  // namespace

void parallelParts(int parts, PartFunction function, void* context) {
  if (parts <= 0) return;
  if (parts == 1 || parts > kMaxParts || numThreads() == 1) {
    for (int part = 0; part < parts; ++part) function(context, part);
    return;
  }
  pool().run(parts, function, context);
}

int numThreads() { return pool().threads(); }

int promptThreads() {
  const int threads = numThreads();
  return threads > 1 && pool().isPrompt() ? threads : 1;
}

void setNumThreads(int threads) {
  if (threads >= 1 && threads <= kMaxThreads) pool().setThreads(threads);
}

void stopThreads() { pool().stop(); }

}  // namespace kindling

#include "core/executor.h"

#include <utility>

namespace kindling {

namespace {

void markInUse(const Run& run, bool inUse) {
  const auto& bindings = run.program->bindings();
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (bindings[i].role == Role::read) {
      run.storages[i]->countReader(inUse ? 1 : -1);
    } else {
      run.storages[i]->countWriter(inUse ? 1 : -1);
    }
  }
}

}  // namespace

Executor::~Executor() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const auto& run : queue_) markInUse(*run, false);
    queue_.clear();
  }
  submitted_.notify_all();
  if (thread_.joinable()) thread_.join();
  trim();
}

void Executor::submit(std::unique_ptr<Run> run) {
  markInUse(*run, true);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    queue_.push_back(std::move(run));
  }
  submitted_.notify_one();
}

bool Executor::cancel(uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    if ((*at)->id != id) continue;
    cancelled_.push_back(std::move(*at));
    queue_.erase(at);
    submitted_.notify_one();
    return true;
  }
  return false;
}

void Executor::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  drained_.wait(lock, [&] { return queue_.empty() && cancelled_.empty() && !running_; });
}

void Executor::trim() {
  const std::lock_guard<std::mutex> lock(arenaMutex_);
  if (arena_) backend_.deallocate(arena_, arenaBytes_);
  arena_ = nullptr;
  arenaBytes_ = 0;
}

void Executor::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [&] { return stopping_ || !queue_.empty() || !cancelled_.empty(); });
    if (stopping_) return;
    const bool isCancelled = !cancelled_.empty();
    std::unique_ptr<Run> run;
    if (isCancelled) {
      run = std::move(cancelled_.back());
      cancelled_.pop_back();
    } else {
      run = std::move(queue_.front());
      queue_.pop_front();
    }
    running_ = true;
    lock.unlock();
    std::string message = "cancelled before it began";
    const Status status = isCancelled ? Status::cancelled : perform(*run, &message);
    markInUse(*run, false);
    const uint32_t id = run->id;
    run.reset();
    lock.lock();
    running_ = false;
    const bool isStopping = stopping_;
    if (queue_.empty() && cancelled_.empty()) drained_.notify_all();
    if (isStopping) return;
    lock.unlock();
    done_(context_, id, status, message.c_str());
    lock.lock();
  }
}

Status Executor::perform(const Run& run, std::string* message) {
  const std::lock_guard<std::mutex> lock(arenaMutex_);
  Status status = ensureArena(run.program->arenaBytes());
  if (status == Status::ok) {
    status = run.program->run(backend_, arena_, run.data.data(), run.live.data());
  }
  if (status != Status::ok) *message = lastErrorMessage();
  return status;
}

Status Executor::ensureArena(size_t bytes) {
  if (bytes <= arenaBytes_ && arena_) return Status::ok;
  if (arena_) backend_.deallocate(arena_, arenaBytes_);
  arena_ = backend_.allocate(bytes);
  arenaBytes_ = arena_ ? bytes : 0;
  if (arena_) return Status::ok;
  return fail(Status::outOfMemory, "no memory for the %zu bytes of the step's buffers", bytes);
}

}  // namespace kindling

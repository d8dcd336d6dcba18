#include "core/executor.h"

#include <utility>

namespace kindling {

namespace {

void markInUse(const Run& run, bool inUse) {
  const auto& bindings = run.program->bindings();
  for (size_t i = 0; i < bindings.size(); ++i) {
    const bool writes = bindings[i].role == Role::updated || bindings[i].role == Role::result;
    if (writes) {
      run.storages[i]->countWriter(inUse ? 1 : -1);
    } else {
      run.storages[i]->countReader(inUse ? 1 : -1);
    }
  }
}

}  // namespace

Executor::~Executor() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const auto& run : queue_) markInUse(*run, false);
    for (const auto& run : cancelled_) markInUse(*run, false);
    queue_.clear();
    cancelled_.clear();
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
  arena_ = StorageRef();
  arenas_.clear();
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
    run->storages.clear();
    lock.lock();
    running_ = false;
    const bool isStopping = stopping_;
    if (queue_.empty() && cancelled_.empty()) drained_.notify_all();
    if (isStopping) return;
    lock.unlock();
    done_(context_, *run, status, message.c_str());
    lock.lock();
  }
}

Status Executor::perform(Run& run, std::string* message) {
  const std::lock_guard<std::mutex> lock(arenaMutex_);
  const bool isElsewhere = run.program->backend().synchronize != nullptr;
  if (isElsewhere) order_.enter();
  const Status status = ensureArena(*run.program);
  if (status != Status::ok) {
    *message = std::string(lastErrorMessage()) + "; nothing was updated";
    return status;
  }
  const Status ran = repeat(run, message);
  // Also after a failure: what was launched before it uses the run's memory.
  const Status waited = isElsewhere ? wait(run, message) : Status::ok;
  return ran == Status::ok ? waited : ran;
}

/// A device tells of a bad index only here; its kernels have left all updates after it undone.
Status Executor::wait(const Run& run, std::string* message) {
  const Backend& backend = run.program->backend();
  const Status status = backend.synchronize(backend.device);
  if (status == Status::ok) return status;
  *message = lastErrorMessage();
  *message += run.repeats > 1 ? "; the steps before it were done" : "; nothing was updated";
  return status;
}

Status Executor::repeat(Run& run, std::string* message) {
  const Program& program = *run.program;
  const int64_t count = run.repeats > 0 ? run.repeats : 1;
  const double* live = run.live.data();
  for (int64_t done = 0; done < count; ++done, live += program.liveCount()) {
    const Status status = program.run(arena_->data(), run.data.data(), live,
                                      run.seconds.empty() ? nullptr : run.seconds.data());
    if (status != Status::ok) {
      *message = lastErrorMessage();
      *message += done == 0 ? "; nothing was updated"
                            : "; " + std::to_string(done) + " steps before it were done";
      return status;
    }
    for (size_t i = 0; i < run.data.size(); ++i) {
      const Role role = program.bindings()[i].role;
      if (role != Role::argument && role != Role::result) continue;
      run.data[i] = static_cast<char*>(run.data[i]) + program.bytesOf(i);
    }
  }
  return Status::ok;
}

Status Executor::ensureArena(const Program& program) {
  const Backend& backend = program.backend();
  const size_t bytes = program.arenaBytes();
  StorageRef* place = nullptr;
  for (StorageRef& arena : arenas_) {
    if (&arena->backend() == &backend) place = &arena;
  }
  if (!place || (*place)->bytes() < bytes) {
    arena_ = StorageRef();
    if (place) {
      std::swap(*place, arenas_.back());
      arenas_.pop_back();  // before the new one is made: both may not fit
    }
    StorageRef made = Storage::create(backend, bytes);
    if (!made) {
      return fail(Status::outOfMemory, "no memory for the %zu bytes of the step's buffers", bytes);
    }
    arenas_.push_back(std::move(made));
    place = &arenas_.back();
  }
  arena_ = *place;
  return Status::ok;
}

}  // namespace kindling

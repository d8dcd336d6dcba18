#include "core/program_replay.h"

#include "core/program.h"

namespace kindling {

namespace {

bool moves(Role role) { return role == Role::argument || role == Role::result; }

}  // namespace

ProgramReplay::~ProgramReplay() {
  const Backend& backend = program_.backend();
  for (const Stretch& stretch : stretches_) {
    if (stretch.graph) backend.destroyGraph(stretch.graph);
  }
}

void ProgramReplay::divide() {
  for (size_t step = 0; step < program_.stepCount(); ++step) {
    const bool live = program_.isLive(step);
    if (step == 0 || live == stretches_.back().keeps) stretches_.push_back({step, step, !live});
    stretches_.back().end = step + 1;
  }
  for (Stretch& stretch : stretches_) stretch.keeps &= stretch.end - stretch.first >= kFewestSteps;
}

/// Memory for what has other addresses at each run.
Status ProgramReplay::prepare() {
  divide();
  constexpr size_t kApart = 512;
  const auto& bindings = program_.bindings();
  size_t bytes = 0;
  offsets_.assign(bindings.size(), 0);
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (!moves(bindings[i].role)) continue;
    offsets_[i] = bytes;
    bytes += (static_cast<size_t>(program_.bytesOf(i)) + kApart - 1) / kApart * kApart;
  }
  own_ = Storage::create(program_.backend(), bytes);
  if (!own_) return fail(Status::outOfMemory, "no memory for the %zu bytes of a graph", bytes);
  data_.assign(bindings.size(), nullptr);
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (moves(bindings[i].role)) data_[i] = static_cast<char*>(own_->data()) + offsets_[i];
  }
  return Status::ok;
}

Status ProgramReplay::moveArguments(void* const* data) const {
  const Backend& backend = program_.backend();
  Status status = Status::ok;
  for (size_t i = 0; i < data_.size() && status == Status::ok; ++i) {
    if (program_.bindings()[i].role != Role::argument) continue;
    status = backend.copyWithin(backend.device, data_[i], data[i],
                                static_cast<size_t>(program_.bytesOf(i)));
  }
  return status;
}

Status ProgramReplay::moveResults(void* const* data) const {
  const Backend& backend = program_.backend();
  Status status = Status::ok;
  for (size_t i = 0; i < data_.size() && status == Status::ok; ++i) {
    if (program_.bindings()[i].role != Role::result) continue;
    status = backend.copyWithin(backend.device, data[i], data_[i],
                                static_cast<size_t>(program_.bytesOf(i)));
  }
  return status;
}

/// The steps are launched into a graph, not run. Where that is refused, no graph is left.
Status ProgramReplay::record(Stretch& stretch, char* const* at, const double* live) {
  const Backend& backend = program_.backend();
  const Status begun = backend.beginCapture(backend.device);
  if (begun != Status::ok) return begun;
  const Status ran = program_.runSteps(stretch.first, stretch.end, at, live, nullptr);
  const Status ended = backend.endCapture(backend.device, &stretch.graph);
  if (ended == Status::ok) ++recordings_;
  return ran == Status::ok ? ended : ran;
}

Status ProgramReplay::runStretch(Stretch& stretch, char* const* at, const double* live,
                                 bool record) {
  const Backend& backend = program_.backend();
  if (stretch.keeps && !isRefused_ && (record || !stretch.graph)) {
    const Status status = this->record(stretch, at, live);
    if (status != Status::ok && status != Status::unsupported) return status;
    isRefused_ |= status != Status::ok;
  }
  if (!stretch.keeps || isRefused_) {
    return program_.runSteps(stretch.first, stretch.end, at, live, nullptr);
  }
  ++launches_;
  return backend.launchGraph(backend.device, stretch.graph);
}

Status ProgramReplay::run(void* arena, void* const* data, const double* live) {
  if (runs_++ == 0 || isRefused_) return program_.runAt(arena, data, live, nullptr);
  Status status = own_ ? Status::ok : prepare();
  if (status != Status::ok) return status;
  bool record = arena_ != arena;
  arena_ = arena;
  for (size_t i = 0; i < data_.size(); ++i) {
    if (moves(program_.bindings()[i].role) || data_[i] == data[i]) continue;
    data_[i] = data[i];
    record = true;
  }
  const std::unique_ptr<char*[]> at = program_.place(arena, data_.data());
  if (!at) return fail(Status::outOfMemory, "no memory to run a program");
  status = moveArguments(data);
  for (size_t i = 0; i < stretches_.size() && status == Status::ok; ++i) {
    status = runStretch(stretches_[i], at.get(), live, record);
  }
  // Where recording broke off, some graphs have the addresses of before.
  if (status != Status::ok) arena_ = nullptr;
  return status == Status::ok ? moveResults(data) : status;
}

}  // namespace kindling

#include "core/program.h"

#include <chrono>
#include <cinttypes>
#include <new>

#include "core/execute.h"
#include "core/numbers.h"
#include "core/op_info.h"
#include "core/tensor_table.h"

namespace kindling {

namespace {

constexpr int64_t kMost = int64_t{1} << 48;

bool multiplies(int64_t a, int64_t b, int64_t* product) {
  return !__builtin_mul_overflow(a, b, product) && *product <= kMost && *product >= -kMost;
}

/// The lowest and highest element offset that a view reaches; false where that overflows.
bool reachOf(const TensorView& view, int64_t* lowest, int64_t* highest) {
  *lowest = *highest = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    int64_t span;
    if (!multiplies(view.shape[axis] - 1, view.strides[axis], &span)) return false;
    (span > 0 ? *highest : *lowest) += span;
  }
  return true;
}

}  // namespace

/// Takes numbers one after the other; past the end it gives 0 and remembers.
class Program::Reader {
 public:
  Reader(const double* words, size_t count) : words_(words), count_(count) {}
  double next() {
    if (at_ < count_) return words_[at_++];
    failed_ = true;
    return 0;
  }
  int64_t integer() { return toInteger(next()); }
  bool failed() const { return failed_; }
  bool atEnd() const { return at_ == count_; }
  size_t left() const { return count_ - at_; }

  Status view(TensorView* view) {
    const int64_t dtype = integer(), rank = integer();
    if (dtype < 0 || dtype >= kDTypeCount) return fail(Status::badDtype, "program: unknown dtype");
    if (rank < 0 || rank > kMaxRank) return fail(Status::badShape, "program: a rank is too large");
    view->data = nullptr;
    view->dtype = static_cast<DType>(dtype);
    view->rank = static_cast<int32_t>(rank);
    view->size = 1;
    for (int64_t& extent : view->shape) extent = integer();
    for (int64_t& stride : view->strides) stride = integer();
    int64_t expected = 1;
    view->contiguous = true;
    for (int axis = view->rank - 1; axis >= 0; --axis) {
      const int64_t extent = view->shape[axis];
      if (extent < 0 || !multiplies(view->size, extent, &view->size)) {
        return fail(Status::badShape, "program: a shape is too large or negative");
      }
      if (extent != 1 && view->strides[axis] != expected) view->contiguous = false;
      expected *= extent;
    }
    if (view->size == 0) view->contiguous = true;
    return Status::ok;
  }

 private:
  const double* words_;
  size_t count_;
  size_t at_ = 0;
  bool failed_ = false;
};

Status Program::parseBinding(Reader& reader) {
  const int64_t role = reader.integer();
  if (role < 0 || role > 3) return fail(Status::badArgument, "program: unknown role");
  Binding binding;
  binding.role = static_cast<Role>(role);
  const Status status = reader.view(&binding.view);
  if (status != Status::ok) return status;
  const bool moves = binding.role == Role::result || binding.role == Role::argument;
  if (moves && !binding.view.contiguous) {
    return fail(Status::badShape, "program: arguments and results must be contiguous");
  }
  bindings_.push_back(binding);
  return Status::ok;
}

/// A value lies within the arena, or within what its binding reaches.
Status Program::checkReach(const Value& value) const {
  if (value.view.size == 0) return Status::ok;
  int64_t lowest, highest;
  const int64_t element = static_cast<int64_t>(sizeOf(value.view.dtype));
  if (!reachOf(value.view, &lowest, &highest) || value.offset % element != 0) {
    return fail(Status::badShape, "program: a value has impossible strides");
  }
  const int64_t first = value.offset / element;
  int64_t least = 0, most = static_cast<int64_t>(arenaBytes_) / element - 1;
  if (value.binding >= 0) {
    const TensorView& bound = bindings_[static_cast<size_t>(value.binding)].view;
    if (bound.dtype != value.view.dtype || bound.size == 0 || !reachOf(bound, &least, &most)) {
      return fail(Status::badDtype, "program: a value does not fit its binding");
    }
  }
  if (first + lowest < least || first + highest > most) {
    return fail(Status::badShape, "program: a value lies outside its memory");
  }
  return Status::ok;
}

Status Program::parseValue(Reader& reader) {
  Value value;
  const int64_t binding = reader.integer();
  value.offset = reader.integer();
  if (binding < -1 || binding >= static_cast<int64_t>(bindings_.size())) {
    return fail(Status::badArgument, "program: there is no binding %" PRId64, binding);
  }
  if (value.offset > kMost || value.offset < -kMost) {
    return fail(Status::badArgument, "program: an offset is too large");
  }
  value.binding = static_cast<int32_t>(binding);
  Status status = reader.view(&value.view);
  if (status == Status::ok) status = checkReach(value);
  if (status == Status::ok) values_.push_back(value);
  return status;
}

void Program::fillAttributes(const Step& step, const double* from, OpCall* call) const {
  const OpInfo& info = opInfo(step.op);
  for (int i = 0; i < info.ints; ++i) call->ints[i] = toInt32(from[i]);
  for (int i = 0; i < info.floats; ++i) call->floats[i] = from[info.ints + i];
}

/// Notes that a value is read by the host, or not; false where it is to be both, or cannot be.
bool Program::placeOperand(int32_t binding, bool onHost) {
  if (!backend_->run) return true;
  if (binding < 0) return !onHost;
  Binding& bound = bindings_[static_cast<size_t>(binding)];
  const bool isKnown = bound.isUsed;
  bound.isUsed = true;
  if (!isKnown) bound.isOnHost = onHost;
  return bound.isOnHost == onHost && (!onHost || bound.role == Role::captured);
}

Status Program::parseStep(Reader& reader) {
  const int32_t code = toInt32(reader.next());
  if (code < 0 || code >= kOpCount) return fail(Status::badArgument, "program: unknown op");
  Step step;
  step.op = static_cast<Op>(code);
  step.live = toInt32(reader.next());
  step.operands = static_cast<int32_t>(operands_.size());
  step.numbers = static_cast<int32_t>(numbers_.size());
  const OpInfo& info = opInfo(step.op);
  if (!backend_->kernels[code]) {
    return fail(Status::unsupported, "backend %s has no kernel for %s", backend_->name, info.name);
  }
  OpCall call;
  call.op = step.op;
  for (int i = 0; i < info.inputs + info.outputs; ++i) {
    const int64_t value = reader.integer();
    if (value < 0 || value >= static_cast<int64_t>(values_.size())) {
      return fail(Status::badArgument, "program: %s: there is no value %" PRId64, info.name, value);
    }
    operands_.push_back(static_cast<int32_t>(value));
    const TensorView& view = values_[static_cast<size_t>(value)].view;
    if (!placeOperand(values_[static_cast<size_t>(value)].binding, isReadByHost(step.op, i))) {
      return fail(Status::badArgument, "program: %s: an operand is on the other device", info.name);
    }
    (i < info.inputs ? call.inputs[i] : call.outputs[i - info.inputs]) = view;
    if (i >= info.inputs && !view.contiguous) {
      return fail(Status::badShape, "program: %s: an output must be contiguous", info.name);
    }
  }
  const int attributes = info.ints + info.floats;
  for (int i = 0; i < attributes; ++i) numbers_.push_back(reader.next());
  if (step.live < -1 ||
      (step.live >= 0 &&
       static_cast<size_t>(step.live) + static_cast<size_t>(attributes) > liveCount_)) {
    return fail(Status::badArgument, "program: %s: live attributes out of range", info.name);
  }
  if (reader.failed()) return fail(Status::badArgument, "program: too short");
  fillAttributes(step, numbers_.data() + step.numbers, &call);
  steps_.push_back(step);
  return validate(call);
}

Status Program::parse(const Backend& backend, const double* words, size_t count,
                      std::shared_ptr<const Program>* program) {
  const std::shared_ptr<Program> made(new (std::nothrow) Program);
  if (!made) return fail(Status::outOfMemory, "program: no memory");
  made->backend_ = &backend;
  if (backend.beginCapture) {
    made->replay_.reset(new (std::nothrow) ProgramReplay(*made));
    if (!made->replay_) return fail(Status::outOfMemory, "program: no memory");
  }
  Reader reader(words, count);
  const int64_t bindings = reader.integer(), values = reader.integer(), steps = reader.integer();
  const int64_t arena = reader.integer(), live = reader.integer();
  if (arena < 0 || arena > kMost || live < 0 || live > kMost) {
    return fail(Status::badArgument, "program: bad sizes");
  }
  made->arenaBytes_ = static_cast<size_t>(arena);
  made->liveCount_ = static_cast<size_t>(live);
  Status status = Status::ok;
  for (int64_t i = 0; i < bindings && status == Status::ok && !reader.failed(); ++i) {
    status = made->parseBinding(reader);
  }
  for (int64_t i = 0; i < values && status == Status::ok && !reader.failed(); ++i) {
    status = made->parseValue(reader);
  }
  for (int64_t i = 0; i < steps && status == Status::ok && !reader.failed(); ++i) {
    status = made->parseStep(reader);
  }
  if (status != Status::ok) return status;
  if (reader.failed() || !reader.atEnd()) {
    return fail(Status::badArgument, "program: the numbers do not add up");
  }
  *program = made;
  return Status::ok;
}

Status Program::checkBinding(size_t i, const TensorView& view, int64_t repeats) const {
  const TensorView& expected = bindings_[i].view;
  const int front = repeats != 0 && bindings_[i].role == Role::argument ? 1 : 0;
  bool same = view.dtype == expected.dtype && view.rank == expected.rank + front;
  if (same && front == 1) same = view.contiguous && view.shape[0] == repeats;
  for (int axis = 0; same && axis < expected.rank; ++axis) {
    const int64_t extent = view.shape[axis + front];
    const int64_t stride = view.strides[axis + front];
    same = extent == expected.shape[axis] &&
           (extent <= 1 || view.size == 0 || stride == expected.strides[axis]);
  }
  return same ? Status::ok
              : fail(Status::badShape, "tensor %zu is not of the shape it was compiled for", i);
}

int64_t Program::bytesOf(size_t i) const {
  const TensorView& view = bindings_[i].view;
  return view.size * static_cast<int64_t>(sizeOf(view.dtype));
}

Status Program::makeCall(const Step& step, const double* live, char* const* at,
                         OpCall* call) const {
  const OpInfo& info = opInfo(step.op);
  call->op = step.op;
  const int32_t* operand = operands_.data() + step.operands;
  for (int i = 0; i < info.inputs; ++i, ++operand) {
    call->inputs[i] = values_[static_cast<size_t>(*operand)].view;
    call->inputs[i].data = at[*operand];
  }
  for (int i = 0; i < info.outputs; ++i, ++operand) {
    call->outputs[i] = values_[static_cast<size_t>(*operand)].view;
    call->outputs[i].data = at[*operand];
  }
  fillAttributes(step, step.live < 0 ? numbers_.data() + step.numbers : live + step.live, call);
  // Only live attributes can differ from what was checked when the program was made.
  return step.live < 0 ? Status::ok : validate(*call);
}

/// Runs steps [first, next) at once, those that the backend joins with `call`, the first; finds
/// `next`, at most `end`.
Status Program::runJoined(const OpCall& call, size_t first, size_t end, char* const* at,
                          const double* live, size_t* next) const {
  std::vector<OpCall> calls = {call};
  for (*next = first + 1; *next < end && steps_[*next].op == call.op; ++*next) {
    OpCall more;
    const Status status = makeCall(steps_[*next], live, at, &more);
    if (status != Status::ok) return status;
    if (!backend_->joins(call, more)) break;
    calls.push_back(more);
  }
  std::vector<const OpCall*> pointers;
  for (const OpCall& each : calls) pointers.push_back(&each);
  return backend_->runTogether(backend_->device, pointers.data(),
                               static_cast<int>(pointers.size()));
}

std::unique_ptr<char* []> Program::place(void* arena, void* const* data) const {
  std::unique_ptr<char*[]> at(new (std::nothrow) char*[values_.size() + 1]);
  for (size_t i = 0; at && i < values_.size(); ++i) {
    const Value& value = values_[i];
    void* base = value.binding < 0 ? arena : data[value.binding];
    at[i] = static_cast<char*>(base) + value.offset;
  }
  return at;
}

Status Program::runSteps(size_t first, size_t end, char* const* at, const double* live,
                         double* seconds) const {
  OpCall call;
  using Clock = std::chrono::steady_clock;
  for (size_t i = first, next; i < end; i = next) {
    const Clock::time_point start = seconds ? Clock::now() : Clock::time_point();
    next = i + 1;
    Status status = makeCall(steps_[i], live, at, &call);
    if (status == Status::ok) {
      // Where steps are timed each is by itself.
      const bool joins = !seconds && backend_->joins && backend_->joins(call, call);
      status = joins ? runJoined(call, i, end, at, live, &next) : runKernel(*backend_, call);
    }
    if (status == Status::ok && seconds && backend_->synchronize) {
      status = backend_->synchronize(backend_->device);
    }
    if (status != Status::ok) return status;
    if (seconds) seconds[i] += std::chrono::duration<double>(Clock::now() - start).count();
  }
  return Status::ok;
}

Status Program::runAt(void* arena, void* const* data, const double* live, double* seconds) const {
  const std::unique_ptr<char*[]> at = place(arena, data);
  if (!at) return fail(Status::outOfMemory, "no memory to run a program");
  return runSteps(0, steps_.size(), at.get(), live, seconds);
}

Status Program::run(void* arena, void* const* data, const double* live, double* seconds) const {
  if (replay_ && !seconds) return replay_->run(arena, data, live);
  return runAt(arena, data, live, seconds);
}

}  // namespace kindling

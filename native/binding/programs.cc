#include "binding/programs.h"

#include <new>
#include <utility>

#include "binding/environment.h"
#include "core/numbers.h"

namespace kindling {

namespace {

napi_value arrayOf(napi_env env, const std::vector<double>& numbers) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, numbers.size(), &array);
  for (size_t i = 0; i < numbers.size(); ++i) {
    napi_value number = nullptr;
    napi_create_double(env, numbers[i], &number);
    napi_set_element(env, array, static_cast<uint32_t>(i), number);
  }
  return array;
}

}  // namespace

Programs::~Programs() {
  executor_.reset();
  if (told_ && !isClosed_) napi_release_threadsafe_function(told_, napi_tsfn_abort);
}

uint32_t Programs::create(DeviceCode device, const double* words, size_t count) {
  std::shared_ptr<const Program> program;
  const Backend* const backend = findBackend(device);
  if (!backend || Program::parse(*backend, words, count, &program) != Status::ok) return 0;
  programs_.emplace(nextProgram_, std::move(program));
  return nextProgram_++;
}

std::shared_ptr<const Program> Programs::find(uint32_t id) const {
  const auto found = programs_.find(id);
  return found == programs_.end() ? nullptr : found->second;
}

bool Programs::listen(napi_env env, napi_value callback) {
  napi_value name = nullptr;
  napi_create_string_utf8(env, "kindling", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, nullptr, nullptr, this,
                                      deliver, &told_) != napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env, told_);
  executor_.reset(new (std::nothrow) Executor(queue_, onDone, this));
  return executor_ != nullptr;
}

bool Programs::submit(napi_env env, std::unique_ptr<Run> run) {
  if (!executor_) return false;
  if (underWay_++ == 0) napi_ref_threadsafe_function(env, told_);
  executor_->submit(std::move(run));
  return true;
}

void Programs::onDone(void* context, const Run& run, Status status, const char* message) {
  Programs& programs = *static_cast<Programs*>(context);
  bool first;
  {
    const std::lock_guard<std::mutex> lock(programs.endedMutex_);
    first = programs.ended_.empty();
    programs.ended_.push_back({run.id, status, message, run.seconds});
  }
  // One call delivers all that ended until it comes.
  if (!first || programs.isClosed_) return;
  const napi_status called =
      napi_call_threadsafe_function(programs.told_, nullptr, napi_tsfn_nonblocking);
  // The environment is going: this call has given the function up, which must not be used again.
  if (called == napi_closing) programs.isClosed_ = true;
}

void Programs::deliver(napi_env env, napi_value callback, void* context, void*) {
  if (env) static_cast<Programs*>(context)->deliverAll(env, callback);
}

void Programs::deliverAll(napi_env env, napi_value callback) {
  std::vector<Ended> ended;
  {
    const std::lock_guard<std::mutex> lock(endedMutex_);
    ended.swap(ended_);
  }
  underWay_ -= static_cast<uint32_t>(ended.size());
  if (underWay_ == 0) napi_unref_threadsafe_function(env, told_);
  napi_value global = nullptr;
  napi_get_global(env, &global);
  for (const Ended& one : ended) {
    napi_value arguments[4];
    napi_create_uint32(env, one.run, &arguments[0]);
    napi_create_int32(env, static_cast<int32_t>(one.status), &arguments[1]);
    napi_create_string_utf8(env, one.message.c_str(), one.message.size(), &arguments[2]);
    arguments[3] = arrayOf(env, one.seconds);
    napi_value result = nullptr;
    if (napi_call_function(env, global, callback, 4, arguments, &result) != napi_ok) return;
  }
}

namespace {

struct Call {
  Environment* environment;
  napi_value argument, second;
};

Call callOf(napi_env env, napi_callback_info info) {
  Call call{nullptr, nullptr, nullptr};
  size_t count = 2;
  napi_value arguments[2];
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
  call.argument = arguments[0];
  call.second = arguments[1];
  call.environment = static_cast<Environment*>(data);
  return call;
}

napi_value number(napi_env env, uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(env, value, &result);
  return result;
}

napi_value failed(napi_env env, Environment& environment, Status status) {
  environment.scratch()[kScratchOp] = static_cast<double>(status);
  return number(env, 0);
}

bool doublesOf(napi_env env, napi_value array, double** words, size_t* count) {
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, array, &type, count, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    return false;
  }
  *words = static_cast<double*>(data);
  return true;
}

/// Where a launch's numbers are: program, run, repetitions, whether records are timed, a handle for
/// each binding, the live numbers of each repetition.
constexpr size_t kLaunchHeader = 4;
constexpr int64_t kMostRepeats = 65536;

/// Makes a tensor for a result.
Status makeResult(Environment& environment, const Backend& backend, const TensorView& view,
                  int64_t repeats, Handle* handle) {
  int64_t shape[kMaxRank];
  const int front = repeats != 0 ? 1 : 0;
  if (view.rank + front > kMaxRank) return fail(Status::badShape, "a result has too many axes");
  shape[0] = repeats;
  for (int axis = 0; axis < view.rank; ++axis) shape[axis + front] = view.shape[axis];
  return retryAfterSweep(environment, [&] {
    return environment.tensors().create(backend, view.dtype, view.rank + front, shape, handle);
  });
}

/// Resolves the handles and makes the outputs, whose handles are written back.
Status bind(Environment& environment, const Program& program, double* handles, Run* run) {
  const auto& bindings = program.bindings();
  environment.enter(program.backend());
  for (size_t i = 0; i < bindings.size(); ++i) {
    Handle handle = static_cast<Handle>(toInteger(handles[i]));
    const bool isResult = bindings[i].role == Role::result;
    if (isResult) {
      const Status status =
          makeResult(environment, program.backend(), bindings[i].view, run->repeats, &handle);
      if (status != Status::ok) return status;
      handles[i] = handle;
    }
    const TensorTable::Slot* slot = environment.tensors().find(handle);
    if (!slot) return fail(Status::badHandle, "a tensor that the step uses was disposed");
    const Backend& home = bindings[i].isOnHost ? cpuBackend() : program.backend();
    if (&slot->storage->backend() != &home) {
      return fail(Status::badArgument, "the step was compiled for %s, a tensor is on %s", home.name,
                  slot->storage->backend().name);
    }
    const Status status = isResult ? Status::ok : program.checkBinding(i, slot->view, run->repeats);
    if (status != Status::ok) return status;
    run->storages.push_back(slot->storage);
    run->data.push_back(slot->view.data);
  }
  return Status::ok;
}

/// createProgram(numbers, device)
napi_value createProgram(napi_env env, napi_callback_info info) {
  const Call call = callOf(env, info);
  double* words = nullptr;
  size_t count = 0;
  if (!doublesOf(env, call.argument, &words, &count)) {
    return failed(env, *call.environment, fail(Status::badArgument, "not a Float64Array"));
  }
  int32_t device = kCpu;
  napi_get_value_int32(env, call.second, &device);
  const uint32_t id = call.environment->programs().create(device, words, count);
  return id ? number(env, id) : failed(env, *call.environment, Status::badArgument);
}

napi_value releaseProgram(napi_env env, napi_callback_info info) {
  const Call call = callOf(env, info);
  uint32_t id = 0;
  napi_get_value_uint32(env, call.argument, &id);
  call.environment->programs().release(id);
  return nullptr;
}

napi_value launch(napi_env env, napi_callback_info info) {
  const Call call = callOf(env, info);
  Environment& environment = *call.environment;
  double* words = nullptr;
  size_t count = 0;
  if (!doublesOf(env, call.argument, &words, &count) || count < kLaunchHeader) {
    return failed(env, environment, fail(Status::badArgument, "not a Float64Array"));
  }
  std::unique_ptr<Run> run(new (std::nothrow) Run);
  if (!run) return failed(env, environment, fail(Status::outOfMemory, "no memory to launch"));
  run->program = environment.programs().find(static_cast<uint32_t>(toInteger(words[0])));
  if (!run->program) {
    return failed(env, environment, fail(Status::badHandle, "the compiled step was disposed"));
  }
  run->id = static_cast<uint32_t>(toInteger(words[1]));
  run->repeats = toInteger(words[2]);
  const size_t bindings = run->program->bindings().size();
  const size_t lives =
      run->program->liveCount() * static_cast<size_t>(run->repeats > 0 ? run->repeats : 1);
  if (run->repeats < 0 || run->repeats > kMostRepeats ||
      count != kLaunchHeader + bindings + lives) {
    return failed(env, environment, fail(Status::badArgument, "the numbers do not add up"));
  }
  if (words[3] != 0) run->seconds.assign(run->program->stepCount(), 0.0);
  double* handles = words + kLaunchHeader;
  run->live.assign(handles + bindings, words + count);
  Status status = bind(environment, *run->program, handles, run.get());
  const std::shared_ptr<const Program> program = run->program;
  if (status == Status::ok && !environment.programs().submit(env, std::move(run))) {
    status = fail(Status::outOfMemory, "no thread to run compiled steps");
  }
  if (status == Status::ok) return number(env, 1);
  for (size_t i = 0; i < bindings; ++i) {
    if (program->bindings()[i].role == Role::result && handles[i] > 0) {
      environment.release(static_cast<Handle>(handles[i]));
    }
  }
  return failed(env, environment, status);
}

napi_value cancelRun(napi_env env, napi_callback_info info) {
  const Call call = callOf(env, info);
  uint32_t run = 0;
  napi_get_value_uint32(env, call.argument, &run);
  return number(env, call.environment->programs().cancel(run) ? 1 : 0);
}

napi_value onRunDone(napi_env env, napi_callback_info info) {
  const Call call = callOf(env, info);
  return number(env, call.environment->programs().listen(env, call.argument) ? 1 : 0);
}

napi_value drain(napi_env env, napi_callback_info info) {
  callOf(env, info).environment->programs().drain();
  return nullptr;
}

}  // namespace

void exportPrograms(napi_env env, napi_value exports, Environment* environment) {
  struct {
    const char* name;
    napi_callback callback;
  } const functions[] = {
      {"createProgram", createProgram}, {"releaseProgram", releaseProgram}, {"launch", launch},
      {"cancelRun", cancelRun},         {"onRunDone", onRunDone},           {"drain", drain}};
  for (const auto& function : functions) {
    napi_value value = nullptr;
    napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.callback, environment,
                         &value);
    napi_set_named_property(env, exports, function.name, value);
  }
}

}  // namespace kindling

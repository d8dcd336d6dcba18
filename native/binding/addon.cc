// The addon's functions. Handles and numbers cross the boundary; errors come back as a Status that
// lib/native.ts turns into a JavaScript error (objects made here would belong to another realm
// under test runners). The functions called for every op use the C interface directly: it is up to
// a third faster than the C++ wrapper with many arguments. The rest uses the wrapper.

#include <napi.h>

#include <cmath>
#include <memory>
#include <mutex>
#include <new>

#include "binding/devices.h"
#include "binding/environment.h"
#include "binding/programs.h"
#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/execute.h"
#include "core/numbers.h"
#include "core/op_info.h"
#include "core/thread_pool.h"

namespace kindling {

namespace {

Handle toHandle(double value) {
  return value >= 0 && value <= 4294967295.0 ? static_cast<Handle>(value) : 0;
}

struct Arguments {
  static constexpr size_t kMost = kMaxOutputs;
  napi_value values[kMost];
  Environment* environment;
};

Arguments argumentsOf(napi_env env, napi_callback_info info) {
  Arguments arguments;
  size_t count = Arguments::kMost;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, arguments.values, nullptr, &data);
  arguments.environment = static_cast<Environment*>(data);
  return arguments;
}

napi_value number(napi_env env, uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(env, value, &result);
  return result;
}

/// 0 tells TypeScript to look at the status in the scratch array and at lastError().
napi_value failed(napi_env env, Environment& environment, Status status) {
  environment.scratch()[kScratchOp] = static_cast<double>(status);
  return number(env, 0);
}

bool isObject(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_object;
}

/// The device that the scratch array names, made ready; nullptr and a message where it is not
/// there.
const Backend* backendFromScratch(Environment& environment) {
  const Backend* const backend = findBackend(toInt32(environment.scratch()[kScratchDevice]));
  if (backend) environment.enter(*backend);
  return backend;
}

/// Creates the tensor that the scratch array describes at `place`: dtype, rank, dimensions.
Status createFromScratch(Environment& environment, const Backend& backend, int place,
                         Handle* handle) {
  const double* at = environment.scratch() + place;
  const int32_t dtype = toInt32(at[0]);
  const int32_t rank = toInt32(at[1]);
  if (dtype < 0 || dtype >= kDTypeCount) return fail(Status::badDtype, "unknown dtype %d", dtype);
  if (rank < 0 || rank > kMaxRank) {
    return fail(Status::badShape, "rank %d is outside [0, %d]", rank, kMaxRank);
  }
  int64_t shape[kMaxRank];
  for (int axis = 0; axis < rank; ++axis) shape[axis] = toInteger(at[2 + axis]);
  return retryAfterSweep(environment, [&] {
    return environment.tensors().create(backend, static_cast<DType>(dtype), rank, shape, handle);
  });
}

/// Fills the environment's call record from the scratch array and creates the outputs, on the
/// device of the inputs.
Status readCall(Environment& environment, const Backend** where, Handle* outputs) {
  const double* scratch = environment.scratch();
  OpCall& call = environment.call();
  const int32_t code = toInt32(scratch[kScratchOp]);
  if (code < 0 || code >= kOpCount) return fail(Status::badArgument, "unknown op %d", code);
  call.op = static_cast<Op>(code);
  const OpInfo& info = opInfo(call.op);
  const Backend* backend = nullptr;
  for (int i = 0; i < info.inputs; ++i) {
    const auto* slot = environment.tensors().find(toHandle(scratch[kScratchInputs + i]));
    if (!slot) return fail(Status::badHandle, "%s: input %d was disposed", info.name, i);
    call.inputs[i] = slot->view;
    const Backend& home = slot->storage->backend();
    if (isReadByHost(call.op, i)) {
      if (home.device == kCpu) continue;
      return fail(Status::badArgument, "%s: input %d must be on the CPU", info.name, i);
    }
    if (backend && backend != &home) {
      return fail(Status::badArgument, "%s: operands are on %s and %s", info.name, backend->name,
                  home.name);
    }
    backend = &home;
    environment.settle(slot->storage, info.outputs == 0);
  }
  for (int i = 0; i < info.ints; ++i) call.ints[i] = toInt32(scratch[kScratchInts + i]);
  for (int i = 0; i < info.floats; ++i) call.floats[i] = scratch[kScratchFloats + i];
  if (info.inputs == 0) backend = backendFromScratch(environment);
  if (!backend) return Status::deviceFailed;
  environment.enter(*backend);
  *where = backend;
  for (int i = 0; i < info.outputs; ++i) {
    const Status status = createFromScratch(environment, *backend,
                                            kScratchOutputs + i * kScratchOutputSize, &outputs[i]);
    if (status != Status::ok) return status;
    call.outputs[i] = environment.tensors().find(outputs[i])->view;
  }
  return Status::ok;
}

size_t bytesOf(Environment& environment, Handle handle) {
  const TensorView& view = environment.tensors().find(handle)->view;
  return static_cast<size_t>(view.size) * sizeOf(view.dtype);
}

/// run(owner0?, owner1?, owner2?): runs the op in the scratch array. Each owner is the JavaScript
/// object of an output, held weakly. Returns the first output's handle, 1 where there are no
/// outputs.
napi_value run(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  Handle outputs[kMaxOutputs] = {};
  const Backend* backend = nullptr;
  Status status = readCall(environment, &backend, outputs);
  if (status == Status::ok) status = execute(*backend, environment.call());
  if (status != Status::ok) {
    for (Handle output : outputs) {
      if (output) environment.release(output);
    }
    return failed(env, environment, status);
  }
  const int count = opInfo(environment.call().op).outputs;
  for (int i = 0; i < count; ++i) {
    environment.scratch()[kScratchInputs + i] = outputs[i];
    if (isObject(env, arguments.values[i])) {
      environment.track(outputs[i], arguments.values[i], bytesOf(environment, outputs[i]));
    }
  }
  return number(env, count > 0 ? outputs[0] : 1);
}

/// view(owner?): a view described by the scratch array.
napi_value view(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  const double* scratch = environment.scratch();
  const int32_t rank = toInt32(scratch[kScratchOutputs + 1]);
  if (rank < 0 || rank > kMaxRank) {
    return failed(env, environment,
                  fail(Status::badShape, "rank %d is outside [0, %d]", rank, kMaxRank));
  }
  int64_t shape[kMaxRank], strides[kMaxRank];
  for (int axis = 0; axis < rank; ++axis) {
    shape[axis] = toInteger(scratch[kScratchOutputs + 2 + axis]);
    strides[axis] = toInteger(scratch[kScratchStrides + axis]);
  }
  Handle handle = 0;
  const Status status =
      environment.tensors().view(toHandle(scratch[kScratchInputs]), rank, shape, strides,
                                 toInteger(scratch[kScratchOffset]), &handle);
  if (status != Status::ok) return failed(env, environment, status);
  if (isObject(env, arguments.values[0])) environment.track(handle, arguments.values[0], 0);
  return number(env, handle);
}

napi_value release(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  uint32_t handle = 0;
  napi_get_value_uint32(env, arguments.values[0], &handle);
  arguments.environment->release(handle);
  return nullptr;
}

/// track(handle, owner): for a tensor that outlives the scope it was made in.
napi_value track(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  uint32_t handle = 0;
  napi_get_value_uint32(env, arguments.values[0], &handle);
  const auto* slot = environment.tensors().find(handle);
  if (slot && !slot->owner && isObject(env, arguments.values[1])) {
    environment.track(handle, arguments.values[1], bytesOf(environment, handle));
  }
  return nullptr;
}

/// The memory of a typed array, fetched anew at each call: a transferred buffer has length 0.
bool hostMemory(napi_env env, napi_value array, void** data, size_t* bytes) {
  napi_typedarray_type type;
  size_t length = 0, offset = 0;
  napi_value buffer = nullptr;
  if (napi_get_typedarray_info(env, array, &type, &length, data, &buffer, &offset) != napi_ok) {
    return false;
  }
  const bool isByte =
      type == napi_int8_array || type == napi_uint8_array || type == napi_uint8_clamped_array;
  const bool isWord = type == napi_float32_array || type == napi_int32_array;
  const bool isDouble = type == napi_float64_array || type == napi_bigint64_array;
  const bool isHalf = type == napi_uint16_array;
  *bytes = length * (isByte ? 1 : isHalf ? 2 : isWord ? 4 : isDouble ? 8 : 0);
  return isByte || isHalf || isWord || isDouble;
}

/// fromHost(owner, typedArray): a contiguous tensor, described by the scratch array, with a copy of
/// the array's bytes.
napi_value fromHost(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  void* data = nullptr;
  size_t bytes = 0;
  if (!hostMemory(env, arguments.values[1], &data, &bytes)) {
    return failed(env, environment, fail(Status::badArgument, "not a supported typed array"));
  }
  Handle handle = 0;
  const Backend* const backend = backendFromScratch(environment);
  if (!backend) return failed(env, environment, Status::deviceFailed);
  Status status = createFromScratch(environment, *backend, kScratchOutputs, &handle);
  if (status != Status::ok) return failed(env, environment, status);
  if (bytesOf(environment, handle) != bytes) {
    status = fail(Status::badShape, "the array has %zu bytes, the tensor %zu", bytes,
                  bytesOf(environment, handle));
  } else {
    void* target = environment.tensors().find(handle)->view.data;
    status = backend->copyFromHost(backend->device, target, data, bytes);
  }
  if (status != Status::ok) {
    environment.release(handle);
    return failed(env, environment, status);
  }
  if (isObject(env, arguments.values[0])) environment.track(handle, arguments.values[0], bytes);
  return number(env, handle);
}

/// toHost(handle, typedArray): copies a contiguous tensor out. Returns 1, or 0 on failure.
napi_value toHost(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  uint32_t handle = 0;
  napi_get_value_uint32(env, arguments.values[0], &handle);
  const auto* slot = environment.tensors().find(handle);
  void* data = nullptr;
  size_t bytes = 0;
  Status status = Status::ok;
  if (!slot) {
    status = fail(Status::badHandle, "the tensor was disposed");
  } else if (!hostMemory(env, arguments.values[1], &data, &bytes)) {
    status = fail(Status::badArgument, "not a supported typed array");
  } else if (!slot->view.contiguous || bytesOf(environment, handle) != bytes) {
    status = fail(Status::badShape, "the array does not match the tensor's memory");
  } else {
    const Backend& backend = slot->storage->backend();
    environment.enter(backend);
    environment.settle(slot->storage, false);
    status = backend.copyToHost(backend.device, data, slot->view.data, bytes);
  }
  return status == Status::ok ? number(env, 1) : failed(env, environment, status);
}

/// An element as a number; a half's bits mean nothing here, TypeScript has converted it before.
double numberAt(const void* data, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return static_cast<double>(*static_cast<const float*>(data));
    case DType::int32:
      return *static_cast<const int32_t*>(data);
    case DType::float64:
      return *static_cast<const double*>(data);
    case DType::int64:
      return static_cast<double>(*static_cast<const int64_t*>(data));
    case DType::boolean:
    case DType::uint8:
      return *static_cast<const uint8_t*>(data);
    case DType::float16:
    case DType::bfloat16:
      break;
  }
  return NAN;
}

/// item(handle): the first element as a number (an int64 beyond 2^53 rounded). The scratch array
/// has the status: a device may tell of an earlier failure here.
napi_value item(napi_env env, napi_callback_info info) {
  const Arguments arguments = argumentsOf(env, info);
  Environment& environment = *arguments.environment;
  uint32_t handle = 0;
  napi_get_value_uint32(env, arguments.values[0], &handle);
  const auto* slot = environment.tensors().find(handle);
  double value = NAN;
  Status status = Status::ok;
  if (!slot) {
    status = fail(Status::badHandle, "the tensor was disposed");
  } else if (slot->view.size > 0) {
    environment.settle(slot->storage, false);
    const Backend& backend = slot->storage->backend();
    environment.enter(backend);
    alignas(8) char element[8];
    status = backend.copyToHost(backend.device, element, slot->view.data, sizeOf(slot->view.dtype));
    if (status == Status::ok) value = numberAt(element, slot->view.dtype);
  }
  environment.scratch()[kScratchOp] = static_cast<double>(status);
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const auto& environment = *static_cast<Environment*>(info.Data());
  const MemoryStats memory = memoryStats();
  Napi::Object result = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) {
    result.Set(name, Napi::Number::New(info.Env(), static_cast<double>(value)));
  };
  set("allocatedBytes", memory.allocatedBytes);
  set("peakAllocatedBytes", memory.peakAllocatedBytes);
  set("cachedBytes", memory.cachedBytes);
  set("reservedBytes", memory.reservedBytes);
  set("limitBytes", memory.limitBytes);
  set("allocations", memory.allocations);
  set("cacheHits", memory.cacheHits);
  set("tensors", const_cast<Environment&>(environment).tensors().live());
  return result;
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  result.Set("opTableHash", Napi::Number::New(env, opTableHash()));
  result.Set("isa", Napi::String::New(env, isaName(activeIsa())));
  result.Set("isaDetected", Napi::String::New(env, isaName(detectedIsa())));
  const char* problem = isaProblem();
  result.Set("isaProblem", Napi::String::New(env, problem ? problem : ""));
  result.Set("physicalCores", Napi::Number::New(env, physicalCores()));
  return result;
}

Napi::Value lastError(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), lastErrorMessage());
}

/// The process's pool is stopped when its last environment goes, so that no thread outlives it.
class PoolUsers {
 public:
  static void add() { change(1); }
  static void remove() { change(-1); }

 private:
  static void change(int by) {
    static std::mutex& mutex = *new std::mutex;
    static int users = 0;
    const std::lock_guard<std::mutex> lock(mutex);
    users += by;
    if (users == 0) stopThreads();
  }
};

void exportFunction(napi_env env, napi_value exports, const char* name, napi_callback callback,
                    void* data) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &value);
  napi_set_named_property(env, exports, name, value);
}

void exportFast(napi_env env, napi_value exports, Environment* environment) {
  struct {
    const char* name;
    napi_callback callback;
  } const functions[] = {{"run", run},     {"view", view},         {"release", release},
                         {"track", track}, {"fromHost", fromHost}, {"toHost", toHost},
                         {"item", item}};
  for (const auto& function : functions) {
    exportFunction(env, exports, function.name, function.callback, environment);
  }
}

void exportRest(Napi::Env env, Napi::Object exports, Environment* environment) {
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name, environment));
  };
  add("stats", stats);
  add("describe", describe);
  add("lastError", lastError);
  add("init", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const bool ok = static_cast<Environment*>(info.Data())->setScratch(info[0]);
    return Napi::Boolean::New(info.Env(), ok);
  });
  add("sweep", [](const Napi::CallbackInfo& info) -> Napi::Value {
    static_cast<Environment*>(info.Data())->sweep();
    return info.Env().Undefined();
  });
  add("trimCache", [](const Napi::CallbackInfo& info) -> Napi::Value {
    trimCache();
    return info.Env().Undefined();
  });
  add("resetPeak", [](const Napi::CallbackInfo& info) -> Napi::Value {
    resetPeak();
    return info.Env().Undefined();
  });
  add("setMemoryLimit", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const int64_t bytes = toInteger(info[0].ToNumber().DoubleValue());
    if (bytes >= 0) setMemoryLimit(static_cast<uint64_t>(bytes));
    return info.Env().Undefined();
  });
  add("numThreads", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), numThreads());
  });
  add("setNumThreads", [](const Napi::CallbackInfo& info) -> Napi::Value {
    setNumThreads(info[0].ToNumber().Int32Value());
    return info.Env().Undefined();
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto environment = std::unique_ptr<Environment>(new (std::nothrow) Environment(env));
  if (!environment) return exports;
  exportFast(env, exports, environment.get());
  exportRest(env, exports, environment.get());
  exportPrograms(env, exports, environment.get());
  exportDevices(env, exports, environment.get());
  PoolUsers::add();
  // The hook runs while the environment can still be used; V8 frees the weak references itself.
  env.AddCleanupHook(
      [](Environment* owned) {
        delete owned;
        PoolUsers::remove();
      },
      environment.release());
  return exports;
}

}  // namespace

NODE_API_MODULE(kindling, initialise)

}  // namespace kindling

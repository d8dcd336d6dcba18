#include "binding/devices.h"

#include <memory>
#include <new>
#include <string>

#include "binding/environment.h"
#include "core/devices.h"
#include "core/numbers.h"

namespace kindling {

namespace {

Environment& environmentOf(const Napi::CallbackInfo& info) {
  return *static_cast<Environment*>(info.Data());
}

Napi::Value failed(const Napi::CallbackInfo& info, Status status) {
  environmentOf(info).scratch()[kScratchOp] = static_cast<double>(status);
  return Napi::Number::New(info.Env(), 0);
}

Napi::Value done(const Napi::CallbackInfo& info, Status status) {
  return status == Status::ok ? Napi::Number::New(info.Env(), 1) : failed(info, status);
}

Napi::Value number(const Napi::CallbackInfo& info, double value) {
  return Napi::Number::New(info.Env(), value);
}

Napi::Value reportObject(const Napi::CallbackInfo& info, const DeviceReport& report) {
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("state", number(info, static_cast<double>(report.state)));
  result.Set("deviceCount", number(info, report.deviceCount));
  result.Set("driverVersion", number(info, report.driverVersion));
  result.Set("runtimeVersion", number(info, report.runtimeVersion));
  result.Set("isEmulated", Napi::Boolean::New(info.Env(), report.isEmulated));
  result.Set("message", Napi::String::New(info.Env(), report.message));
  return result;
}

/// openDevices(path)
Napi::Value open(const Napi::CallbackInfo& info) {
  const std::string path = info[0].ToString().Utf8Value();
  return reportObject(info, openDevices(path.c_str()));
}

Napi::Value report(const Napi::CallbackInfo& info) { return reportObject(info, deviceReport()); }

/// The backend of info[0], entered; nullptr and a message where there is none.
const Backend* backendOf(const Napi::CallbackInfo& info) {
  const Backend* const backend = findBackend(toInt32(info[0].ToNumber().DoubleValue()));
  if (backend) environmentOf(info).enter(*backend);
  return backend;
}

/// deviceInfo(device)
Napi::Value deviceInfo(const Napi::CallbackInfo& info) {
  const Backend* const backend = backendOf(info);
  if (!backend || backend->device == kCpu) return failed(info, Status::deviceFailed);
  CudaDeviceInfo found = {};
  const Status status = deviceApi()->describe(backend->device - 1, &found);
  if (status != Status::ok) return failed(info, status);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", Napi::String::New(info.Env(), found.name));
  result.Set("major", number(info, found.major));
  result.Set("minor", number(info, found.minor));
  result.Set("multiProcessors", number(info, found.multiProcessors));
  result.Set("totalBytes", number(info, static_cast<double>(found.totalBytes)));
  result.Set("freeBytes", number(info, static_cast<double>(found.freeBytes)));
  return result;
}

/// deviceStats(device)
Napi::Value deviceStats(const Napi::CallbackInfo& info) {
  const Backend* const backend = backendOf(info);
  if (!backend || !backend->memoryStats) return failed(info, Status::deviceFailed);
  MemoryStats stats = {};
  backend->memoryStats(backend->device, &stats);
  Napi::Object result = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) {
    result.Set(name, number(info, static_cast<double>(value)));
  };
  set("allocatedBytes", stats.allocatedBytes);
  set("peakAllocatedBytes", stats.peakAllocatedBytes);
  set("cachedBytes", stats.cachedBytes);
  set("reservedBytes", stats.reservedBytes);
  set("allocations", stats.allocations);
  set("cacheHits", stats.cacheHits);
  return result;
}

/// deviceDo(device, 0 synchronize | 1 empty the cache | 2 reset the peak)
Napi::Value deviceDo(const Napi::CallbackInfo& info) {
  Environment& environment = environmentOf(info);
  const Backend* const backend = backendOf(info);
  if (!backend || !backend->synchronize) return failed(info, Status::deviceFailed);
  environment.programs().drain();
  switch (toInt32(info[1].ToNumber().DoubleValue())) {
    case 0:
      return done(info, backend->synchronize(backend->device));
    case 1:
      environment.programs().trim();
      backend->emptyCache(backend->device);
      return done(info, Status::ok);
    case 2:
      backend->resetPeak(backend->device);
      return done(info, Status::ok);
    default:
      return failed(info, fail(Status::badArgument, "unknown request"));
  }
}

/// deviceOption(0 deterministic | 1 TF32 | 2 blocking, on)
Napi::Value deviceOption(const Napi::CallbackInfo& info) {
  const CudaApi* const api = deviceApi();
  if (!api) return failed(info, fail(Status::deviceFailed, "there are no devices"));
  void (*const options[])(int32_t) = {api->setDeterministic, api->setAllowTf32, api->setBlocking};
  const int32_t which = toInt32(info[0].ToNumber().DoubleValue());
  if (which < 0 || which > 2) return failed(info, fail(Status::badArgument, "unknown option"));
  options[which](info[1].ToBoolean() ? 1 : 0);
  return done(info, Status::ok);
}

Status copyBetween(const Backend& to, void* destination, const Backend& from, const void* source,
                   size_t bytes) {
  if (!to.run) return from.copyToHost(from.device, destination, source, bytes);
  if (!from.run) return to.copyFromHost(to.device, destination, source, bytes);
  if (&to == &from) return to.copyWithin(to.device, destination, source, bytes);
  return to.copyFromDevice(to.device, destination, from.device, source, bytes);
}

/// transfer(owner, handle): a copy of a contiguous tensor on the device that the scratch array
/// names.
Napi::Value transfer(const Napi::CallbackInfo& info) {
  Environment& environment = environmentOf(info);
  const Handle source = info[1].ToNumber().Uint32Value();
  const Backend* const to = findBackend(toInt32(environment.scratch()[kScratchDevice]));
  if (!to) return failed(info, Status::deviceFailed);
  const TensorTable::Slot* slot = environment.tensors().find(source);
  if (!slot) return failed(info, fail(Status::badHandle, "the tensor was disposed"));
  if (!slot->view.contiguous) return failed(info, fail(Status::badShape, "not contiguous"));
  environment.settle(slot->storage, false);
  const Backend& from = slot->storage->backend();
  environment.enter(*to);
  environment.enter(from);
  Handle made = 0;
  Status status = retryAfterSweep(environment, [&] {
    const TensorView view = environment.tensors().find(source)->view;
    return environment.tensors().create(*to, view.dtype, view.rank, view.shape, &made);
  });
  if (status != Status::ok) return failed(info, status);
  const TensorView view = environment.tensors().find(source)->view;
  const size_t bytes = static_cast<size_t>(view.size) * sizeOf(view.dtype);
  status = copyBetween(*to, environment.tensors().find(made)->view.data, from, view.data, bytes);
  if (status != Status::ok) {
    environment.release(made);
    return failed(info, status);
  }
  if (info[0].IsObject()) environment.track(made, info[0], bytes);
  return number(info, made);
}

/// A tensor's way to the host, waited for on a thread of libuv's.
struct Reading {
  const Backend* backend;
  StorageRef storage;  // not to be reused before the copy has ended
  void* read = nullptr;
  void* destination = nullptr;
  Status status = Status::ok;
  std::string message;
  Napi::Reference<Napi::Value> array;
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
};

void waitFor(napi_env, void* data) {
  Reading& reading = *static_cast<Reading*>(data);
  reading.status = reading.backend->finishRead(reading.read, reading.destination);
  if (reading.status != Status::ok) reading.message = lastErrorMessage();
}

void deliver(napi_env env, napi_status, void* data) {
  const std::unique_ptr<Reading> reading(static_cast<Reading*>(data));
  Napi::HandleScope scope(env);
  Napi::Object result = Napi::Object::New(env);
  result.Set("status", Napi::Number::New(env, static_cast<double>(reading->status)));
  result.Set("message", Napi::String::New(env, reading->message));
  napi_resolve_deferred(env, reading->deferred, result);
  napi_delete_async_work(env, reading->work);
}

/// read(handle, typedArray): begins to copy a contiguous tensor of a device to the array and gives
/// a promise of { status, message }; 0 where it cannot begin.
Napi::Value read(const Napi::CallbackInfo& info) {
  Environment& environment = environmentOf(info);
  const auto* slot = environment.tensors().find(info[0].ToNumber().Uint32Value());
  if (!slot) return failed(info, fail(Status::badHandle, "the tensor was disposed"));
  const Backend& backend = slot->storage->backend();
  const size_t bytes = static_cast<size_t>(slot->view.size) * sizeOf(slot->view.dtype);
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().ByteLength() != bytes ||
      !slot->view.contiguous || !backend.beginRead) {
    return failed(info, fail(Status::badShape, "the array does not match the tensor's memory"));
  }
  environment.enter(backend);
  environment.settle(slot->storage, false);
  std::unique_ptr<Reading> reading(new (std::nothrow) Reading);
  if (!reading) return failed(info, fail(Status::outOfMemory, "no memory to read"));
  const Napi::TypedArray array = info[1].As<Napi::TypedArray>();
  reading->backend = &backend;
  reading->storage = slot->storage;
  reading->destination = static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  const Status status = backend.beginRead(backend.device, slot->view.data, bytes, &reading->read);
  if (status != Status::ok) return failed(info, status);
  reading->array = Napi::Persistent(info[1]);
  napi_value promise = nullptr;
  napi_create_promise(info.Env(), &reading->deferred, &promise);
  napi_create_async_work(info.Env(), nullptr, Napi::String::New(info.Env(), "kindling"), waitFor,
                         deliver, reading.get(), &reading->work);
  napi_queue_async_work(info.Env(), reading.release()->work);
  return Napi::Value(info.Env(), promise);
}

}  // namespace

void exportDevices(Napi::Env env, Napi::Object exports, Environment* environment) {
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name, environment));
  };
  add("openDevices", open);
  add("deviceReport", report);
  add("deviceInfo", deviceInfo);
  add("deviceStats", deviceStats);
  add("deviceDo", deviceDo);
  add("deviceOption", deviceOption);
  add("transfer", transfer);
  add("read", read);
}

}  // namespace kindling

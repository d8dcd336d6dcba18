#include "cuda_emulator/stream.h"

#include <cstring>
#include <map>

#include "cuda_emulator/device.h"
#include "cuda_emulator/launches.h"
#include "cuda_emulator/report.h"
#include "cuda_emulator/watch.h"

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

/// More than this is not kept waiting.
constexpr size_t kMostWaiting = 1024;
constexpr size_t kMostStagedBytes = 4096;

std::vector<CUstream_st*> streams;
std::map<std::pair<int, const void*>, int> dynamicLimits;

bool isLazy() {
  static const bool on = [] {
    const char* const text = getenv("KINDLING_EMULATOR_STREAMS");
    return text == nullptr || strcmp(text, "eager") != 0;
  }();
  return on;
}

CUstream_st* newStream() {
  CUstream_st* const stream = new CUstream_st;
  stream->device = currentDevice();
  streams.push_back(stream);
  return stream;
}

/// The stream itself, or the device's default stream.
CUstream_st& streamOf(cudaStream_t stream) {
  static CUstream_st* defaults[8] = {};
  if (stream != nullptr) return *stream;
  CUstream_st*& own = defaults[currentDevice()];
  if (own == nullptr) own = newStream();
  return *own;
}

void copy(void* to, const void* from, size_t bytes) {
  for (const void* side : {static_cast<const void*>(to), from}) {
    if (isDeviceMemory(side) && !isAllocated(side, bytes)) {
      finding("a copy of %zu bytes leaves the device memory at %p", bytes, side);
      return;
    }
  }
  const bool fromDevice = isDeviceMemory(from), toDevice = isDeviceMemory(to);
  if (fromDevice && !toDevice && !watch::hostMayRead(from, bytes)) return;
  memmove(to, from, bytes);
  if (fromDevice && toDevice) {
    watch::moved(to, from, bytes);
  } else if (toDevice) {
    watch::hostWrote(to, bytes);
  }
}

void fill(const FillWork& work) {
  if (!isAllocated(work.data, work.bytes)) {
    finding("a fill of %zu bytes leaves the device memory at %p", work.bytes, work.data);
    return;
  }
  memset(work.data, work.byte, work.bytes);
  watch::hostWrote(work.data, work.bytes);
}

void run(CUstream_st& stream, uint64_t until);

void runList(const WorkList& list);

void runWork(const WorkHeader* header) {
  const void* const body = header + 1;
  switch (header->kind) {
    case Work::kernel:
      runGrid(static_cast<const KernelWork*>(body)->launch,
              static_cast<const KernelWork*>(body) + 1);
      return;
    case Work::copy: {
      const CopyWork& work = *static_cast<const CopyWork*>(body);
      return copy(work.to, work.from, work.bytes);
    }
    case Work::stagedCopy: {
      const CopyWork& work = *static_cast<const CopyWork*>(body);
      return copy(work.to, &work + 1, work.bytes);
    }
    case Work::fill:
      return fill(*static_cast<const FillWork*>(body));
    case Work::wait: {
      const WaitWork& work = *static_cast<const WaitWork*>(body);
      return run(*work.stream, work.position);
    }
    case Work::graph: {
      const std::unique_ptr<std::shared_ptr<const WorkList>> list(
          static_cast<const GraphWork*>(body)->list);
      return runList(**list);
    }
    case Work::allocated: {
      const MarkWork& work = *static_cast<const MarkWork*>(body);
      watch::released(work.data, work.blockBytes);
      watch::allocated(work.data, work.bytes);
      memset(work.data, 0xff, work.bytes);
      return;
    }
    case Work::freed: {
      const MarkWork& work = *static_cast<const MarkWork*>(body);
      return watch::released(work.data, work.blockBytes);
    }
  }
}

void runList(const WorkList& list) {
  for (size_t unit = 0; unit < list.units(); unit += WorkList::unitsOf(list.at(unit))) {
    runWork(list.at(unit));
  }
}

void run(CUstream_st& stream, uint64_t until) {
  if (stream.done >= until || stream.isBusy) return;
  const DeviceAccess access;
  stream.isBusy = true;
  while (stream.done < until) {
    const WorkHeader* const header = stream.list.at(stream.next);
    stream.next += WorkList::unitsOf(header);
    ++stream.done;
    runWork(header);
  }
  stream.isBusy = false;
  if (stream.done == stream.called) {
    stream.list.clear();
    stream.next = 0;
  }
}

void runAll(CUstream_st& stream) { run(stream, stream.called); }

cudaError_t told() { return takeFinding() ? failed(cudaErrorLaunchFailure) : cudaSuccess; }

/// Adds work to the stream, or to what it captures; fill() writes it.
template <typename T, typename Fill>
void call(CUstream_st& stream, Work kind, size_t more, const Fill& fillIn) {
  if (stream.capture != nullptr) {
    fillIn(stream.capture->add<T>(kind, more));
    return;
  }
  fillIn(stream.list.add<T>(kind, more));
  ++stream.called;
  if (!isLazy() || stream.called - stream.done > kMostWaiting) runAll(stream);
}

bool isValid(const Launch& launch) {
  const dim3 &grid = launch.grid, &block = launch.block;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu) return false;
  if (grid.y > 65535 || grid.z > 65535) return false;
  if (block.x == 0 || block.y == 0 || block.z == 0) return false;
  if (block.x > 1024 || block.y > 1024 || block.z > 64) return false;
  return static_cast<uint64_t>(block.x) * block.y * block.z <= 1024;
}

}  // namespace

cudaError_t enqueueLaunch(const Launch& launch, cudaStream_t handle, const void* tuple) {
  Guard guard;
  CUstream_st& stream = streamOf(handle);
  if (!isValid(launch)) return failed(cudaErrorInvalidConfiguration);
  const auto limit = dynamicLimits.find({stream.device, launch.kernel});
  const bool optedIn = limit != dynamicLimits.end();
  const size_t most = optedIn ? static_cast<size_t>(limit->second) : size_t{48} << 10;
  if (launch.sharedBytes > most) return failed(cudaErrorInvalidValue);
  if (launch.cooperative) {
    int blocks = 0;
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        &blocks, launch.kernel, static_cast<int>(launch.block.x * launch.block.y * launch.block.z),
        launch.sharedBytes);
    const uint64_t all = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
    if (all > static_cast<uint64_t>(blocks) * static_cast<uint64_t>(processorCount())) {
      return failed(cudaErrorCooperativeLaunchTooLarge);
    }
  }
  noteLaunch(launch);
  call<KernelWork>(stream, Work::kernel, launch.argumentBytes, [&](KernelWork* work) {
    work->launch = launch;
    work->launch.optedIn = optedIn;
    memcpy(static_cast<void*>(work + 1), tuple, launch.argumentBytes);
  });
  return cudaSuccess;
}

void markAllocated(cudaStream_t stream, void* data, size_t bytes, size_t blockBytes) {
  Guard guard;
  call<MarkWork>(streamOf(stream), Work::allocated, 0, [&](MarkWork* work) {
    *work = {data, bytes, blockBytes};
  });
}

void markFreed(cudaStream_t stream, void* data, size_t blockBytes) {
  Guard guard;
  call<MarkWork>(streamOf(stream), Work::freed, 0, [&](MarkWork* work) {
    *work = {data, 0, blockBytes};
  });
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

using namespace kindling::cuda::emulator;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  Guard guard;
  *stream = newStream();
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Guard guard;
  runAll(*stream);  // its memory stays: events may refer to it
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Guard guard;
  CUstream_st& stream = streamOf(handle);
  if (stream.capture != nullptr) return failed(cudaErrorStreamCaptureUnsupported);
  runAll(stream);
  return told();
}

cudaError_t cudaStreamQuery(cudaStream_t handle) { return cudaStreamSynchronize(handle); }

cudaError_t cudaDeviceSynchronize() {
  Guard guard;
  for (CUstream_st* stream : streams) {
    if (stream->device == currentDevice() && stream->capture == nullptr) runAll(*stream);
  }
  return told();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  Guard guard;
  CUstream_st& stream = streamOf(handle);
  if (event->isCaptured != (stream.capture != nullptr)) {
    if (event->stream != nullptr) return failed(cudaErrorStreamCaptureUnsupported);
  }
  if (event->stream == nullptr || event->stream == &stream) return cudaSuccess;
  call<WaitWork>(stream, Work::wait, 0, [&](WaitWork* work) {
    *work = {event->stream, event->position};
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  Guard guard;
  CUstream_st& stream = streamOf(handle);
  event->stream = &stream;
  event->position = stream.called;
  event->isCaptured = stream.capture != nullptr;
  event->wasAsked = false;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  Guard guard;
  if (event->isCaptured) return failed(cudaErrorCapturedEvent);
  if (event->stream == nullptr || event->stream->done >= event->position) return cudaSuccess;
  if (!event->wasAsked) {
    event->wasAsked = true;
    return cudaErrorNotReady;
  }
  run(*event->stream, event->position);
  return told();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Guard guard;
  if (event->isCaptured) return failed(cudaErrorCapturedEvent);
  if (event->stream != nullptr) run(*event->stream, event->position);
  return told();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 0;  // the emulator has no speed
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  Guard guard;
  if (bytes == 0) return cudaSuccess;
  CUstream_st& stream = streamOf(handle);
  const bool toDevice = isDeviceMemory(to), fromDevice = isDeviceMemory(from);
  const bool right =
      kind == cudaMemcpyDefault ||
      (toDevice == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) &&
       fromDevice == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice));
  if (!right || (toDevice && !isAllocated(to, bytes)) ||
      (fromDevice && !isAllocated(from, bytes))) {
    return failed(cudaErrorInvalidValue);
  }
  const auto add = [&](CopyWork* work) { *work = {to, from, bytes}; };
  if (stream.capture != nullptr || ((toDevice || isPinned(to)) && (fromDevice || isPinned(from)))) {
    call<CopyWork>(stream, Work::copy, 0, add);
    return cudaSuccess;
  }
  // Pageable memory of the host: what is read from it is read now; what is written is waited for.
  if (toDevice && bytes <= kMostStagedBytes) {
    call<CopyWork>(stream, Work::stagedCopy, bytes, [&](CopyWork* work) {
      add(work);
      memcpy(static_cast<void*>(work + 1), from, bytes);
    });
    return cudaSuccess;
  }
  call<CopyWork>(stream, Work::copy, 0, add);
  runAll(stream);
  return told();
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return error == cudaSuccess ? cudaStreamSynchronize(nullptr) : error;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int toDevice, const void* from, int fromDevice,
                                size_t bytes, cudaStream_t stream) {
  Guard guard;
  if (bytes == 0) return cudaSuccess;
  if (deviceOfMemory(to) != toDevice || deviceOfMemory(from) != fromDevice) {
    return failed(cudaErrorInvalidValue);
  }
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}

cudaError_t cudaMemsetAsync(void* data, int byte, size_t bytes, cudaStream_t stream) {
  Guard guard;
  if (bytes == 0) return cudaSuccess;
  if (!isDeviceMemory(data) || !isAllocated(data, bytes)) return failed(cudaErrorInvalidValue);
  call<FillWork>(streamOf(stream), Work::fill, 0, [&](FillWork* work) {
    *work = {data, bytes, byte};
  });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* data, int byte, size_t bytes) {
  return cudaMemsetAsync(data, byte, bytes, nullptr);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  Guard guard;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > sharedBytesPerBlock()) {
    return failed(cudaErrorInvalidValue);
  }
  dynamicLimits[{currentDevice(), kernel}] = value;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Guard guard;
  if (stream == nullptr || stream->capture != nullptr) {
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  stream->capture = std::make_unique<WorkList>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Guard guard;
  *graph = nullptr;
  if (stream == nullptr || stream->capture == nullptr) return failed(cudaErrorInvalidValue);
  *graph = new CUgraph_st{std::shared_ptr<const WorkList>(std::move(stream->capture))};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Guard guard;
  *status = streamOf(stream).capture != nullptr ? cudaStreamCaptureStatusActive
                                                : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->list};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  Guard guard;
  call<GraphWork>(streamOf(stream), Work::graph, 0, [&](GraphWork* work) {
    work->list = new std::shared_ptr<const WorkList>(exec->list);
  });
  return cudaSuccess;
}

/// As the real one, only where the new graph does the same kinds of work with the same kernels.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info) {
  Guard guard;
  const WorkList &old = *exec->list, &next = *graph->list;
  bool same = old.units() == next.units();
  for (size_t unit = 0; same && unit < old.units(); unit += WorkList::unitsOf(old.at(unit))) {
    const WorkHeader *a = old.at(unit), *b = next.at(unit);
    same = a->kind == b->kind && a->bytes == b->bytes;
    if (same && a->kind == Work::kernel) {
      same = reinterpret_cast<const KernelWork*>(a + 1)->launch.kernel ==
             reinterpret_cast<const KernelWork*>(b + 1)->launch.kernel;
    }
  }
  *info = {same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateError, nullptr, nullptr};
  if (!same) return failed(cudaErrorGraphExecUpdateFailure);
  exec->list = graph->list;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

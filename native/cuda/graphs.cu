// CUDA graphs: what the kernels of a compiled step launch is recorded once and launched as one. The
// recording goes to a stream of its own, so that other threads may go on with the queue's.

#include <new>

#include "cuda/device_state.h"

namespace kindling {
namespace cuda {

namespace {

struct Graph {
  cudaGraphExec_t executable = nullptr;
  Capture* capture = nullptr;
};

/// Makes `graph` launch what was recorded; changes it in place where its structure is the same.
cudaError_t instantiate(Graph& graph, cudaGraph_t recorded) {
  if (graph.executable) {
    cudaGraphExecUpdateResultInfo info;
    if (cudaGraphExecUpdate(graph.executable, recorded, &info) == cudaSuccess) return cudaSuccess;
    cudaGetLastError();
    cudaGraphExecDestroy(graph.executable);
    graph.executable = nullptr;
  }
  return cudaGraphInstantiate(&graph.executable, recorded, 0);
}

}  // namespace

void* Capture::take(size_t bytes) {
  for (size_t i = 0; i < unused.size(); ++i) {
    for (size_t j = 0; j < memory.size(); ++j) {
      if (memory[j] != unused[i] || sizes[j] < bytes || sizes[j] / 2 > bytes) continue;
      unused.erase(unused.begin() + static_cast<std::ptrdiff_t>(i));
      return memory[j];
    }
  }
  void* const data = stream->device->allocator.allocate(stream->memory, bytes);
  if (!data) return nullptr;
  memory.push_back(data);
  sizes.push_back(bytes);
  return data;
}

void Capture::releaseAll() {
  for (void* data : memory) stream->device->allocator.deallocate(data);
  // The last launch may still read them.
  for (PinnedMemory::Buffer* buffer : pinned)
    stream->device->pinned.release(buffer, stream->stream);
  memory.clear();
  pinned.clear();
}

Status beginCapture(DeviceCode device) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  Capture* const capture = new (std::nothrow) Capture;
  if (!capture) return fail(Status::outOfMemory, "no memory to record a graph");
  capture->stream = stream;
  cudaError_t error = cudaStreamCreateWithFlags(&capture->recording, cudaStreamNonBlocking);
  // Relaxed: memory may be taken from the device meanwhile, by this thread and others.
  if (error == cudaSuccess) {
    error = cudaStreamBeginCapture(capture->recording, cudaStreamCaptureModeRelaxed);
    if (error != cudaSuccess) cudaStreamDestroy(capture->recording);
  }
  const Status status = gpu::check(error, "recording a graph");
  if (status == Status::ok)
    current().capture = capture;
  else
    delete capture;
  return status;
}

Status endCapture(DeviceCode, void** graph) {
  Current& here = current();
  Capture* const capture = here.capture;
  here.capture = nullptr;
  cudaGraph_t recorded = nullptr;
  cudaError_t error = cudaStreamEndCapture(capture->recording, &recorded);
  cudaStreamDestroy(capture->recording);
  Graph* made = static_cast<Graph*>(*graph);
  *graph = nullptr;
  if (error == cudaSuccess && !capture->failed) {
    if (!made) made = new (std::nothrow) Graph;
    error = made ? instantiate(*made, recorded) : cudaErrorMemoryAllocation;
  }
  if (recorded) cudaGraphDestroy(recorded);
  if (error != cudaSuccess || capture->failed) {
    cudaGetLastError();
    const bool needsHost = capture->failed;
    capture->releaseAll();
    delete capture;
    if (made) destroyGraph(made);
    return fail(Status::unsupported, "the step cannot be recorded as a graph: %s",
                needsHost ? "an op needs values on the host" : cudaGetErrorString(error));
  }
  if (made->capture) {
    made->capture->releaseAll();
    delete made->capture;
  }
  made->capture = capture;
  *graph = made;
  return Status::ok;
}

Status launchGraph(DeviceCode device, void* graph) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  stream->slotIsUsed.store(true, std::memory_order_release);
  return gpu::check(cudaGraphLaunch(static_cast<Graph*>(graph)->executable, stream->stream),
                    "launching a graph");
}

void destroyGraph(void* graph) {
  Graph* const made = static_cast<Graph*>(graph);
  if (made->executable) cudaGraphExecDestroy(made->executable);
  if (made->capture) {
    made->capture->releaseAll();
    delete made->capture;
  }
  delete made;
}

}  // namespace cuda
}  // namespace kindling

// Copies between the host and a device, within a device and between devices. What comes from the
// host goes through page-locked memory, so that the caller's array is free again and nothing waits.

#include <cstring>
#include <new>
#include <vector>

#include "cuda/device_state.h"

namespace kindling {
namespace cuda {

namespace {

using Buffer = PinnedMemory::Buffer;

size_t chunkOf(size_t left) { return left < PinnedMemory::kChunk ? left : PinnedMemory::kChunk; }

/// Where no memory can be locked: the runtime copies by itself, and the host waits.
Status copyAndWait(Stream& stream, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Status status =
      gpu::check(cudaMemcpyAsync(to, from, bytes, kind, stream.stream), "copying");
  if (status != Status::ok) return status;
  return gpu::check(cudaStreamSynchronize(stream.stream), "waiting for a copy");
}

Status send(Stream& stream, char* to, const char* from, size_t bytes) {
  PinnedMemory& pinned = stream.device->pinned;
  for (size_t done = 0; done < bytes;) {
    const size_t size = chunkOf(bytes - done);
    Buffer* const buffer = pinned.acquire(size);
    if (!buffer) {
      return copyAndWait(stream, to + done, from + done, bytes - done, cudaMemcpyHostToDevice);
    }
    memcpy(buffer->data, from + done, size);
    const cudaError_t error =
        cudaMemcpyAsync(to + done, buffer->data, size, cudaMemcpyHostToDevice, stream.stream);
    pinned.release(buffer, stream.stream);
    const Status status = gpu::check(error, "copying to the device");
    if (status != Status::ok) return status;
    done += size;
  }
  return Status::ok;
}

/// Two buffers: the device fills one while the host empties the other.
Status receive(Stream& stream, char* to, const char* from, size_t bytes) {
  PinnedMemory& pinned = stream.device->pinned;
  Buffer* const buffers[2] = {
      pinned.acquire(chunkOf(bytes)),
      bytes > PinnedMemory::kChunk ? pinned.acquire(PinnedMemory::kChunk) : nullptr};
  const bool twice = bytes > PinnedMemory::kChunk;
  Status status = Status::ok;
  if (!buffers[0] || (twice && !buffers[1])) {
    status = copyAndWait(stream, to, from, bytes, cudaMemcpyDeviceToHost);
  } else {
    const size_t chunks = (bytes + PinnedMemory::kChunk - 1) / PinnedMemory::kChunk;
    for (size_t i = 0; i < chunks + 1 && status == Status::ok; ++i) {
      if (i < chunks) {
        Buffer& next = *buffers[i % 2];
        const size_t at = i * PinnedMemory::kChunk;
        cudaError_t error = cudaMemcpyAsync(next.data, from + at, chunkOf(bytes - at),
                                            cudaMemcpyDeviceToHost, stream.stream);
        if (error == cudaSuccess) error = cudaEventRecord(next.event, stream.stream);
        status = gpu::check(error, "copying from the device");
      }
      if (i > 0 && status == Status::ok) {
        Buffer& full = *buffers[(i - 1) % 2];
        const size_t at = (i - 1) * PinnedMemory::kChunk;
        status = gpu::check(cudaEventSynchronize(full.event), "waiting for a copy");
        if (status == Status::ok) memcpy(to + at, full.data, chunkOf(bytes - at));
      }
    }
    if (status != Status::ok) cudaStreamSynchronize(stream.stream);
  }
  for (Buffer* buffer : buffers) {
    if (buffer) pinned.release(buffer);
  }
  return status;
}

/// A result that is on its way to the host.
struct Read {
  Stream* stream;
  Buffer* buffer;  // the error slot, then the bytes
  size_t bytes;
  bool hasSlot;
};
constexpr size_t kReadOffset = 64;
static_assert(sizeof(IndexError) <= kReadOffset, "the error slot must fit in front");

Status afterwards(Stream& later, Stream& earlier) {
  const cudaError_t recorded = cudaEventRecord(earlier.crossing, earlier.stream);
  if (recorded != cudaSuccess) return gpu::check(recorded, "recording an event");
  return gpu::check(cudaStreamWaitEvent(later.stream, earlier.crossing, 0), "waiting for an event");
}

void askForAccess(Device& from, Device& to) {
  const std::lock_guard<std::mutex> lock(from.mutex);
  if (from.reaches[to.index]) return;
  from.reaches[to.index] = true;
  int can = 0;
  if (cudaDeviceCanAccessPeer(&can, from.index, to.index) == cudaSuccess && can) {
    cudaDeviceEnablePeerAccess(to.index, 0);
  }
  cudaGetLastError();  // without access the copy goes through the host by itself
}

}  // namespace

Status copyFromHost(DeviceCode device, void* destination, const void* source, size_t bytes) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  return send(*stream, static_cast<char*>(destination), static_cast<const char*>(source), bytes);
}

Status copyToHost(DeviceCode device, void* destination, const void* source, size_t bytes) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  const std::lock_guard<std::mutex> lock(stream->synchronizing);
  bool fetched = false;
  Status status = fetchSlot(*stream, stream->slotOnHost, &fetched);
  if (status == Status::ok && bytes > 0) {
    status =
        receive(*stream, static_cast<char*>(destination), static_cast<const char*>(source), bytes);
  } else if (status == Status::ok && fetched) {
    status = gpu::check(cudaStreamSynchronize(stream->stream), "waiting for the device");
  }
  return status == Status::ok && fetched ? readSlot(*stream, *stream->slotOnHost) : status;
}

Status copyFromDevice(DeviceCode device, void* destination, DeviceCode sourceDevice,
                      const void* source, size_t bytes) {
  Stream* const from = enter(sourceDevice);
  Stream* const to = from ? enter(device) : nullptr;
  if (!to) return Status::deviceFailed;
  askForAccess(*to->device, *from->device);
  Status status = afterwards(*to, *from);
  if (status == Status::ok) {
    status = gpu::check(cudaMemcpyPeerAsync(destination, to->device->index, source,
                                            from->device->index, bytes, to->stream),
                        "copying between devices");
  }
  // What the source's stream does next may reuse the memory.
  if (status == Status::ok) status = afterwards(*from, *to);
  return status;
}

Status beginRead(DeviceCode device, const void* source, size_t bytes, void** read) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  Buffer* const buffer = stream->device->pinned.acquire(kReadOffset + bytes);
  Read* const made = buffer ? new (std::nothrow) Read{stream, buffer, bytes, false} : nullptr;
  if (!made) {
    if (buffer) stream->device->pinned.release(buffer);
    return fail(Status::outOfMemory, "no page-locked memory for %zu bytes", bytes);
  }
  char* const memory = static_cast<char*>(buffer->data);
  Status status = fetchSlot(*stream, reinterpret_cast<IndexError*>(memory), &made->hasSlot);
  cudaError_t error = cudaSuccess;
  if (status == Status::ok && bytes > 0) {
    error = cudaMemcpyAsync(memory + kReadOffset, source, bytes, cudaMemcpyDeviceToHost,
                            stream->stream);
  }
  if (error == cudaSuccess) error = cudaEventRecord(buffer->event, stream->stream);
  if (status == Status::ok) status = gpu::check(error, "copying from the device");
  if (status == Status::ok) {
    *read = made;
  } else {
    cudaStreamSynchronize(stream->stream);
    stream->device->pinned.release(buffer);
    delete made;
  }
  return status;
}

Status finishRead(void* read, void* destination) {
  Read* const made = static_cast<Read*>(read);
  Status status = gpu::check(cudaEventSynchronize(made->buffer->event), "waiting for a copy");
  const char* const memory = static_cast<const char*>(made->buffer->data);
  if (status == Status::ok && made->hasSlot) {
    status = readSlot(*made->stream, *reinterpret_cast<const IndexError*>(memory));
  }
  if (status == Status::ok && destination && made->bytes > 0) {
    memcpy(destination, memory + kReadOffset, made->bytes);
  }
  made->stream->device->pinned.release(made->buffer);
  delete made;
  return status;
}

namespace gpu {

Status copyOnDevice(void* destination, const void* source, size_t bytes) {
  if (bytes == 0) return Status::ok;
  return check(
      cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToDevice, currentStream()),
      "copying on the device");
}

Status fillBytes(void* destination, int byte, size_t bytes) {
  if (bytes == 0) return Status::ok;
  return check(cudaMemsetAsync(destination, byte, bytes, currentStream()), "filling memory");
}

Status readBack(void* host, const void* device, size_t bytes) {
  Current& here = current();
  if (here.capture) {
    here.capture->failed = true;
    return fail(Status::unsupported, "%s: needs values on the host", here.op ? here.op : "the op");
  }
  return receive(*here.stream, static_cast<char*>(host), static_cast<const char*>(device), bytes);
}

Status upload(void* device, const void* host, size_t bytes) {
  Current& here = current();
  if (!here.capture) {
    return send(*here.stream, static_cast<char*>(device), static_cast<const char*>(host), bytes);
  }
  // The graph copies from here each time it is launched.
  Buffer* const buffer = here.stream->device->pinned.acquire(bytes);
  if (!buffer) return fail(Status::outOfMemory, "no page-locked memory for %zu bytes", bytes);
  here.capture->pinned.push_back(buffer);
  memcpy(buffer->data, host, bytes);
  return check(
      cudaMemcpyAsync(device, buffer->data, bytes, cudaMemcpyHostToDevice, currentStream()),
      "copying to the device");
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling

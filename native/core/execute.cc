#include "core/execute.h"

#include "core/op_info.h"

namespace kindling {

Status runKernel(const Backend& backend, const OpCall& call) {
  const Kernel kernel = backend.kernels[static_cast<int>(call.op)];
  if (backend.run) return backend.run(backend.device, kernel, call);
  const Status valid = validateValues(call);
  return valid == Status::ok ? kernel(call) : valid;
}

Status execute(const Backend& backend, const OpCall& call) {
  const Status valid = validate(call);
  if (valid != Status::ok) return valid;
  if (!backend.kernels[static_cast<int>(call.op)]) {
    return fail(Status::unsupported, "backend %s has no kernel for %s", backend.name,
                opInfo(call.op).name);
  }
  return runKernel(backend, call);
}

}  // namespace kindling

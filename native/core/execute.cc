#include "core/execute.h"

#include "core/op_info.h"

namespace kindling {

Status execute(const Backend& backend, const OpCall& call) {
  Status valid = validate(call);
  if (valid == Status::ok) valid = validateValues(call);
  if (valid != Status::ok) return valid;
  const Kernel kernel = backend.kernels[static_cast<int>(call.op)];
  if (!kernel) {
    return fail(Status::unsupported, "backend %s has no kernel for %s", backend.name,
                opInfo(call.op).name);
  }
  return kernel(call);
}

}  // namespace kindling

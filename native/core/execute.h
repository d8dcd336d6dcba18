#pragma once
// The one way to run an op, eager or from a program: check the record, then call the kernel.

#include "core/backend.h"

namespace kindling {

/// Checks counts, dtypes and shapes by the op's kind; addresses are not looked at.
Status validate(const OpCall& call);

/// Checks what the kernel takes from the elements of an input and does not check itself; reads
/// them, so for backends of the host's memory only. A kernel of these may trust a record that
/// passed both; one of another device checks such elements itself and reports them.
Status validateValues(const OpCall& call);

/// Calls the kernel for a record that passed validate().
Status runKernel(const Backend& backend, const OpCall& call);

Status execute(const Backend& backend, const OpCall& call);

}  // namespace kindling

#pragma once
// The one way to run an op, eager or from a program: check the record, then call the kernel.

#include "core/backend.h"

namespace kindling {

/// Checks counts, dtypes and shapes by the op's kind. A kernel may trust a record that passed.
Status validate(const OpCall& call);

Status execute(const Backend& backend, const OpCall& call);

}  // namespace kindling

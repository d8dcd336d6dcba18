#pragma once
// The one way to run an op, eager or from a program: check the record, then call the kernel.

#include "core/backend.h"

namespace kindling {

/// Checks counts, dtypes and shapes by the op's kind; addresses are not looked at.
Status validate(const OpCall& call);

/// Checks what the kernel takes from the elements of an input and does not check itself. A kernel
/// may trust a record that passed both.
Status validateValues(const OpCall& call);

Status execute(const Backend& backend, const OpCall& call);

}  // namespace kindling

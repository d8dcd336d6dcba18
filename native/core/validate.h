#pragma once
// What the files of shape rules share; execute.h has the entry.

#include "core/op_info.h"
#include "core/status.h"

namespace kindling {

/// The failure of a rule, with the op's name.
Status broken(const OpCall& call, const char* rule);
bool sameShape(const TensorView& a, const TensorView& b);

// validate_index.cc
Status checkGather(const OpCall& call);
Status checkScatter(const OpCall& call);
Status checkScan(const OpCall& call);
Status checkSort(const OpCall& call);
Status checkSearchSorted(const OpCall& call);
Status checkNonzero(const OpCall& call);

// validate_spatial.cc
Status checkConvolution(const OpCall& call);
Status checkPooling(const OpCall& call);

// validate_recurrent.cc
Status checkRecurrent(const OpCall& call);
Status checkRecurrentValues(const OpCall& call);
// validate_linalg.cc
Status checkLinalg(const OpCall& call);
Status checkFft(const OpCall& call);

}  // namespace kindling

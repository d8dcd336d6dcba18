#pragma once
// Which function makes the random cases of an op: one register function per family.

#include <vector>

#include "randomized/random_case.h"

namespace kindling {
namespace testing {

using CaseMakers = std::vector<CaseMaker>;  // by opcode; nullptr where an op has none

void addElementwiseMakers(CaseMakers& makers);
void addArrangingMakers(CaseMakers& makers);
void addReductionMakers(CaseMakers& makers);
void addSoftmaxMakers(CaseMakers& makers);
void addProductMakers(CaseMakers& makers);
void addPoolingMakers(CaseMakers& makers);
void addLinalgMakers(CaseMakers& makers);
void addSequenceMakers(CaseMakers& makers);
void addOptimizerMakers(CaseMakers& makers);

inline void setMaker(CaseMakers& makers, std::initializer_list<Op> ops, CaseMaker maker) {
  for (const Op op : ops) makers[static_cast<size_t>(op)] = maker;
}

inline const CaseMakers& caseMakers() {
  static const CaseMakers all = [] {
    CaseMakers makers(kOpCount, nullptr);
    addElementwiseMakers(makers);
    addArrangingMakers(makers);
    addReductionMakers(makers);
    addSoftmaxMakers(makers);
    addProductMakers(makers);
    addPoolingMakers(makers);
    addLinalgMakers(makers);
    addSequenceMakers(makers);
    addOptimizerMakers(makers);
    return makers;
  }();
  return all;
}

}  // namespace testing
}  // namespace kindling

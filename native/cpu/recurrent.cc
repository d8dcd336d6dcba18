// Recurrent layers over a whole sequence: LSTM, GRU and the plain RNN. The projections of the
// inputs come from one product outside; here each step is one product with the state and one pass
// over the gates. A block of rows goes through all steps before anything else sees it, so that no
// step waits for a thread and the states stay in the first-level cache. Where there are too few
// rows for blocks, the units are shared out among the threads instead, so that each reads its share
// of the weights from its own cache, and the threads meet at every step.

#include "cpu/recurrent.h"

#include "cpu/kernel_table.h"
#include "cpu/recurrent_backward.h"
#include "cpu/recurrent_forward.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

template <class Cell>
Status forward(const OpCall& call) {
  Forward<Cell> run(call);
  return run.run();
}

template <class Cell>
Status backward(const OpCall& call) {
  Backward<Cell> run(call);
  return run.run();
}

}  // namespace

void registerRecurrent(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::lstm, forward<Lstm>);
  set(Op::lstmBackward, backward<Lstm>);
  set(Op::gru, forward<Gru>);
  set(Op::gruBackward, backward<Gru>);
  set(Op::rnn, [](const OpCall& call) {
    return call.ints[1] ? forward<Rnn<true>>(call) : forward<Rnn<false>>(call);
  });
  set(Op::rnnBackward, [](const OpCall& call) {
    return call.ints[1] ? backward<Rnn<true>>(call) : backward<Rnn<false>>(call);
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling

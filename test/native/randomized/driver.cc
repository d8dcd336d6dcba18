#include "randomized/driver.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>

namespace kindling {
namespace testing {

namespace {

/// Strides of any kind: axes in any order, gaps, backwards; 0 where the source repeats an element.
struct Layout {
  std::vector<int64_t> strides;
  int64_t elements, first;  // of the memory; the place of element 0
};

bool repeats(const TensorView& view, int axis) {
  return view.shape[axis] > 1 && view.strides[axis] == 0;
}

Layout randomLayout(const TensorView& view, Random& random) {
  Layout layout = {std::vector<int64_t>(static_cast<size_t>(view.rank)), 1, 0};
  std::vector<int> order(static_cast<size_t>(view.rank));
  std::iota(order.rbegin(), order.rend(), 0);
  if (random.oneIn(2)) {
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1],
                order[static_cast<size_t>(random.pick(0, static_cast<int64_t>(i) - 1))]);
    }
  }
  for (const int axis : order) {
    int64_t& stride = layout.strides[static_cast<size_t>(axis)];
    if (repeats(view, axis)) continue;
    stride = layout.elements;
    if (random.oneIn(4)) stride = stride * random.pick(1, 2) + random.pick(0, 3);
    const int64_t steps = view.shape[axis] > 0 ? view.shape[axis] - 1 : 0;
    layout.elements += stride * steps;
    if (random.oneIn(5)) {
      layout.first += stride * steps;
      stride = -stride;
    }
  }
  if (view.size == 0) layout.elements = layout.first = 0;
  return layout;
}

bool isRowMajor(const TensorView& view) {
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != stride) return false;
    stride *= view.shape[axis];
  }
  return true;
}

bool repeatsAny(const TensorView& view) {
  for (int axis = 0; axis < view.rank; ++axis) {
    if (repeats(view, axis)) return true;
  }
  return false;
}

char runningCase[512];
struct sigaction handlerBefore[2];

/// Says which case it was and lets whoever handled the signal before go on.
void onFault(int signal) {
  const ssize_t written = write(2, runningCase, strlen(runningCase));
  static_cast<void>(written);
  sigaction(signal, &handlerBefore[signal == SIGBUS], nullptr);
}

}  // namespace

void nameRunningCase(const std::string& name) {
  snprintf(runningCase, sizeof runningCase, "\nmemory fault in the random case %s\n", name.c_str());
  struct sigaction own = {};
  own.sa_handler = onFault;
  struct sigaction current;
  for (const int signal : {SIGSEGV, SIGBUS}) {
    sigaction(signal, nullptr, &current);
    if (current.sa_handler == onFault) continue;
    sigaction(signal, &own, &handlerBefore[signal == SIGBUS]);
  }
}

PlacedCase::PlacedCase(const RandomCase& source, Side side, uint64_t layoutSeed) : source_(source) {
  Random random(layoutSeed, 1, false);
  for (size_t i = 0; i < source.inputs.size(); ++i) {
    inputs_.push_back(place(source.inputs[i], source.dense >> i & 1, side, random));
  }
  for (const auto& memory : memory_) {
    before_.emplace_back(memory->data(), memory->data() + memory->bytes());
  }
  for (const Expected& output : source.outputs) {
    outputs_.push_back(place(TestTensor(output.dtype, output.shape), true, side, random));
  }
}

TestTensor PlacedCase::place(const TestTensor& tensor, bool isDense, Side side, Random& random) {
  TensorView view = tensor.view();
  Layout layout = {std::vector<int64_t>(static_cast<size_t>(view.rank)), view.size, 0};
  const bool plain = isDense || (random.oneIn(3) && !repeatsAny(view));
  if (plain) {
    int64_t stride = 1;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      layout.strides[static_cast<size_t>(axis)] = stride;
      stride *= view.shape[axis];
    }
  } else {
    layout = randomLayout(view, random);
  }
  const int64_t width = kDTypeBytes[static_cast<int>(view.dtype)];
  memory_.push_back(
      std::make_shared<GuardedMemory>(static_cast<size_t>(layout.elements * width), side));
  view.data = memory_.back()->data() + layout.first * width;
  for (int axis = 0; axis < view.rank; ++axis) {
    view.strides[axis] = layout.strides[static_cast<size_t>(axis)];
  }
  view.contiguous = view.size == 0 || isRowMajor(view);
  const TestTensor placed = TestTensor::over(memory_.back(), view);
  // An element that is repeated is written many times with one value.
  placed.copyFrom(tensor);
  return placed;
}

Status PlacedCase::run(const IsaLevel& level) const {
  return testing::run(level, source_.op, inputs_, outputs_, source_.ints, source_.floats);
}

namespace {

std::string firstWrong(const std::string& what, const TestTensor& got, const Expected& wanted) {
  const std::vector<double> values = got.values();
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < wanted.size(); ++i) {
    if (wanted.accepts(i, values[static_cast<size_t>(i)])) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return "";
  const size_t at = static_cast<size_t>(first);
  char text[256];
  snprintf(text, sizeof text,
           "%s: %lld of %lld elements are wrong, first %lld: %.17g, not %.17g (+- %.3g)",
           what.c_str(), static_cast<long long>(wrong), static_cast<long long>(wanted.size()),
           static_cast<long long>(first), values[at], wanted.values[at], wanted.bounds[at]);
  return text;
}

}  // namespace

bool PlacedCase::isAsBefore(size_t i) const {
  // memcmp must not be given what an empty vector has for an address.
  return before_[i].empty() ||
         memcmp(memory_[i]->data(), before_[i].data(), before_[i].size()) == 0;
}

std::string PlacedCase::inputProblem(size_t i) const {
  for (const auto& [number, wanted] : source_.updated) {
    if (number != i) continue;
    const std::string wrong = firstWrong("input " + std::to_string(i), inputs_[i], wanted);
    if (!wrong.empty()) return wrong;
    // The elements put back, only the gaps between them can differ from before.
    const TestTensor now = inputs_[i].cloned();
    inputs_[i].copyFrom(source_.inputs[i]);
    const bool same = isAsBefore(i);
    inputs_[i].copyFrom(now);
    return same ? "" : "the gaps of input " + std::to_string(i) + " were written";
  }
  return isAsBefore(i) ? "" : "input " + std::to_string(i) + " was written";
}

std::string PlacedCase::problem() const {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const std::string wrong =
        source_.check ? ""
                      : firstWrong("output " + std::to_string(i), outputs_[i], source_.outputs[i]);
    if (!wrong.empty()) return wrong;
  }
  if (source_.check) source_.check(outputs_);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const std::string wrong = inputProblem(i);
    if (!wrong.empty()) return wrong;
  }
  for (size_t i = 0; i < memory_.size(); ++i) {
    if (!memory_[i]->surroundingsStand())
      return "memory beside operand " + std::to_string(i) + " was written";
  }
  return "";
}

std::vector<unsigned char> PlacedCase::resultBytes() const {
  std::vector<unsigned char> all;
  for (size_t i = 0; i < memory_.size(); ++i) {
    all.insert(all.end(), memory_[i]->data(), memory_[i]->data() + memory_[i]->bytes());
  }
  return all;
}

}  // namespace testing
}  // namespace kindling

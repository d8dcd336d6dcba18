#pragma once
// The loss of connectionist temporal classification and its gradient in double.

#include <cmath>
#include <vector>

#include "op_testing.h"

namespace kindling {
namespace testing {
namespace ctc {

struct Sample {
  std::vector<int> labels;
  int64_t steps;
};

/// The textbook recursion on probabilities: alpha or beta of one sample, [steps][states].
using Table = std::vector<std::vector<double>>;

inline std::vector<int> statesOf(const std::vector<int>& labels, int blank) {
  std::vector<int> states = {blank};
  for (int label : labels) {
    states.push_back(label);
    states.push_back(blank);
  }
  return states;
}

inline Table forwardTable(const std::vector<int>& states, const Table& probability, int blank) {
  Table alpha(probability.size(), std::vector<double>(states.size(), 0.0));
  for (size_t t = 0; t < probability.size(); ++t) {
    for (size_t s = 0; s < states.size(); ++s) {
      double total = t == 0 ? (s < 2 ? 1.0 : 0.0) : alpha[t - 1][s];
      if (t > 0 && s > 0) total += alpha[t - 1][s - 1];
      if (t > 0 && s > 1 && states[s] != blank && states[s] != states[s - 2]) {
        total += alpha[t - 1][s - 2];
      }
      alpha[t][s] = total * probability[t][static_cast<size_t>(states[s])];
    }
  }
  return alpha;
}

struct Reference {
  double loss;
  Table gradient;  // [steps][classes]
};

inline Reference reference(const TestTensor& x, int64_t n, const Sample& sample, int blank) {
  const int64_t samples = x.shape()[1], classes = x.shape()[2];
  Table probability;
  for (int64_t t = 0; t < sample.steps; ++t) {
    probability.emplace_back();
    for (int64_t c = 0; c < classes; ++c) {
      probability.back().push_back(std::exp(x.at((t * samples + n) * classes + c)));
    }
  }
  const std::vector<int> states = statesOf(sample.labels, blank);
  const Table alpha = forwardTable(states, probability, blank);
  // Beta is alpha of everything backwards.
  const std::vector<int> reversedStates(states.rbegin(), states.rend());
  const Table reversed =
      forwardTable(reversedStates, Table(probability.rbegin(), probability.rend()), blank);
  const size_t last = states.size() - 1;
  const double total = alpha.back()[last] + (last > 0 ? alpha.back()[last - 1] : 0.0);
  Reference result = {
      -std::log(total),
      Table(probability.size(), std::vector<double>(static_cast<size_t>(classes), 0.0))};
  for (size_t t = 0; t < probability.size(); ++t) {
    for (size_t s = 0; s < states.size(); ++s) {
      const size_t c = static_cast<size_t>(states[s]);
      const double beta = reversed[probability.size() - 1 - t][last - s];
      result.gradient[t][c] -= alpha[t][s] * beta / probability[t][c] / total;
    }
  }
  return result;
}

}  // namespace ctc
}  // namespace testing
}  // namespace kindling

#pragma once
// softmax(q k^T scale) v and its gradients in double, by the definitions.

#include <cmath>
#include <vector>

#include "op_testing.h"

namespace kindling {
namespace testing {
namespace attention {

struct Case {
  int64_t outer, heads, queries, keys, d, features;
  int64_t count() const { return outer * heads; }
};

/// Everything in double, by the definitions.
struct Reference {
  std::vector<double> y, logs, dq, dk, dv;

  Reference(const Case& c, const std::vector<TestTensor>& in, bool causal, double scale) {
    y.resize(static_cast<size_t>(in[0].size()));
    dq.resize(static_cast<size_t>(in[1].size()));
    dk.resize(static_cast<size_t>(in[2].size()));
    dv.resize(static_cast<size_t>(in[3].size()));
    for (int64_t head = 0; head < c.count(); ++head) {
      for (int64_t i = 0; i < c.queries; ++i) query(c, in, head, i, causal, scale);
    }
  }

 private:
  void query(const Case& c, const std::vector<TestTensor>& in, int64_t head, int64_t i, bool causal,
             double scale) {
    const int64_t shown = causal && i + 1 < c.keys ? i + 1 : c.keys;
    const int64_t row = head * c.queries + i;
    const auto key = [&](int64_t j) { return head * c.keys + j; };
    std::vector<double> weights, slopes;
    double total = 0, mean = 0;
    for (int64_t j = 0; j < shown; ++j) {
      double score = 0, slope = 0;
      for (int64_t x = 0; x < c.d; ++x)
        score += in[1].at(row * c.d + x) * in[2].at(key(j) * c.d + x);
      for (int64_t x = 0; x < c.features; ++x) {
        slope += in[0].at(row * c.features + x) * in[3].at(key(j) * c.features + x);
      }
      weights.push_back(std::exp(score * scale));
      slopes.push_back(slope);
      total += weights.back();
    }
    logs.push_back(shown > 0 ? std::log(total) : 0);
    for (int64_t j = 0; j < shown; ++j) {
      weights[static_cast<size_t>(j)] /= total;
      mean += weights[static_cast<size_t>(j)] * slopes[static_cast<size_t>(j)];
    }
    for (int64_t j = 0; j < shown; ++j) {
      const double weight = weights[static_cast<size_t>(j)];
      const double slope = weight * (slopes[static_cast<size_t>(j)] - mean) * scale;
      for (int64_t x = 0; x < c.features; ++x) {
        const int64_t at = key(j) * c.features + x, out = row * c.features + x;
        y[static_cast<size_t>(out)] += weight * in[3].at(at);
        dv[static_cast<size_t>(at)] += weight * in[0].at(out);
      }
      for (int64_t x = 0; x < c.d; ++x) {
        dq[static_cast<size_t>(row * c.d + x)] += slope * in[2].at(key(j) * c.d + x);
        dk[static_cast<size_t>(key(j) * c.d + x)] += slope * in[1].at(row * c.d + x);
      }
    }
  }
};

}  // namespace attention
}  // namespace testing
}  // namespace kindling

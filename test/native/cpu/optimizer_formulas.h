#pragma once
// The updates of the optimizers in double, element by element.

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "op_testing.h"

namespace kindling {
namespace testing {
namespace optimizers {

/// One element: the parameter and its state.
struct Element {
  double p, g;
  double* s;  // three of them
  int step;   // from 1
};
using Formula = std::function<void(Element&)>;

struct Update {
  Op op;
  int states;
  bool counts;  // ints[0] is the step
  std::vector<double> floats;
  Formula formula;
  std::vector<int32_t> moreInts = {};
  /// Of floats: what depends on the step.
  std::function<void(int, std::vector<double>*)> atStep = nullptr;
};

constexpr double kLr = 0.01, kBeta1 = 0.8, kBeta2 = 0.95, kEps = 1e-3, kDecay = 0.1;
inline const std::vector<double> kMoments = {kLr, kBeta1, kBeta2, kEps, kDecay};

inline double bias(double beta, int step) { return 1 - std::pow(beta, step); }

/// NaN where either is.
inline double larger(double a, double b) { return a != a || b != b ? NAN : a > b ? a : b; }

inline void moveMoments(Element& e, double g) {
  e.s[0] = kBeta1 * e.s[0] + (1 - kBeta1) * g;
  e.s[1] = kBeta2 * e.s[1] + (1 - kBeta2) * g * g;
}

inline void sgd(Element& e, double momentum, double dampening, bool nesterov, bool first) {
  double g = e.g + kDecay * e.p;
  if (momentum != 0) {
    e.s[0] = first ? g : momentum * e.s[0] + (1 - dampening) * g;
    g = nesterov ? g + momentum * e.s[0] : e.s[0];
  }
  e.p -= kLr * g;
}

inline void adam(Element& e, bool decoupled) {
  if (decoupled) e.p *= 1 - kLr * kDecay;
  moveMoments(e, decoupled ? e.g : e.g + kDecay * e.p);
  const double root = std::sqrt(e.s[1]) / std::sqrt(bias(kBeta2, e.step)) + kEps;
  e.p -= kLr / bias(kBeta1, e.step) * e.s[0] / root;
}

inline void rmsprop(Element& e, double momentum) {
  const double g = e.g + kDecay * e.p;
  e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
  double change = g / (std::sqrt(e.s[0]) + kEps);
  if (momentum != 0) change = e.s[1] = momentum * e.s[1] + change;
  e.p -= kLr * change;
}

inline void amsgrad(Element& e, bool decoupled) {
  if (decoupled) e.p *= 1 - kLr * kDecay;
  moveMoments(e, decoupled ? e.g : e.g + kDecay * e.p);
  e.s[2] = larger(e.s[2], e.s[1]);
  const double root = std::sqrt(e.s[2]) / std::sqrt(bias(kBeta2, e.step)) + kEps;
  e.p -= kLr / bias(kBeta1, e.step) * e.s[0] / root;
}

inline void rmspropCentered(Element& e, double momentum) {
  const double g = e.g + kDecay * e.p;
  e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
  e.s[2] = 0.9 * e.s[2] + 0.1 * g;
  e.s[1] = momentum * e.s[1] + g / (std::sqrt(e.s[0] - e.s[2] * e.s[2]) + kEps);
  e.p -= kLr * e.s[1];
}

inline std::vector<Update> updates() {
  const auto ofGrad = [](int step) { return 0.1 / step; };
  const auto ofMoment = [](int step) { return 0.2 / step; };
  std::vector<double> nadam = kMoments, radam = kMoments;
  nadam.insert(nadam.end(), {0, 0});
  radam.push_back(0);
  return {
      {Op::sgdStep,
       1,
       false,
       {kLr, 0, 0, kDecay},
       [](Element& e) { sgd(e, 0, 0, false, false); },
       {0, 0}},
      {Op::sgdStep,
       1,
       false,
       {kLr, 0.9, 0.2, kDecay},
       [](Element& e) { sgd(e, 0.9, 0.2, false, false); },
       {0, 0}},
      {Op::sgdStep,
       1,
       false,
       {kLr, 0.9, 0, kDecay},
       [](Element& e) { sgd(e, 0.9, 0, true, true); },
       {1, 1}},
      {Op::adamStep, 2, true, kMoments, [](Element& e) { adam(e, false); }, {0}},
      {Op::adamStep, 2, true, kMoments, [](Element& e) { adam(e, true); }, {1}},
      {Op::rmspropStep, 2, false, {kLr, 0.9, kEps, kDecay, 0}, [](Element& e) { rmsprop(e, 0); }},
      {Op::rmspropStep,
       2,
       false,
       {kLr, 0.9, kEps, kDecay, 0.8},
       [](Element& e) { rmsprop(e, 0.8); }},
      {Op::averageStep, 0, false, {0.7}, [](Element& e) { e.p = 0.7 * e.p + 0.3 * e.g; }},
      {Op::amsgradStep, 3, true, kMoments, [](Element& e) { amsgrad(e, false); }, {0}},
      {Op::amsgradStep, 3, true, kMoments, [](Element& e) { amsgrad(e, true); }, {1}},
      {Op::nadamStep,
       2,
       true,
       nadam,
       [=](Element& e) {
         const double g = e.g + kDecay * e.p;
         moveMoments(e, g);
         const double root = std::sqrt(e.s[1] / bias(kBeta2, e.step)) + kEps;
         e.p -= (ofGrad(e.step) * g + ofMoment(e.step) * e.s[0]) / root;
       },
       {},
       [=](int step, std::vector<double>* floats) {
         (*floats)[5] = ofGrad(step);
         (*floats)[6] = ofMoment(step);
       }},
      {Op::radamStep,
       2,
       true,
       radam,
       [](Element& e) {
         moveMoments(e, e.g + kDecay * e.p);
         const double m = e.s[0] / bias(kBeta1, e.step);
         const double root = std::sqrt(bias(kBeta2, e.step)) / (std::sqrt(e.s[1]) + kEps);
         // Not tractable at the first two steps.
         e.p -= kLr * m * (e.step <= 2 ? 1 : root * 0.7);
       },
       {},
       [](int step, std::vector<double>* floats) { (*floats)[5] = step <= 2 ? 0 : 0.7; }},
      {Op::adamaxStep, 2, true, kMoments,
       [](Element& e) {
         const double g = e.g + kDecay * e.p;
         e.s[0] = kBeta1 * e.s[0] + (1 - kBeta1) * g;
         e.s[1] = larger(kBeta2 * e.s[1], std::fabs(g) + kEps);
         e.p -= kLr / bias(kBeta1, e.step) * e.s[0] / e.s[1];
       }},
      {Op::lambDirection, 3, true, kMoments,
       [](Element& e) {
         moveMoments(e, e.g);
         const double root = std::sqrt(e.s[1] / bias(kBeta2, e.step)) + kEps;
         e.s[2] = e.s[0] / bias(kBeta1, e.step) / root + kDecay * e.p;
       }},
      {Op::adagradStep,
       1,
       false,
       {kLr, kEps, kDecay},
       [](Element& e) {
         const double g = e.g + kDecay * e.p;
         e.s[0] += g * g;
         e.p -= kLr * g / (std::sqrt(e.s[0]) + kEps);
       }},
      {Op::adadeltaStep,
       2,
       false,
       {0.5, 0.9, kEps, kDecay},
       [](Element& e) {
         const double g = e.g + kDecay * e.p;
         e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
         const double change = std::sqrt(e.s[1] + kEps) / std::sqrt(e.s[0] + kEps) * g;
         e.s[1] = 0.9 * e.s[1] + 0.1 * change * change;
         e.p -= 0.5 * change;
       }},
      {Op::lionStep,
       1,
       false,
       {kLr, 0.9, 0.99, kDecay},
       [](Element& e) {
         const double blend = 0.9 * e.s[0] + 0.1 * e.g;
         e.s[0] = 0.99 * e.s[0] + 0.01 * e.g;
         e.p = e.p * (1 - kLr * kDecay) - kLr * (blend > 0 ? 1 : blend < 0 ? -1 : blend);
       }},
      {Op::rmspropCenteredStep,
       3,
       false,
       {kLr, 0.9, kEps, kDecay, 0.8},
       [](Element& e) { rmspropCentered(e, 0.8); }},
      {Op::rmspropCenteredStep,
       3,
       false,
       {kLr, 0.9, kEps, kDecay, 0},
       [](Element& e) { rmspropCentered(e, 0); }},
  };
}

}  // namespace optimizers
}  // namespace testing
}  // namespace kindling

// Every case of the benchmark, made small: it runs at every ISA level, writes finite numbers, and
// the levels agree.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/cases.h"
#include "bench/fill.h"
#include "bench/workload.h"
#include "op_testing.h"

namespace kindling {
namespace {

using bench::Case;
using bench::Spec;

/// The case with each of its extents cut to a few more than a vector has lanes, or to what keeps it
/// small.
Spec shrunk(const Spec& spec) {
  static const std::map<std::string, int64_t> most = {
      {"m", 37},    {"n", 7},       {"k", 41},    {"c", 18},     {"o", 18},    {"size", 21},
      {"t", 5},     {"in", 17},     {"h", 19},    {"b", 2},      {"d", 17},    {"rows", 23},
      {"cols", 35}, {"groups", 18}, {"heads", 2}, {"width", 19}, {"count", 29}};
  Spec small = spec;
  for (const auto& [key, value] : spec.values()) {
    const auto found = most.find(key);
    if (found != most.end() && spec.number(key) > found->second) {
      small.set(key, std::to_string(found->second));
    }
  }
  return small;
}

/// The backend with the kernels of one level.
Backend backendOf(const testing::IsaLevel& level) {
  Backend backend = cpuBackend();
  for (int op = 0; op < kOpCount; ++op) {
    if (level.kernels[op]) backend.kernels[op] = level.kernels[op];
  }
  return backend;
}

std::vector<double> valuesOf(const TensorView& view) {
  std::vector<double> values;
  for (int64_t i = 0; i < view.size; ++i) {
    values.push_back(view.dtype == DType::float64 ? static_cast<const double*>(view.data)[i]
                                                  : static_cast<const float*>(view.data)[i]);
  }
  return values;
}

using Results = std::map<std::string, std::vector<double>>;

Results resultsOf(const Spec& spec, const Backend& backend) {
  const auto workload = bench::makeWorkload(spec, backend);
  REQUIRE((workload != nullptr));
  REQUIRE_MESSAGE(workload->run(), lastErrorMessage());
  Results results;
  for (const auto& [name, view] : workload->results()) results[name] = valuesOf(view);
  return results;
}

void checkSame(const Results& results, const Results& expected) {
  REQUIRE(results.size() == expected.size());
  for (const auto& [name, values] : results) {
    CAPTURE(name);
    const std::vector<double>& others = expected.at(name);
    REQUIRE(values.size() == others.size());
    double magnitude = 0, difference = 0;
    int64_t notFinite = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      notFinite += !std::isfinite(values[i]);
      magnitude = std::max(magnitude, std::fabs(others[i]));
      difference = std::max(difference, std::fabs(values[i] - others[i]));
    }
    CHECK(notFinite == 0);
    CHECK(magnitude > 0);
    CHECK(difference <= 1e-4 * magnitude);
  }
}

TEST_CASE("bench: every case runs at every level, and the levels agree") {
  for (const Case& each : bench::allCases()) {
    CAPTURE(each.name);
    const Spec spec = shrunk(each.spec);
    const Results expected = resultsOf(spec, backendOf(testing::isaLevels().front()));
    for (const testing::IsaLevel& level : testing::isaLevels()) {
      CAPTURE(testing::nameOf(level));
      checkSame(resultsOf(spec, backendOf(level)), expected);
    }
  }
}

TEST_CASE("bench: names are unique and every case has work") {
  std::set<std::string> names;
  for (const Case& each : bench::allCases()) {
    CAPTURE(each.name);
    CHECK(names.insert(each.family + ": " + each.name).second);
    CHECK(Spec::parse(each.spec.line()).line() == each.spec.line());
    const bench::Work work = bench::workOf(each.spec);
    CHECK(work.amount > 0);
    CHECK(!work.counts.empty());
  }
}

TEST_CASE("bench: a product's result is that of the definition") {
  const Spec spec = Spec::parse("matmul m=3 n=2 k=4 tb=1");
  double sum = 0;
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      for (int64_t k = 0; k < 4; ++k)
        sum += bench::valueAt(i * 4 + k, 1) * bench::valueAt(j * 4 + k, 2);
    }
  }
  const auto workload = bench::makeWorkload(spec, cpuBackend());
  REQUIRE(workload->run());
  CHECK(workload->check().at(0).sum == doctest::Approx(sum));
  CHECK(bench::workOf(spec).amount == 48);
}

}  // namespace
}  // namespace kindling

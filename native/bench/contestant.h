#pragma once
// Who takes part, and what it is asked to do.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/spec.h"

namespace kindling::bench {

/// What is compared of a result between contestants, whatever layout they keep it in.
struct Checksum {
  std::string name;
  double sum = 0, sumOfMagnitudes = 0;
};

/// A case that a contestant is ready to run. Empty where it has no such operation.
struct Job {
  std::function<void()> run;
  /// Of the last run. Random results have none.
  std::function<std::vector<Checksum>()> check;
  /// 0: the case's own (see workOf).
  double work = 0;
  /// Whether all runs so far have succeeded.
  std::function<bool()> succeeded = [] { return true; };

  explicit operator bool() const { return static_cast<bool>(run); }
};

class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual std::string name() const = 0;
  virtual std::string version() const = 0;
  /// Before make(): how many threads its jobs may use.
  virtual void setThreads(int threads) = 0;
  virtual Job make(const Spec& spec) = 0;
};

/// Those that this machine has: "kindling" first, then "limits" (what the machine can do at most)
/// and the libraries that were found.
std::vector<std::unique_ptr<Contestant>> findContestants(const std::vector<std::string>& names);

std::unique_ptr<Contestant> makeKindling();
std::unique_ptr<Contestant> makeLimits();
std::unique_ptr<Contestant> findOpenBlas();
std::unique_ptr<Contestant> findBlis();
std::unique_ptr<Contestant> findOneDnn();
/// Convolutions by whatever algorithm oneDNN takes for the fastest; elsewhere by the definition.
std::unique_ptr<Contestant> findOneDnnAuto();

}  // namespace kindling::bench

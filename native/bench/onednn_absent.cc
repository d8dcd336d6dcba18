// Where oneDNN's headers are not installed.

#include "bench/contestant.h"

namespace kindling::bench {

std::unique_ptr<Contestant> findOneDnn() { return nullptr; }
std::unique_ptr<Contestant> findOneDnnAuto() { return nullptr; }

}  // namespace kindling::bench

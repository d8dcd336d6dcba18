#include <algorithm>

#include "bench/contestant.h"

namespace kindling::bench {

std::vector<std::unique_ptr<Contestant>> findContestants(const std::vector<std::string>& names) {
  struct Entry {
    const char* name;
    std::unique_ptr<Contestant> (*find)();
  };
  constexpr Entry kEntries[] = {{"kindling", makeKindling}, {"limits", makeLimits},
                                {"openblas", findOpenBlas}, {"blis", findBlis},
                                {"onednn", findOneDnn},     {"onednn-auto", findOneDnnAuto}};
  std::vector<std::unique_ptr<Contestant>> found;
  for (const Entry& entry : kEntries) {
    if (!names.empty() && std::find(names.begin(), names.end(), entry.name) == names.end()) {
      continue;
    }
    if (std::unique_ptr<Contestant> contestant = entry.find()) {
      found.push_back(std::move(contestant));
    }
  }
  return found;
}

}  // namespace kindling::bench

#if defined(KINDLING_EMULATOR_CHECKED)

#include "cuda_emulator/counting.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>
#include <vector>

#include "cuda_emulator/report.h"
#include "cuda_emulator/schedule.h"

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

constexpr size_t kSectorBytes = 32;
constexpr size_t kWavefrontBytes = 128;
constexpr size_t kBanks = 32;
constexpr size_t kMostPrinted = 40;

struct Entry {
  const void* code;
  uintptr_t at;
  unsigned bytes;
  bool isShared;
};
struct LaneEntry {
  Entry entry;
  unsigned occurrence, lane;
};

struct Key {
  const void* code;
  bool isShared;
  bool operator<(const Key& other) const {
    return code != other.code ? code < other.code : isShared < other.isShared;
  }
};

std::vector<std::vector<Entry>> logs(kMaxBlockThreads);
std::map<Key, Counted> counted;

/// Sectors of 32 bytes that a warp's request touches, and the fewest that hold its bytes.
void countGlobal(const LaneEntry* lanes, size_t count, Counted& result) {
  std::vector<uintptr_t> sectors, words;
  for (size_t i = 0; i < count; ++i) {
    const Entry& entry = lanes[i].entry;
    for (uintptr_t at = entry.at; at < entry.at + entry.bytes; ++at) words.push_back(at);
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  for (uintptr_t at : words) {
    if (sectors.empty() || sectors.back() != at / kSectorBytes) {
      sectors.push_back(at / kSectorBytes);
    }
  }
  result.transactions += sectors.size();
  result.least += (words.size() + kSectorBytes - 1) / kSectorBytes;
}

/// Wavefronts: 128 bytes' worth of lanes at a time, as often as the most wanted bank must be asked.
void countShared(const LaneEntry* lanes, size_t count, Counted& result) {
  const size_t width = std::max<size_t>(4, lanes[0].entry.bytes);
  const size_t together = kWavefrontBytes / width;
  for (size_t first = 0; first < count;) {
    const unsigned group = lanes[first].lane / static_cast<unsigned>(together);
    std::vector<uintptr_t> words;
    size_t last = first;
    for (; last < count && lanes[last].lane / together == group; ++last) {
      const Entry& entry = lanes[last].entry;
      for (uintptr_t at = entry.at / 4; at <= (entry.at + entry.bytes - 1) / 4; ++at) {
        words.push_back(at);
      }
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    unsigned perBank[kBanks] = {};
    for (uintptr_t word : words) ++perBank[word % kBanks];
    result.transactions += *std::max_element(perBank, perBank + kBanks);
    result.least += 1;
    first = last;
  }
}

void countWarp(unsigned firstThread, unsigned lanes) {
  std::vector<LaneEntry> all;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    std::unordered_map<const void*, unsigned> occurrences;
    std::vector<Entry>& log = logs[firstThread + lane];
    for (const Entry& entry : log) all.push_back({entry, occurrences[entry.code]++, lane});
    log.clear();
  }
  std::stable_sort(all.begin(), all.end(), [](const LaneEntry& a, const LaneEntry& b) {
    if (a.entry.code != b.entry.code) return a.entry.code < b.entry.code;
    if (a.entry.isShared != b.entry.isShared) return a.entry.isShared < b.entry.isShared;
    return a.occurrence < b.occurrence;
  });
  for (size_t first = 0; first < all.size();) {
    size_t last = first;
    const Entry& own = all[first].entry;
    while (last < all.size() && all[last].entry.code == own.code &&
           all[last].entry.isShared == own.isShared &&
           all[last].occurrence == all[first].occurrence) {
      ++last;
    }
    Counted& result = counted[{own.code, own.isShared}];
    ++result.requests;
    (own.isShared ? countShared : countGlobal)(&all[first], last - first, result);
    first = last;
  }
}

void print() {
  using Row = std::pair<Key, Counted>;
  std::vector<Row> rows(counted.begin(), counted.end());
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.second.transactions - a.second.least > b.second.transactions - b.second.least;
  });
  fprintf(stderr, "emulator: accesses that cost more than they must, the worst first\n");
  for (size_t i = 0; i < std::min(kMostPrinted, rows.size()); ++i) {
    const Counted& row = rows[i].second;
    if (row.transactions <= row.least) break;
    const double requests = static_cast<double>(row.requests);
    fprintf(stderr, "  %s: %llu requests, %.2f %s each (at least %.2f)\n",
            describeCode(rows[i].first.code), row.requests,
            static_cast<double>(row.transactions) / requests,
            rows[i].first.isShared ? "wavefronts of shared memory" : "sectors of global memory",
            static_cast<double>(row.least) / requests);
  }
}

}  // namespace

bool isCounting() {
  static const bool on = [] {
    const char* const text = getenv("KINDLING_EMULATOR_COUNT");
    const bool wanted = text != nullptr && strcmp(text, "1") == 0;
    if (wanted) atexit(print);
    return wanted;
  }();
  return on;
}

void countAccess(const void* data, unsigned bytes, bool isShared, const void* code) {
  logs[currentThread->index].push_back({code, reinterpret_cast<uintptr_t>(data), bytes, isShared});
}

void countBlock(const Block& block) {
  (void)block;
  const dim3& size = runningLaunch().block;
  const unsigned threads = size.x * size.y * size.z;
  for (unsigned first = 0; first < threads; first += kLanes) {
    countWarp(first, std::min(kLanes, threads - first));
  }
}

Counted countedTotal(bool shared) {
  Counted total = {};
  for (const auto& row : counted) {
    if (row.first.isShared != shared) continue;
    total.requests += row.second.requests;
    total.transactions += row.second.transactions;
    total.least += row.second.least;
  }
  return total;
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

#endif

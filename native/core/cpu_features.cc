#include "core/cpu_features.h"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace kindling {

namespace {

#if defined(__x86_64__)
/// What the operating system saves on a context switch.
unsigned long long enabledState() {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<unsigned long long>(high) << 32 | low;
}

Isa detect() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Isa::scalar;
  const unsigned needed1 = bit_FMA | bit_OSXSAVE | bit_AVX | bit_F16C;
  if ((c & needed1) != needed1) return Isa::scalar;
  const unsigned long long state = enabledState();
  if ((state & 0x6) != 0x6) return Isa::scalar;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Isa::scalar;
  const unsigned needed7 = bit_AVX2 | bit_BMI2;
  if ((b & needed7) != needed7) return Isa::scalar;
#if defined(KINDLING_EMULATE_AVX512)
  return Isa::avx512;  // its kernels were compiled to instructions that were just found
#endif
  const unsigned needed512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  if ((b & needed512) == needed512 && (state & 0xe6) == 0xe6) return Isa::avx512;
  return Isa::avx2;
}

bool detectBrainDots() {
#if defined(KINDLING_EMULATE_AVX512)
  return true;
#endif
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) != 0;
}
#elif defined(__aarch64__) || defined(_M_ARM64)
Isa detect() { return Isa::neon; }  // every ARMv8 CPU has it
#else
Isa detect() { return Isa::scalar; }
#endif

#if !defined(__x86_64__)
bool detectBrainDots() { return false; }
#endif

#define KINDLING_ISA_NAME(name) #name,
constexpr const char* kNames[] = {KINDLING_ISA_LEVELS(KINDLING_ISA_NAME)};
#undef KINDLING_ISA_NAME
#define KINDLING_ISA_LISTED(name) ", " #name
constexpr const char* kKnown = KINDLING_ISA_LEVELS(KINDLING_ISA_LISTED) + 2;
#undef KINDLING_ISA_LISTED

struct Choice {
  Isa isa;
  char problem[128];
};

Choice choose() {
  Choice choice = {detectedIsa(), ""};
  const char* wanted = getenv("KINDLING_ISA");
  if (!wanted || !*wanted) return choice;
  for (size_t level = 0; level < sizeof(kNames) / sizeof(*kNames); ++level) {
    const Isa isa = static_cast<Isa>(level);
    if (strcmp(wanted, isaName(isa)) != 0) continue;
    if (isa <= choice.isa) {
      choice.isa = isa;
    } else {
      snprintf(choice.problem, sizeof choice.problem,
               "KINDLING_ISA=%s is not supported by this CPU; using %s", isaName(isa),
               isaName(choice.isa));
    }
    return choice;
  }
  snprintf(choice.problem, sizeof choice.problem, "KINDLING_ISA=%.40s is unknown (%s); using %s",
           wanted, kKnown, isaName(choice.isa));
  return choice;
}

const Choice& choice() {
  static const Choice chosen = choose();
  return chosen;
}

#if defined(__linux__)
/// Whether `cpu` is the first of the hardware threads that share its core, as far as Linux tells.
bool leadsItsCore(int cpu) {
  char path[96];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
  FILE* file = fopen(path, "r");
  int first = cpu;
  if (file) {
    if (fscanf(file, "%d", &first) != 1) first = cpu;
    fclose(file);
  }
  return first == cpu;
}

int countCores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  int cores = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && leadsItsCore(cpu)) ++cores;
  }
  // All leading siblings may be outside the mask.
  if (cores == 0) cores = CPU_COUNT(&allowed);
  return cores > 0 ? cores : 1;
}

/// The last cache that a core can use, which sysconf takes for that of all cores of an AMD chip.
/// 0 if Linux does not tell.
long sharedCacheSize() {
  FILE* file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
  long kibibytes = 0;
  if (file) {
    if (fscanf(file, "%ldK", &kibibytes) != 1) kibibytes = 0;
    fclose(file);
  }
  return kibibytes << 10;
}

/// A level of the data cache; what sysconf does not know (on ARM it says 0) is taken to be usual.
long cacheSize(int level, long otherwise) {
  constexpr int kNamesOfLevels[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                                    _SC_LEVEL3_CACHE_SIZE};
  const long shared = level == 3 ? sharedCacheSize() : 0;
  const long size = shared > 0 ? shared : sysconf(kNamesOfLevels[level - 1]);
  return size > 0 ? size : otherwise;
}

#elif defined(__APPLE__)
long systemValue(const char* name, long otherwise) {
  int64_t value = 0;
  size_t bytes = sizeof(value);
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 && value > 0 ? static_cast<long>(value)
                                                                          : otherwise;
}

int countCores() { return static_cast<int>(systemValue("hw.physicalcpu", 1)); }

long cacheSize(int level, long otherwise) {
  constexpr const char* kNamesOfLevels[] = {"hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize"};
  return systemValue(kNamesOfLevels[level - 1], otherwise);
}

#else
int countCores() {
  const unsigned threads = std::thread::hardware_concurrency();
  return threads > 0 ? static_cast<int>(threads) : 1;
}

long cacheSize(int, long otherwise) { return otherwise; }
#endif

}  // namespace

Isa detectedIsa() {
  static const Isa isa = detect();
  return isa;
}

Isa activeIsa() { return choice().isa; }

const char* isaProblem() { return choice().problem[0] ? choice().problem : nullptr; }

const char* isaName(Isa isa) { return kNames[static_cast<int>(isa)]; }

namespace {
std::atomic<bool> brainDotsAllowed{true};
}

bool hasBrainDots() {
  static const bool has = detectBrainDots();
  return has && brainDotsAllowed.load(std::memory_order_relaxed);
}

void allowBrainDots(bool allowed) { brainDotsAllowed.store(allowed); }

int physicalCores() {
  static const int cores = countCores();
  return cores;
}

CacheSizes cacheSizes() {
  static const CacheSizes sizes = {cacheSize(1, 32 << 10), cacheSize(2, 512 << 10),
                                   cacheSize(3, 8 << 20)};
  return sizes;
}

namespace {
std::atomic<int64_t> chosenLargeResult{0};
}

int64_t largeResultBytes() {
  const int64_t chosen = chosenLargeResult.load(std::memory_order_relaxed);
  return chosen > 0 ? chosen : cacheSizes().l3 / 4;
}

void setLargeResultBytes(int64_t bytes) { chosenLargeResult.store(bytes); }

}  // namespace kindling

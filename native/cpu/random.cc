#include "cpu/random.h"

#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/cpu_features.h"
#include "cpu/parallel.h"

namespace kindling {

namespace {

constexpr uint32_t kKeyStep0 = 0x9E3779B9, kKeyStep1 = 0xBB67AE85;
constexpr double kTwoPi = 6.283185307179586476925286766559;
constexpr double kTwoToMinus32 = 1.0 / 4294967296.0;

inline void philoxRounds(uint32_t c[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c[2];
    c[0] = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    c[1] = static_cast<uint32_t>(product1);
    c[2] = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[3] = static_cast<uint32_t>(product0);
    key0 += kKeyStep0;
    key1 += kKeyStep1;
  }
}

/// The stream that an op's attributes name.
struct Stream {
  uint32_t key[2];
  uint64_t offset;

  explicit Stream(const OpCall& call)
      : key{static_cast<uint32_t>(call.ints[0]), static_cast<uint32_t>(call.ints[1])},
        offset(static_cast<uint32_t>(call.ints[2]) | uint64_t{static_cast<uint32_t>(call.ints[3])}
                                                         << 32) {}
};

constexpr int kBlocks = 16;  // made in one go
constexpr int kNumbers = 4 * kBlocks;

using Generator = void (*)(const Stream& stream, int64_t first, uint32_t* numbers);

void generatePlain(const Stream& stream, int64_t first, uint32_t* numbers) {
  for (int block = 0; block < kBlocks; ++block) {
    const uint64_t position = stream.offset + static_cast<uint64_t>(first + block);
    uint32_t c[4] = {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0};
    philoxRounds(c, stream.key[0], stream.key[1]);
    memcpy(numbers + 4 * block, c, sizeof(c));
  }
}

#if defined(__x86_64__)

/// The same numbers, four blocks to a vector: 64-bit lanes of which the lower halves count. Two
/// vectors at a time, because each round waits for the multiplications of the last.
__attribute__((target("avx2"))) void generateAvx2(const Stream& stream, int64_t first,
                                                  uint32_t* numbers) {
  const __m256i multiplier0 = _mm256_set1_epi64x(0xD2511F53);
  const __m256i multiplier1 = _mm256_set1_epi64x(0xCD9E8D57);
  for (int block = 0; block < kBlocks; block += 8) {
    const int64_t position =
        static_cast<int64_t>(stream.offset + static_cast<uint64_t>(first + block));
    __m256i c[4][2];
    for (int v = 0; v < 2; ++v) {
      c[0][v] = _mm256_add_epi64(_mm256_set1_epi64x(position),
                                 _mm256_setr_epi64x(4 * v, 4 * v + 1, 4 * v + 2, 4 * v + 3));
      c[1][v] = _mm256_srli_epi64(c[0][v], 32);
      c[2][v] = c[3][v] = _mm256_setzero_si256();
    }
    __m256i key0 = _mm256_set1_epi64x(stream.key[0]);
    __m256i key1 = _mm256_set1_epi64x(stream.key[1]);
    for (int round = 0; round < 10; ++round) {
      for (int v = 0; v < 2; ++v) {
        const __m256i product0 = _mm256_mul_epu32(c[0][v], multiplier0);
        const __m256i product1 = _mm256_mul_epu32(c[2][v], multiplier1);
        c[0][v] =
            _mm256_xor_si256(_mm256_srli_epi64(product1, 32), _mm256_xor_si256(c[1][v], key0));
        c[2][v] =
            _mm256_xor_si256(_mm256_srli_epi64(product0, 32), _mm256_xor_si256(c[3][v], key1));
        c[1][v] = product1;
        c[3][v] = product0;
      }
      key0 = _mm256_add_epi64(key0, _mm256_set1_epi64x(kKeyStep0));
      key1 = _mm256_add_epi64(key1, _mm256_set1_epi64x(kKeyStep1));
    }
    for (int v = 0; v < 2; ++v) {
      const __m256i first2 = _mm256_blend_epi32(c[0][v], _mm256_slli_epi64(c[1][v], 32), 0xaa);
      const __m256i last2 = _mm256_blend_epi32(c[2][v], _mm256_slli_epi64(c[3][v], 32), 0xaa);
      const __m256i even = _mm256_unpacklo_epi64(first2, last2);
      const __m256i odd = _mm256_unpackhi_epi64(first2, last2);
      __m256i* to = reinterpret_cast<__m256i*>(numbers + 4 * (block + 4 * v));
      _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
      _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
    }
  }
}

Generator generator() { return activeIsa() == Isa::scalar ? generatePlain : generateAvx2; }

#else

Generator generator() { return generatePlain; }

#endif

/// Fills the output from the stream: convert(numbers, values) makes kNumbers floats of as many
/// bits.
template <typename Convert>
void fillFromStream(const OpCall& call, int64_t grain, const Convert& convert) {
  const TensorView& out = call.outputs[0];
  const Stream stream(call);
  const Generator generate = generator();
  float* to = static_cast<float*>(out.data);
  parallelFor(out.size, grain, kNumbers, [&](int64_t begin, int64_t end) {
    uint32_t numbers[kNumbers];
    float values[kNumbers];
    for (int64_t i = begin; i < end; i += kNumbers) {
      const int64_t count = end - i < kNumbers ? end - i : kNumbers;
      generate(stream, i / 4, numbers);
      convert(numbers, values);
      memcpy(to + i, values, static_cast<size_t>(count) * sizeof(float));
    }
  });
}

/// Box and Muller: two independent standard normal numbers.
inline void normalPair(uint32_t a, uint32_t b, double mean, double deviation, float result[2]) {
  const double radius = std::sqrt(-2.0 * std::log((a + 0.5) * kTwoToMinus32)) * deviation;
  const double angle = (b + 0.5) * (kTwoPi * kTwoToMinus32);
  result[0] = static_cast<float>(mean + radius * std::cos(angle));
  result[1] = static_cast<float>(mean + radius * std::sin(angle));
}

}  // namespace

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t result[4]) {
  for (int i = 0; i < 4; ++i) result[i] = counter[i];
  philoxRounds(result, key[0], key[1]);
}

Status randomUniform(const OpCall& call) {
  const float low = static_cast<float>(call.floats[0]), high = static_cast<float>(call.floats[1]);
  const float range = high - low;
  // Rounding may reach `high`, which is outside the interval.
  const float last = std::nextafterf(high, low);
  fillFromStream(call, 16384, [=](const uint32_t* numbers, float* values) {
    for (int i = 0; i < kNumbers; ++i) {
      const float unit = static_cast<float>(static_cast<int32_t>(numbers[i] >> 8)) / 16777216.0f;
      const float value = low + range * unit;
      values[i] = value < last ? value : last;
    }
  });
  return Status::ok;
}

Status randomBernoulli(const OpCall& call) {
  // Of 2^32 equally likely numbers those below the threshold count; 1 is not representable.
  const double probability = call.floats[0];
  const uint64_t threshold =
      probability > 0 ? static_cast<uint64_t>((probability < 1 ? probability : 1) * 4294967296.0)
                      : 0;
  const float value = static_cast<float>(call.floats[1]);
  fillFromStream(call, 16384, [=](const uint32_t* numbers, float* values) {
    for (int i = 0; i < kNumbers; ++i) values[i] = numbers[i] < threshold ? value : 0.0f;
  });
  return Status::ok;
}

Status randomNormal(const OpCall& call) {
  const double mean = call.floats[0], deviation = call.floats[1];
  fillFromStream(call, 512, [=](const uint32_t* numbers, float* values) {
    for (int i = 0; i < kNumbers; i += 2) {
      normalPair(numbers[i], numbers[i + 1], mean, deviation, values + i);
    }
  });
  return Status::ok;
}

}  // namespace kindling

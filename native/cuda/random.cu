// Random numbers: Philox4x32-10 as in native/cpu/random.cc. Elements 4i to 4i + 3 come from the
// block whose counter is offset + i, so a thread makes one block, and the bits are those of the
// CPU. Uniform and Bernoulli numbers are the CPU's too; normal ones agree within a few units of the
// last place of their radius, since the CPU computes them in double, which many GPUs are slow at.

#include <cmath>

#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {

struct RandomStream {
  uint32_t key[2];
  uint64_t offset;
};

__device__ __forceinline__ void philox(const RandomStream& stream, uint64_t block,
                                       uint32_t (&c)[4]) {
  const uint64_t position = stream.offset + block;
  c[0] = static_cast<uint32_t>(position);
  c[1] = static_cast<uint32_t>(position >> 32);
  c[2] = c[3] = 0;
  uint32_t key0 = stream.key[0], key1 = stream.key[1];
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c[2];
    c[0] = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    c[1] = static_cast<uint32_t>(product1);
    c[2] = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[3] = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

struct Uniform {
  float low, range, last;  // rounding may reach the upper end, which is outside
  __device__ __forceinline__ void apply(const uint32_t (&bits)[4], float (&out)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const float unit = static_cast<float>(bits[lane] >> 8) * (1.0f / 16777216.0f);
      const float value = __fadd_rn(low, __fmul_rn(range, unit));
      out[lane] = value < last ? value : last;
    }
  }
};

struct Bernoulli {
  uint64_t threshold;  // of 2^32 equally likely numbers those below it count
  float value;
  __device__ __forceinline__ void apply(const uint32_t (&bits)[4], float (&out)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) out[lane] = bits[lane] < threshold ? value : 0.0f;
  }
};

/// Box and Muller: two independent numbers of two words.
struct Normal {
  float mean, deviation;
  __device__ __forceinline__ void apply(const uint32_t (&bits)[4], float (&out)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; lane += 2) {
      const float radius = sqrtf(-2.0f * logOfUnit(bits[lane])) * deviation;
      float sine, cosine;
      sinCosOfTurn(bits[lane + 1], &sine, &cosine);
      out[lane] = fmaf(radius, cosine, mean);
      out[lane + 1] = fmaf(radius, sine, mean);
    }
  }

 private:
  /// log((a + 1/2) / 2^32). Near 1 from the distance to 1, which a float holds exactly enough.
  static __device__ __forceinline__ float logOfUnit(uint32_t a) {
    constexpr float kScale = 1.0f / 4294967296.0f;
    if (a >> 31) return log1pf(-(static_cast<float>(~a) + 0.5f) * kScale);
    return logf((static_cast<float>(a) + 0.5f) * kScale);
  }
  /// Of the angle 2 pi (b + 1/2) / 2^32: the nearest quarter turn and what is left of it, signed.
  static __device__ __forceinline__ void sinCosOfTurn(uint32_t b, float* sine, float* cosine) {
    const uint32_t quarter = (b + 0x20000000u) >> 30;
    const int32_t rest = static_cast<int32_t>(b - (quarter << 30));
    constexpr float kRadians = 6.2831853071795865f / 4294967296.0f;
    const float angle = (static_cast<float>(rest) + 0.5f) * kRadians;
    const float s = sinf(angle), c = cosf(angle);
    const float x = quarter & 1 ? c : s, y = quarter & 1 ? s : c;
    *sine = quarter & 2 ? -x : x;
    *cosine = (quarter + 1) & 2 ? -y : y;
  }
};

template <class Distribution>
__global__ void __launch_bounds__(kBlockThreads)
    randomKernel(float* out, int64_t n, RandomStream stream, Distribution distribution,
                 bool vectorized) {
  const int64_t blocks = (n + kLanes - 1) / kLanes;
  for (int64_t block = firstOfThread(); block < blocks; block += strideOfGrid()) {
    uint32_t bits[4];
    philox(stream, static_cast<uint64_t>(block), bits);
    float value[kLanes];
    distribution.apply(bits, value);
    const int64_t left = n - block * kLanes;
    storeLanes(out + block * kLanes, value, static_cast<uint32_t>(left < kLanes ? left : kLanes),
               vectorized);
  }
}

namespace {

template <class Distribution>
Status fillFromStream(const OpCall& call, const Distribution& distribution) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const auto word = [&](int i) { return static_cast<uint32_t>(call.ints[i]); };
  const RandomStream stream{{word(0), word(1)}, word(2) | uint64_t{word(3)} << 32};
  return launch(randomKernel<Distribution>, gridFor(out.size, kBlockThreads * kLanes),
                dim3(kBlockThreads), 0, static_cast<float*>(out.data), out.size, stream,
                distribution, isAlignedForFour<float>(out.data));
}

Status randomUniform(const OpCall& call) {
  const float low = static_cast<float>(call.floats[0]), high = static_cast<float>(call.floats[1]);
  return fillFromStream(call, Uniform{low, high - low, std::nextafterf(high, low)});
}

Status randomBernoulli(const OpCall& call) {
  const double p = call.floats[0];
  const uint64_t threshold = p > 0 ? static_cast<uint64_t>((p < 1 ? p : 1) * 4294967296.0) : 0;
  return fillFromStream(call, Bernoulli{threshold, static_cast<float>(call.floats[1])});
}

Status randomNormal(const OpCall& call) {
  return fillFromStream(
      call, Normal{static_cast<float>(call.floats[0]), static_cast<float>(call.floats[1])});
}

}  // namespace

void registerRandom(Kernel* kernels) {
  kernels[static_cast<int>(Op::randomUniform)] = randomUniform;
  kernels[static_cast<int>(Op::randomNormal)] = randomNormal;
  kernels[static_cast<int>(Op::randomBernoulli)] = randomBernoulli;
}

}  // namespace cuda
}  // namespace kindling

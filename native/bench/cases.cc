#include "bench/cases.h"

#include <sstream>

namespace kindling::bench {

namespace {

struct Row {
  const char *family, *name, *spec;
};

// clang-format off
constexpr Row kRows[] = {
    // C[m,n] = A[m,k] B[k,n]; ta, tb: that operand is stored transposed.
    {"gemm", "256x256x256", "matmul m=256 n=256 k=256"},
    {"gemm", "512x512x512", "matmul m=512 n=512 k=512"},
    {"gemm", "1024x1024x1024", "matmul m=1024 n=1024 k=1024"},
    {"gemm", "2048x2048x2048", "matmul m=2048 n=2048 k=2048"},
    {"gemm", "64x128x784", "matmul m=64 n=128 k=784"},
    {"gemm", "128x512x784", "matmul m=128 n=512 k=784"},
    {"gemm", "32x4096x1024", "matmul m=32 n=4096 k=1024"},
    {"gemm", "4096x64x576", "matmul m=4096 n=64 k=576"},
    // The products of training steps.
    {"gemm", "32x128x784 B^T", "matmul m=32 n=128 k=784 tb=1"},
    {"gemm", "128x784x32 A^T", "matmul m=128 n=784 k=32 ta=1"},
    {"gemm", "32x784x128", "matmul m=32 n=784 k=128"},
    {"gemm", "32x10x128 B^T", "matmul m=32 n=10 k=128 tb=1"},
    {"gemm", "10x128x32 A^T", "matmul m=10 n=128 k=32 ta=1"},
    {"gemm", "32x128x10", "matmul m=32 n=128 k=10"},
    {"gemm", "64x128x784 B^T", "matmul m=64 n=128 k=784 tb=1"},
    {"gemm", "128x512x784 B^T", "matmul m=128 n=512 k=784 tb=1"},
    {"gemm", "512x784x128 A^T", "matmul m=512 n=784 k=128 ta=1"},
    {"gemm", "128x784x512", "matmul m=128 n=784 k=512"},
    {"gemm", "1x128x784 B^T", "matmul m=1 n=128 k=784 tb=1"},
    {"gemm", "1x1024x1024 B^T", "matmul m=1 n=1024 k=1024 tb=1"},
    {"gemm", "1x1024x1024", "matmul m=1 n=1024 k=1024"},
    {"gemm", "64x64x64", "matmul m=64 n=64 k=64"},
    {"gemm", "256x256x256 B^T", "matmul m=256 n=256 k=256 tb=1"},
    {"gemm", "32x4096x1024 B^T", "matmul m=32 n=4096 k=1024 tb=1"},
    {"gemm", "1024x1024x1024 B^T", "matmul m=1024 n=1024 k=1024 tb=1"},

    {"gemm64", "256x256x256", "matmul m=256 n=256 k=256 f64=1"},
    {"gemm64", "1024x1024x1024", "matmul m=1024 n=1024 k=1024 f64=1"},
    {"gemm64", "64x128x784", "matmul m=64 n=128 k=784 f64=1"},
    {"gemm64", "128x512x784 B^T", "matmul m=128 n=512 k=784 tb=1 f64=1"},

    // x[n,c,size,size] and weight[o,c/groups,kernel,kernel], without bias. dx=0: a first layer, whose input needs no
    // gradient.
    {"conv", "3->64 k7 s2 224", "conv pass=forward,training n=32 c=3 o=64 size=224 kernel=7 stride=2 pad=3 dx=0"},
    {"conv", "64->64 k3 56", "conv pass=forward,training n=32 c=64 o=64 size=56 kernel=3 pad=1"},
    {"conv", "128->128 k3 28", "conv pass=forward,training n=32 c=128 o=128 size=28 kernel=3 pad=1"},
    {"conv", "256->256 k3 14", "conv pass=forward,training n=32 c=256 o=256 size=14 kernel=3 pad=1"},
    {"conv", "512->512 k3 7", "conv pass=forward,training n=32 c=512 o=512 size=7 kernel=3 pad=1"},
    {"conv", "64->256 k1 56", "conv pass=forward,training n=32 c=64 o=256 size=56 kernel=1"},
    {"conv", "depthwise 128 k3 28", "conv pass=forward,training n=32 c=128 o=128 size=28 kernel=3 pad=1 groups=128"},
    {"conv", "64->128 k3 s2 56", "conv pass=forward,training n=32 c=64 o=128 size=56 kernel=3 stride=2 pad=1"},
    {"conv", "256->512 k1 s2 28", "conv pass=forward,training n=32 c=256 o=512 size=28 kernel=1 stride=2"},
    {"conv", "MNIST 1->32 k3 28", "conv pass=forward,training n=64 c=1 o=32 size=28 kernel=3 pad=1 dx=0"},
    {"conv", "MNIST 32->64 k3 14", "conv pass=forward,training n=64 c=32 o=64 size=14 kernel=3 pad=1"},

    // x[t,n,in], one layer of width h, from a state of 0; the gradients of x and of all weights.
    {"rnn", "LSTM 50,32,100,128", "lstm pass=forward,training t=50 n=32 in=100 h=128"},
    {"rnn", "LSTM 100,64,256,512", "lstm pass=forward,training t=100 n=64 in=256 h=512"},
    {"rnn", "LSTM 200,1,128,256", "lstm pass=forward,training t=200 n=1 in=128 h=256"},
    {"rnn", "GRU 50,32,100,128", "gru pass=forward,training t=50 n=32 in=100 h=128"},
    {"rnn", "GRU 100,64,256,512", "gru pass=forward,training t=100 n=64 in=256 h=512"},
    {"rnn", "GRU 200,1,128,256", "gru pass=forward,training t=200 n=1 in=128 h=256"},

    // q, k, v [b,heads,t,d]
    {"attention", "GPT 16,4,128,64", "attention pass=forward,training b=16 heads=4 t=128 d=64"},
    {"attention", "GPT 16,4,128,64 causal", "attention pass=forward,training b=16 heads=4 t=128 d=64 causal=1"},

    {"memory", "add 16M", "add size=16777216"},
    {"memory", "relu 16M", "relu size=16777216"},
    {"memory", "exp 16M", "exp size=16777216"},
    {"memory", "tanh 16M", "tanh size=16777216"},
    {"memory", "sum 16M", "sum size=16777216"},
    {"memory", "softmax 4096x1024", "softmax pass=forward,backward rows=4096 cols=1024"},
    {"memory", "layer norm 4096x1024", "layerNorm pass=forward,backward rows=4096 cols=1024"},
    {"memory", "layer norm, affine 4096x1024", "layerNorm pass=forward,backward rows=4096 cols=1024 affine=1"},
    {"memory", "Adam step 4M", "adam size=4194304"},
    {"memory", "dropout 4M", "dropout size=4194304"},
    {"memory", "max pool k2 s2 64,32,28", "maxPool pass=forward,backward n=64 c=32 size=28 kernel=2 stride=2"},
    {"memory", "max pool k3 s2 32,64,112", "maxPool pass=forward,backward n=32 c=64 size=112 kernel=3 stride=2 pad=1"},
    {"memory", "embedding 20000x100, 12800 rows", "embedding pass=forward,backward rows=20000 width=100 count=12800"},
};
// clang-format on

std::string titleOf(const std::string& pass) {
  return pass == "training" ? "forward+backward" : pass;
}

}  // namespace

std::vector<Case> allCases() {
  std::vector<Case> cases;
  for (const Row& row : kRows) {
    const Spec spec = Spec::parse(row.spec);
    if (!spec.has("pass")) {
      cases.push_back({row.family, row.name, spec});
      continue;
    }
    std::istringstream passes(spec.text("pass"));
    for (std::string pass; std::getline(passes, pass, ',');) {
      Spec one = spec;
      one.set("pass", pass);
      cases.push_back({row.family, std::string(row.name) + ", " + titleOf(pass), one});
    }
  }
  return cases;
}

}  // namespace kindling::bench

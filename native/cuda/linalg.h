#pragma once
// The pieces of the matrix algorithms, for batches of matrices in double, as on the CPU
// (cpu/linalg.h): float32 tensors are computed in double too. The factorizations are blocked:
// panels of kBlock columns by one block for each matrix, and between them products that fill the
// device.

#include <cstdint>

#include "core/op_call.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace linalg {

constexpr int64_t kBlock = 32;

__host__ __device__ __forceinline__ int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
__host__ __device__ __forceinline__ int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/// `count` matrices of one shape and layout, `each` elements apart; not an owner.
struct Matrices {
  double* data;
  int64_t count, rows, cols;
  int64_t rowStride, colStride, each;

  Matrices block(int64_t i, int64_t j, int64_t height, int64_t width) const {
    return {data + i * rowStride + j * colStride, count, height, width, rowStride, colStride, each};
  }
  Matrices transposed() const { return {data, count, cols, rows, colStride, rowStride, each}; }
};

/// What became of one matrix; `where` says more.
enum class Outcome : int32_t { ok, singular, zeroDiagonal, notDefinite, notFinite, noConvergence };
struct Result {
  Outcome outcome;
  int32_t where;
};

/// Householder reflectors H = I - tau v vᵀ: row j of `v` is the j-th vector in full length.
struct Reflectors {
  Matrices v;
  double* tau;   // `v.rows` for each matrix
  double* work;  // workSize(cols of what they are applied to) for each matrix, one piece for all

  static int64_t workSize(int64_t cols) { return 2 * kBlock * kBlock + 2 * kBlock * cols; }
};

// Every function launches kernels on the current stream.

// linalg_blocks.cu
/// Matrices [first, first + to.count) of a contiguous tensor, or their transposes.
Status load(const TensorView& view, int64_t first, const Matrices& to, bool transposed = false);
/// The way back; times factors[i], where there are any.
Status store(const Matrices& from, const TensorView& view, int64_t first,
             const double* factors = nullptr);
Status setZero(const Matrices& m);
Status setIdentity(const Matrices& m);
Status copy(const Matrices& from, const Matrices& to);
/// Clears what is below the diagonal.
Status clearLower(const Matrices& m);
/// c -= a b; with `upperOnly`, tiles of c wholly below the diagonal are left as they are.
Status subtractProduct(const Matrices& a, const Matrices& b, const Matrices& c,
                       bool upperOnly = false);
/// x := t⁻¹ x for a triangular t of which only the triangle is read; `unit` takes its diagonal
/// as 1.
Status solveTriangular(const Matrices& t, bool lower, bool unit, const Matrices& x);

// linalg_factor.cu
/// a := L and U of P a = L U; row i was exchanged with row pivots[i], in the order of i. The first
/// column without a pivot goes to `results`, if any; the factorization goes on in any case.
Status factorLU(const Matrices& a, int32_t* pivots, Result* results);
/// x := P x for the exchanges that factorLU made.
Status exchangeRows(const int32_t* pivots, const Matrices& x);
/// The upper triangle of a := U of a = Uᵀ U, of which only the upper triangle is read.
Status factorCholesky(const Matrices& a, Result* results);
/// a := R of a = Q R in its upper triangle (the rest is undefined); min(rows, cols) reflectors.
Status factorQR(const Matrices& a, const Reflectors& q);
/// c := H_0 H_1 ... c
Status applyReflectors(const Reflectors& q, const Matrices& c);

// linalg_reduce.cu
/// Divides each matrix by a power of two near its largest element; factors[i] is that power, NaN
/// where an element is not finite, which is the result too if there are any.
Status normalize(const Matrices& a, double* factors, Result* results);
/// The lower or upper triangle's mirror image in the other one.
Status mirror(const Matrices& a, bool upper);

/// Workspace of the iterations, for each matrix.
struct Spectrum {
  double *d, *e;      // n each
  double* rotations;  // rotationSize(n), twice for singular values
  int32_t* order;     // n

  static int64_t rotationCount(int64_t n) { return 4 * n + 64; }
  static int64_t rotationSize(int64_t n) { return 3 * rotationCount(n); }
};

/// The diagonals of a's tridiagonal form to d and e, and the reflectors of a = Q T Qᵀ. a is
/// destroyed.
Status tridiagonalize(const Matrices& a, const Spectrum& spectrum, const Reflectors& q,
                      const Result* results);
/// The same for the upper bidiagonal form, a = L B Rᵀ.
Status bidiagonalize(const Matrices& a, const Spectrum& spectrum, const Reflectors& left,
                     const Reflectors& right, const Result* results);

// linalg_eigen.cu
/// vectors := a matrix whose rows are a's eigenvectors (where vectors.data), and d its eigenvalues,
/// ascending. a is symmetric and destroyed.
Status eigenSymmetric(const Matrices& a, const Matrices& vectors, const Spectrum& spectrum,
                      const Reflectors& q, Result* results);
/// Singular values d, descending, of the square matrices a, which are destroyed. Where u.data is
/// set, the rows of u and v become the left and right singular vectors.
Status singularValues(const Matrices& a, const Matrices& u, const Matrices& v,
                      const Spectrum& spectrum, const Reflectors& left, const Reflectors& right,
                      Result* results);

}  // namespace linalg
}  // namespace cuda
}  // namespace kindling

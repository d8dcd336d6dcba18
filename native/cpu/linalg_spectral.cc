// The linear algebra ops that rest on orthogonal transformations: QR, eigenvalues, singular values.

#include "cpu/linalg_batch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// Divides a by a power of two near its largest element, so that squares neither overflow nor
/// vanish. Returns that power; 1 for a matrix of zeros, NaN where an element is not finite.
double normalize(const Matrix& a) {
  double top = 0, check = 0;
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.cols; ++j) {
      const double size = std::fabs(a.at(i, j));
      top = size > top ? size : top;
      check += size * 0;
    }
  }
  if (check != 0) return NAN;
  if (top == 0) return 1;
  int exponent;
  std::frexp(top, &exponent);
  --exponent;
  // In two steps: the inverse of the least powers of two is not finite.
  const int part = -exponent / 2;
  const double half = std::ldexp(1.0, part), rest = std::ldexp(1.0, -exponent - part);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.cols; ++j) a.at(i, j) = a.at(i, j) * half * rest;
  }
  return std::ldexp(1.0, exponent);
}

/// The lower or upper triangle's mirror image in the other one.
void mirror(const Matrix& a, bool upper) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      if (upper) {
        a.at(i, j) = a.at(j, i);
      } else {
        a.at(j, i) = a.at(i, j);
      }
    }
  }
}

template <bool vectors>
Status eigen(const OpCall& call) {
  const int64_t n = Matrices(call.inputs[0]).rows;
  if (n == 0) return Status::ok;
  const int64_t work = Reflectors::workSize(n);
  const int64_t rotations = vectors ? Rotations::capacity(n) : 0;
  const int64_t doubles = 2 * n * n + 3 * n + work + rotations * Pieces::kRotation;
  return forBatch(call, doubles, 9 * cube(n), [&](int64_t index, double* memory) {
    Pieces pieces = {memory};
    const Matrix a = pieces.matrix(n, n);
    double *d = pieces.take(n), *e = pieces.take(n);
    const Reflectors h = pieces.reflectors(n, n, pieces.take(work));
    load(call.inputs[0], index, a);
    mirror(a, call.ints[0] != 0);
    const double size = normalize(a);
    if (std::isnan(size)) return failed(Outcome::notFinite);
    if (!eigenSymmetric(a, d, e, vectors, pieces.rotations(rotations), h)) {
      return failed(Outcome::noConvergence);
    }
    store(Operand(d, 1, n, n, 1), call.outputs[0], index, size);
    if (vectors) store(Operand(a).transposed(), call.outputs[1], index);
    return kOk;
  });
}

/// A singular value decomposition of a matrix that is at least as high as wide (else of its
/// transpose): R of its QR factorization is decomposed, and Q applied to R's left vectors.
struct Decomposition {
  int64_t height, width;  // of the matrix decomposed
  int64_t leftWidth;      // how many left vectors are wanted; 0: no vectors at all
  bool transposed;

  Decomposition(const TensorView& in, bool vectors, bool full) {
    const Matrices m(in);
    transposed = m.rows < m.cols;
    height = most(m.rows, m.cols);
    width = least(m.rows, m.cols);
    leftWidth = !vectors ? 0 : full ? height : width;
  }

  int64_t workSize() const { return Reflectors::workSize(most(leftWidth, width)); }
  int64_t rotations() const { return leftWidth ? 2 * Rotations::capacity(width) : 0; }
  int64_t doubles() const {
    const int64_t vectors = leftWidth ? 2 * width * width + height * leftWidth : 0;
    return 2 * height * width + 2 * width * width + 5 * width + vectors + workSize() +
           rotations() * Pieces::kRotation;
  }
  double flops() const {
    const double n = static_cast<double>(width);
    return 4 * n * n * static_cast<double>(height) + 20 * n * n * n;
  }
};

Result decompose(const OpCall& call, int64_t index, const Decomposition& shape, double* memory) {
  const int64_t height = shape.height, n = shape.width;
  Pieces pieces = {memory};
  double* work = pieces.take(shape.workSize());
  const Matrix a = pieces.matrix(height, n), square = a.block(0, 0, n, n);
  double *d = pieces.take(n), *e = pieces.take(n);
  const Reflectors q = pieces.reflectors(n, height, work);
  const Reflectors left = pieces.reflectors(n, n, work), right = pieces.reflectors(n, n, work);
  Matrix ut = {}, vt = {};
  if (shape.leftWidth) {
    ut = pieces.matrix(n, n);
    vt = pieces.matrix(n, n);
  }
  load(call.inputs[0], index, a, shape.transposed);
  const double size = normalize(a);
  if (std::isnan(size)) return failed(Outcome::notFinite);
  if (height > n) {
    factorQR(a, q);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j) square.at(i, j) = 0;
    }
  }
  if (n > 0 &&
      !singularValues(square, d, e, ut, vt, pieces.rotations(shape.rotations()), left, right)) {
    return failed(Outcome::noConvergence);
  }
  const Operand values(d, 1, n, n, 1);
  if (!shape.leftWidth) {
    if (n > 0) store(values, call.outputs[0], index, size);
    return kOk;
  }
  const Matrix u = pieces.matrix(height, shape.leftWidth);
  setIdentity(u);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) u.at(i, j) = ut.at(j, i);
  }
  if (height > n) applyReflectors(q, u);
  store(shape.transposed ? Operand(vt).transposed() : Operand(u), call.outputs[0], index);
  store(values, call.outputs[1], index, size);
  store(shape.transposed ? Operand(u).transposed() : Operand(vt), call.outputs[2], index);
  return kOk;
}

}  // namespace

Status qr(const OpCall& call) {
  const Matrices in(call.inputs[0]);
  const int64_t m = in.rows, n = in.cols, k = least(m, n);
  const int64_t width = Matrices(call.outputs[0]).cols;
  const int64_t work = Reflectors::workSize(most(width, n));
  const double flops = 2 * static_cast<double>(m * n) * static_cast<double>(k + width);
  return forBatch(call, m * n + k * m + k + m * width + work, flops,
                  [&](int64_t index, double* memory) {
                    Pieces pieces = {memory};
                    const Matrix a = pieces.matrix(m, n), q = pieces.matrix(m, width);
                    const Reflectors h = pieces.reflectors(k, m, pieces.take(work));
                    load(call.inputs[0], index, a);
                    const double size = normalize(a);
                    factorQR(a, h);
                    for (int64_t i = 0; i < m; ++i) {
                      for (int64_t j = 0; j < least(i, n); ++j) a.at(i, j) = 0;
                    }
                    setIdentity(q);
                    applyReflectors(h, q);
                    store(Operand(q), call.outputs[0], index);
                    store(Operand(a.block(0, 0, width, n)), call.outputs[1], index, size);
                    return kOk;
                  });
}

Status eigh(const OpCall& call) { return eigen<true>(call); }
Status eigvalsh(const OpCall& call) { return eigen<false>(call); }

Status svd(const OpCall& call) {
  const Matrices in(call.inputs[0]);
  const bool full = Matrices(call.outputs[0]).cols != least(in.rows, in.cols) ||
                    Matrices(call.outputs[2]).rows != least(in.rows, in.cols);
  const Decomposition shape(call.inputs[0], true, full);
  return forBatch(call, shape.doubles(), shape.flops(), [&](int64_t index, double* memory) {
    return decompose(call, index, shape, memory);
  });
}

Status svdvals(const OpCall& call) {
  const Decomposition shape(call.inputs[0], false, false);
  return forBatch(call, shape.doubles(), shape.flops(), [&](int64_t index, double* memory) {
    return decompose(call, index, shape, memory);
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling

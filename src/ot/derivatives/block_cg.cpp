#include "ot/derivatives/block_cg.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
using Matrix = std::vector<double>;  // row-major

/// Where the small matrices of an iteration stand beside the large ones.
class Combiner {
 public:
  Combiner(std::int64_t n, std::int64_t cols, Exec& exec)
      : n_(n), small_(cols * cols, exec.device), exec_(exec) {}

  /// out = keep out + x matrix, [n, inner] by [inner, cols].
  void operator()(const Buffer<double>& x, const Matrix& matrix, std::int64_t inner,
                  std::int64_t cols, double keep, Buffer<double>& out) {
    copy(small_.data(), exec_.device, matrix.data(), Device{},
         inner * cols * static_cast<std::int64_t>(sizeof(double)), exec_.stream);
    kernels::each(kernels::CombineArgs{x.data(), small_.data(), inner, cols, keep, out.data()},
                  n_ * cols, exec_);
  }

 private:
  std::int64_t n_;
  Buffer<double> small_;
  Exec& exec_;
};

/// Cholesky L L^T of a [k, k], in its lower half; false where a is not positive definite.
bool factor(Matrix& a, std::int64_t k) {
  for (std::int64_t j = 0; j < k; ++j) {
    for (std::int64_t l = 0; l < j; ++l)
      for (std::int64_t i = j; i < k; ++i) a[i * k + j] -= a[i * k + l] * a[j * k + l];
    if (!(a[j * k + j] > 0)) return false;
    const double root = std::sqrt(a[j * k + j]);
    for (std::int64_t i = j; i < k; ++i) a[i * k + j] /= root;
  }
  return true;
}

/// b [k, cols] = (L L^T)^-1 b
void solve(const Matrix& l, std::int64_t k, Matrix& b, std::int64_t cols) {
  for (std::int64_t c = 0; c < cols; ++c) {
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t j = 0; j < i; ++j) b[i * cols + c] -= l[i * k + j] * b[j * cols + c];
      b[i * cols + c] /= l[i * k + i];
    }
    for (std::int64_t i = k; i-- > 0;) {
      for (std::int64_t j = i + 1; j < k; ++j) b[i * cols + c] -= l[j * k + i] * b[j * cols + c];
      b[i * cols + c] /= l[i * k + i];
    }
  }
}

/// A matrix [cols, rank] whose product with w, w^T w = g [cols, cols], is orthonormal: pivoted
/// Cholesky of the columns that `counts`, of unit norm each, until what is left of the rest is
/// kDependent of it.
struct Basis {
  Matrix matrix;
  std::int64_t rank;
};
Basis basis(const Matrix& g, std::int64_t cols, const std::vector<bool>& counts) {
  constexpr double kDependent = 1e-10;  // squared: well above the rounding of g
  std::vector<double> norm(cols, 0.0), left(cols, 0.0);
  for (std::int64_t c = 0; c < cols; ++c) {
    norm[c] = counts[c] && g[c * cols + c] > 0 ? std::sqrt(g[c * cols + c]) : 0;
    left[c] = norm[c] > 0 ? 1 : 0;
  }
  // Rows of `reduced` express an orthonormal basis in the columns; `seen` are the products of all
  // columns with it.
  std::vector<Matrix> reduced, seen;
  for (std::int64_t step = 0; step < cols; ++step) {
    const auto p = std::max_element(left.begin(), left.end()) - left.begin();
    if (!(left[p] > kDependent)) break;
    Matrix row(cols, 0.0), products(cols, 0.0);
    row[p] = 1 / norm[p];
    for (std::size_t s = 0; s < reduced.size(); ++s)
      for (std::int64_t c = 0; c < cols; ++c) row[c] -= seen[s][p] * reduced[s][c];
    const double size = std::sqrt(left[p]);
    for (double& v : row) v /= size;
    for (std::int64_t c = 0; c < cols; ++c) {
      if (!(norm[c] > 0)) continue;
      for (std::int64_t q = 0; q < cols; ++q) products[c] += row[q] * g[q * cols + c];
      products[c] /= norm[c];
      left[c] -= products[c] * products[c];
    }
    left[p] = 0;
    reduced.push_back(std::move(row));
    seen.push_back(std::move(products));
  }
  Basis out{Matrix(cols * static_cast<std::int64_t>(reduced.size())),
            static_cast<std::int64_t>(reduced.size())};
  for (std::int64_t c = 0; c < cols; ++c)
    for (std::int64_t s = 0; s < out.rank; ++s) out.matrix[c * out.rank + s] = reduced[s][c];
  return out;
}

/// The least eigenvalue of a symmetric tridiagonal matrix, by bisection on Sturm counts.
double least_eigenvalue(const Matrix& diagonal, const Matrix& off) {
  double high = diagonal[0];
  for (const double d : diagonal) high = std::min(high, d);
  double low = 0;
  for (int step = 0; step < 60 && low < high * (1 - 1e-3); ++step) {
    const double x = (low + high) / 2;
    double q = diagonal[0] - x;
    bool below = q < 0;
    for (std::size_t i = 1; i < diagonal.size() && !below; ++i) {
      q = diagonal[i] - x - off[i - 1] * off[i - 1] / q;
      below = q < 0;
    }
    (below ? high : low) = x;
  }
  return (low + high) / 2;
}

/// Lanczos coefficients of a single column.
class Spectrum {
 public:
  /// A step of length alpha (r += -alpha A p), after which |r|^2 has become `ratio` of itself.
  void add(double alpha, double ratio) {
    diagonal_.push_back(1 / alpha + (diagonal_.empty() ? 0 : beta_ / alpha_));
    off_.push_back(std::sqrt(ratio) / alpha);
    alpha_ = alpha;
    beta_ = ratio;
  }
  double least() const { return diagonal_.empty() ? 0 : least_eigenvalue(diagonal_, off_); }

 private:
  Matrix diagonal_, off_;
  double alpha_ = 1, beta_ = 0;
};
}  // namespace

std::vector<double> gram(const Buffer<double>& x, std::int64_t k, const Buffer<double>& y,
                         std::int64_t l, Exec& exec) {
  using Part = kernels::GramArgs;
  // As square as few columns allow.
  const std::int64_t most_cols = std::min(l, k < 4 ? Part::kMost / k : 4),
                     most_rows = std::min(k, Part::kMost / most_cols);
  Matrix out(k * l);
  for (std::int64_t a = 0; a < k; a += most_rows)
    for (std::int64_t b = 0; b < l; b += most_cols) {
      const std::int64_t rows = std::min(k - a, most_rows), cols = std::min(l - b, most_cols);
      const auto part =
          kernels::sum(Part{x.data(), y.data(), k, l, a, b, rows, cols}, x.size() / k, exec);
      for (std::int64_t s = 0; s < rows; ++s)
        for (std::int64_t t = 0; t < cols; ++t) out[(a + s) * l + b + t] = part.value[s * cols + t];
    }
  return out;
}

BlockReport block_cg(const BlockProduct& product, const BlockProjection& project,
                     const BlockProjection& turn, const BlockProduct& precondition,
                     const std::vector<double>& size, Buffer<double>& x, Buffer<double>& r,
                     const BlockOptions& options, Exec& exec) {
  const auto cols = static_cast<std::int64_t>(size.size());
  const std::int64_t n = r.size() / cols;
  Combiner combine(n, cols, exec);
  Buffer<double> p, q;  // directions and their products
  BlockReport report;
  Spectrum spectrum;
  std::vector<bool> open(cols);
  const auto judge = [&](const Matrix& rr) {
    report.residual = 0;
    for (std::int64_t c = 0; c < cols; ++c) {
      const double left = size[c] > 0 ? std::sqrt(rr[c * cols + c]) / size[c] : 0;
      open[c] = left > options.tolerance;
      report.residual = std::max(report.residual, left);
    }
    report.converged = report.residual <= options.tolerance;
  };
  Matrix rr = gram(r, cols, r, cols, exec);
  judge(rr);
  const double first = report.residual;
  // Whether the residual falls so slowly that more than `patience` iterations are to come.
  const auto slow = [&] {
    constexpr int kSeen = 6;
    if (options.patience == 0 || report.iterations < kSeen) return false;
    const double fallen = std::log(first / report.residual),
                 to_fall = std::log(report.residual / options.tolerance);
    return to_fall * report.iterations > options.patience * fallen;
  };
  Buffer<double> candidates(r.size(), exec.device);
  const auto take = [&] {
    if (precondition)
      precondition(r, cols, candidates);
    else
      copy(candidates.data(), exec.device, r.data(), exec.device,
           r.size() * static_cast<std::int64_t>(sizeof(double)), exec.stream);
  };
  Matrix products = rr;  // of the candidates
  if (!report.converged) take();
  if (precondition) project(candidates, cols);
  if (turn) turn(candidates, cols);
  if (turn || precondition) products = gram(candidates, cols, candidates, cols, exec);
  while (!report.converged && report.iterations < options.max_iterations && !slow()) {
    const Basis next = basis(products, cols, open);
    const std::int64_t k = next.rank;
    if (k == 0) break;
    for (Buffer<double>* v : {&p, &q})
      if (v->size() != n * k) *v = Buffer<double>(n * k, exec.device);
    combine(candidates, next.matrix, cols, k, 0, p);
    product(p, k, q);
    project(q, k);
    ++report.iterations;
    Matrix curved = gram(p, k, q, k, exec), alpha = gram(p, k, r, cols, exec);
    if (!factor(curved, k)) break;  // what is left is not seen by A
    const double along = alpha[0];
    solve(curved, k, alpha, cols);
    combine(p, alpha, k, cols, 1, x);
    Matrix down = alpha;
    for (double& v : down) v = -v;
    combine(q, down, k, cols, 1, r);
    const double before = rr[0];
    rr = gram(r, cols, r, cols, exec);
    // alpha of a p that is not normalised: p.r of its own residual is |r|^2.
    if (cols == 1 && !precondition && before > 0 && along != 0)
      spectrum.add(alpha[0] * along / before, rr[0] / before);
    judge(rr);
    if (report.converged) break;
    take();
    Matrix beta = gram(q, k, candidates, cols, exec);
    solve(curved, k, beta, cols);
    for (double& v : beta) v = -v;
    combine(p, beta, k, cols, 1, candidates);
    project(candidates, cols);
    if (turn) turn(candidates, cols);
    products = gram(candidates, cols, candidates, cols, exec);
  }
  report.gap = spectrum.least();
  return report;
}
}  // namespace monge

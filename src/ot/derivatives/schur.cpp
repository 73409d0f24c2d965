#include "ot/derivatives/schur.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/absorbed.hpp"
#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/coarse.hpp"
#include "ot/derivatives/block_cg.hpp"
#include "ot/derivatives/sparse_schur.hpp"

namespace monge {
namespace {
template <class T>
class Schur {
 public:
  using Power = typename kernels::RescaleArgs<double>::Power;

  Schur(const Linear<T>& linear, Side unknown, DerivativeReport& report, Exec& exec)
      : linear_(linear),
        unknown_(unknown),
        cols_(linear.side(unknown)),
        rows_(linear.side(other(unknown))),
        diagonal_(linear.diagonal(unknown, exec)),
        report_(report),
        exec_(exec) {
    report.diagonal_ratio =
        1 / std::max(1.0, kernels::sum(
                              kernels::DiagonalRatioArgs{cols_.curvature.data(), diagonal_.data()},
                              diagonal_.size(), exec)
                              .value);
    if (!linear.singular) return;
    null_ = Buffer<double>(diagonal_.size(), exec.device);
    const auto ones = filled(diagonal_.size(), 1.0, exec);
    rescale(ones, Power::root, 1, null_);
    null_square_ = gram(null_, 1, null_, 1, exec)[0];
  }

  template <class U>
  void rescale(const Buffer<double>& from, Power power, std::int64_t count, Buffer<U>& to) const {
    kernels::each(
        kernels::RescaleArgs<U>{from.data(), diagonal_.data(),
                                static_cast<typename kernels::RescaleArgs<U>::Power>(power), count,
                                to.data()},
        to.size(), exec_);
  }

  /// out = diag^-1/2 S diag^-1/2 v; two passes, of which a kernel makes one.
  void product(const Buffer<double>& v, std::int64_t count, Buffer<double>& out) {
    report_.passes += 2;
    if (count <= kFewDirections && linear_.kernel(unknown_, exec_).size() > 0)
      return read(linear_.kernel(unknown_, exec_), v, count, out);
    const std::int64_t n = rows_.weight.size, m = cols_.weight.size;
    if (z_.size() != m * count)
      z_ = Buffer<T>(m * count, exec_.device), met_ = Buffer<T>(n * count, exec_.device);
    rescale(v, Power::inverse_root, count, z_);
    linear_.apply(other(unknown_), kernels::Weighting::plain, z_.data(), count, met_.data(), exec_);
    kernels::each(kernels::RespondArgs<T>{rows_.response.data(), count, met_.data()}, met_.size(),
                  exec_);
    linear_.apply(unknown_, kernels::Weighting::plain, met_.data(), count, z_.data(), exec_);
    kernels::each(
        kernels::SchurProductArgs<T>{cols_.weight, cols_.curvature.data(), diagonal_.data(),
                                     v.data(), z_.data(), count, out.data()},
        out.size(), exec_);
  }

  void project(Buffer<double>& v, std::int64_t count) {
    if (null_.size() == 0) return;
    auto share = gram(null_, 1, v, count, exec_);
    for (double& s : share) s /= -null_square_;
    const auto small = placed(share, exec_);
    kernels::each(kernels::CombineArgs{null_.data(), small.data(), 1, count, 1, v.data()}, v.size(),
                  exec_);
  }

  Buffer<double> solve(const Buffer<double>& right, const Buffer<double>& guess, std::int64_t count,
                       const SolveOptions& options) {
    Buffer<double> r(right.size(), exec_.device);
    rescale(right, Power::inverse_root, count, r);
    project(r, count);
    auto x = filled(r.size(), 0.0, exec_);
    const auto squares = gram(r, count, r, count, exec_);
    std::vector<double> size(count);
    for (std::int64_t c = 0; c < count; ++c) size[c] = std::sqrt(squares[c * count + c]);
    const auto start = r.copy(exec_.stream);
    if (guess.size() > 0) {
      rescale(guess, Power::root, count, x);
      project(x, count);
      renew(start, x, count, r);
    }
    const double tolerance = std::max(options.tolerance, residual_floor<T>());
    const Deflation* deflation = nullptr;
    const SparseSchur<T>* sparse = nullptr;
    const auto run = [&](int patience) {
      BlockProjection turn;
      BlockProduct precondition;
      if (sparse)
        precondition = [&](const Buffer<double>& v, std::int64_t k, Buffer<double>& out) {
          sparse->solve(diagonal_, v, k, out, exec_);
        };
      if (deflation) {
        deflation->start(x, r, count, exec_);
        turn = [&](Buffer<double>& v, std::int64_t k) { deflation->turn(v, k, exec_); };
      }
      const auto found =
          block_cg(product_, project_, turn, precondition, size, x, r,
                   {tolerance, options.max_iterations - report_.iterations, patience}, exec_);
      report_.iterations += found.iterations;
      report_.residual = found.residual;
      report_.converged = found.converged;
      if (report_.gap == 0 && !deflation) report_.gap = found.gap;
    };
    using By = Preconditioner;
    By by = options.preconditioner;
    if (by == By::automatic) {
      const bool helped = count <= kFewDirections && (can_deflate() || is_concentrated());
      run(helped ? kPatience : 0);
      if (helped && !report_.converged && report_.iterations < options.max_iterations)
        by = is_concentrated() && largest()->lost() <= kMostLost ? By::support
             : can_deflate()                                     ? By::two_level
                                                                 : By::diagonal;
    }
    if (by == By::two_level) {
      deflation = deflated();
      report_.deflated = static_cast<int>(deflation->columns);
      report_.gap = report_.gap > 0 ? std::min(report_.gap, deflation->gap) : deflation->gap;
    }
    if (by == By::support) {
      sparse = largest();
      report_.lost = sparse->lost();
      report_.gap = 0;  // a few iterations have not seen it
    }
    if (by != By::automatic) run(0);
    // In float the residual that is updated parts from the true one: once more from there.
    if (sizeof(T) == 4 && report_.converged && report_.iterations > 0) {
      renew(start, x, count, r);
      run(0);
    }
    Buffer<double> z(x.size(), exec_.device);
    rescale(x, Power::inverse_root, count, z);
    return z;
  }

 private:
  void read(const Buffer<T>& kernel, const Buffer<double>& v, std::int64_t count,
            Buffer<double>& out) const {
    kernels::normal(kernels::NormalArgs<T>{kernel.data(), rows_.weight.size, cols_.weight.size,
                                           v.data(), static_cast<int>(count), out.data()},
                    exec_);
    kernels::each(kernels::NormalSchurArgs{cols_.curvature.data(), diagonal_.data(), v.data(),
                                           count, out.data()},
                  out.size(), exec_);
  }

  /// Iterations left that a basis of functions is worth, with the passes that make it.
  static constexpr int kPatience = 16;
  /// More of them find the slow modes by themselves: ten take as many iterations either way (n =
  /// 2 048, d = 3, epsilon 0.01: 17 and 16). And a streamed tile of the plan serves them all while
  /// it is in registers: there ten take 0.8 of the time that they take with a kernel.
  static constexpr std::int64_t kFewDirections = 4;
  static constexpr std::int64_t kLeastPoints = 4 * kernels::kCoarseColumns;

  /// Entries that a row or column has in effect, 1 / sum of the squares of its shares, of which so
  /// many list nearly all; what they may take; and what may be left out.
  static constexpr double kFewEntries = 0.5 * SparseSchur<T>::kEntries,
                          kMostBytes = 512.0 * (1 << 20), kMostLost = 0.03;

  /// Points a side from which on a product of the entries is a small part of a pass.
  static constexpr std::int64_t kLeastWide = 32 * SparseSchur<T>::kEntries;

  /// From the diagonal, at no pass.
  bool is_concentrated() const {
    if (std::min(rows_.weight.size, cols_.weight.size) < kLeastWide ||
        SparseSchur<T>::bytes(linear_) > std::min<double>(kMostBytes, linear_.kernel_cache))
      return false;
    const double squares =
        kernels::sum(kernels::SquaredShareArgs{cols_.curvature.data(), diagonal_.data()},
                     diagonal_.size(), exec_)
            .value[0];
    return squares * kFewEntries >= static_cast<double>(diagonal_.size());
  }

  const SparseSchur<T>* largest() {
    return linear_.sparse(unknown_, [&] {
      auto out = std::make_shared<const SparseSchur<T>>(linear_, unknown_, exec_);
      report_.passes += 2;
      synchronize(exec_.device, exec_.stream);  // another stream may read it next
      return out;
    });
  }

  bool can_deflate() const {
    const std::int64_t dim = linear_.dim;
    return dim > 0 && dim <= Coarse<T>::kDimension && diagonal_.size() >= kLeastPoints;
  }

  const Deflation* deflated() {
    if (!can_deflate())
      throw NotAvailable(fmt::format(
          "[derivatives] two levels are for clouds of up to {} dimensions and at least {} points; "
          "these have {} and {}",
          Coarse<T>::kDimension, kLeastPoints, linear_.dim, diagonal_.size()));
    return linear_.deflation(unknown_, [&] {
      const auto& cloud = std::get<PointCloud<T>>(linear_.geometry);
      const auto cells = cell_basis(unknown_ == Side::source ? cloud.x : cloud.y, cols_.weight,
                                    kernels::kCoarseColumns, exec_);
      Buffer<double> wide(cells.values.size(), exec_.device);
      const auto in_double = [&] {
        if constexpr (sizeof(T) == 4)
          return widened(cells.values, exec_);
        else
          return cells.values.copy(exec_.stream);
      }();
      rescale(in_double, Power::root, cells.columns, wide);
      auto out =
          std::make_unique<const Deflation>(std::move(wide), cells.columns, product_, project_,
                                            100 * std::numeric_limits<T>::epsilon(), exec_);
      report_.passes += 2 * (cells.columns / 32);
      synchronize(exec_.device, exec_.stream);  // another stream may read it next
      return out;
    });
  }

  /// r = start - A x
  void renew(const Buffer<double>& start, const Buffer<double>& x, std::int64_t count,
             Buffer<double>& r) {
    product(x, count, r);
    project(r, count);
    kernels::each(kernels::ResidualArgs{start.data(), r.data()}, r.size(), exec_);
  }

  const Linear<T>& linear_;
  Side unknown_;
  const LinearSide<T>&cols_, &rows_;
  const Buffer<double>& diagonal_;
  DerivativeReport& report_;
  Exec& exec_;
  const BlockProduct product_ = [this](const Buffer<double>& v, std::int64_t k,
                                       Buffer<double>& out) { product(v, k, out); };
  const BlockProjection project_ = [this](Buffer<double>& v, std::int64_t k) { project(v, k); };
  Buffer<T> z_, met_;    // of the last product
  Buffer<double> null_;  // diag^1/2, where K is singular
  double null_square_ = 0;
};
}  // namespace

template <class T>
Buffer<double> solve_schur(const Linear<T>& linear, Side unknown, const Buffer<double>& right,
                           const Buffer<double>& guess, std::int64_t count,
                           const SolveOptions& options, DerivativeReport& report, Exec& exec) {
  return Schur<T>(linear, unknown, report, exec).solve(right, guess, count, options);
}
template Buffer<double> solve_schur(const Linear<float>&, Side, const Buffer<double>&,
                                    const Buffer<double>&, std::int64_t, const SolveOptions&,
                                    DerivativeReport&, Exec&);
template Buffer<double> solve_schur(const Linear<double>&, Side, const Buffer<double>&,
                                    const Buffer<double>&, std::int64_t, const SolveOptions&,
                                    DerivativeReport&, Exec&);
}  // namespace monge

// The Hessian in the points of one side, dense, on the host:
//   H = blockdiag(E) + R^T S^+ R / eps,   R_j,it = D2_j^-1/2 P_ij (dc_ij/dx_i - tau_i g_i)_t,
// S = I - M^T M, M = D1^-1/2 P D2^-1/2. Where no point moves its marginal S has the null vector
// v = D2^1/2 / |D2^1/2|, which R does not see: S + v v^T is as good. Where the plan falls into
// parts there are more, and a set of rows on which S is regular gives the same product.
// With a total mass the level l moves too: its column of R, with rho = df at dg = 0 of the columns
// that are free, is -D2^-1/2 P^T rho. With g_l the derivative of the gradient in l and
//   2 eps k = sum P (df + dg)^2 = sum P (rho_i + [j clipped])^2 - |S^-1/2 R_l|^2,
// half the curvature of the value in l, what the level does to H is g_l g_l^T / (2 k).
#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/dense.hpp"
#include "monge/ot/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/cholesky.hpp"
#include "ot/derivatives/level.hpp"
#include "ot/derivatives/linear.hpp"
#include "ot/derivatives/products.hpp"
#include "ot/single_costs.hpp"

namespace monge {
namespace {
constexpr double kLeastPivot = 1e-13;

/// One side on the host.
struct HostSide {
  std::int64_t size;
  std::vector<double> weight, potential, tau, sum;  // sum: of the plan that is formed here

  template <class T>
  HostSide(const LinearSide<T>& side, Exec& exec) : size(side.weight.size), sum(size, 0.0) {
    const auto values = [&](const auto& buffer) {
      const auto here = buffer.to(Device{}, exec.stream);
      return std::vector<double>(here.begin(), here.end());
    };
    weight = values(gathered(side.weight, exec));
    potential = values(side.potential);
    tau = values(side.tau);
  }
  /// D^-1/2, 0 where the potential does not move.
  std::vector<double> inverse_root() const {
    std::vector<double> out(size);
    for (std::int64_t i = 0; i < size; ++i) out[i] = sum[i] > 0 ? std::sqrt(tau[i] / sum[i]) : 0;
    return out;
  }
};

/// `rows` of the Hessian against the other side.
template <class T>
class DenseHessian {
 public:
  DenseHessian(const Linear<T>& linear, Side side, Exec& exec)
      : linear_(linear),
        side_(side),
        rows_(linear.side(side), exec),
        cols_(linear.side(other(side)), exec),
        costs_(linear.geometry, exec),
        n_(rows_.size),
        m_(cols_.size),
        d_(linear.dim),
        width_(n_ * d_ + (linear.fixed_mass ? 1 : 0)),
        exec_(exec) {}

  HessianResult<T> run() {
    form_plan();
    const auto row_scale = rows_.inverse_root(), col_scale = cols_.inverse_root();
    auto schur = form_schur(row_scale, col_scale);
    auto right = form_right(col_scale);
    HessianResult<T> out;
    auto factor = schur;
    if (linear_.singular) add_constants(factor);
    if (cholesky(factor, m_, kLeastPivot, exec_)) {
      solve_transposed(factor, m_, right, width_, exec_);
    } else {
      const auto rows = independent_rows(schur, m_, kLeastPivot);
      const auto rank = static_cast<std::int64_t>(rows.size());
      out.dropped_modes = static_cast<int>(m_ - rank - (linear_.singular ? 1 : 0));
      std::vector<double> part(rank * rank), of_rows(rank * width_);
      for (std::int64_t i = 0; i < rank; ++i) {
        for (std::int64_t j = i; j < rank; ++j) part[i * rank + j] = schur[rows[i] * m_ + rows[j]];
        std::copy_n(&right[rows[i] * width_], width_, &of_rows[i * width_]);
      }
      if (!cholesky(part, rank, 0, exec_))
        throw Error("[derivatives] the Schur complement of this plan could not be factored");
      solve_transposed(part, rank, of_rows, width_, exec_);
      right = std::move(of_rows);
    }
    out.value = assemble(right);
    return out;
  }

 private:
  void form_plan() {
    plan_.assign(n_ * m_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i) {
      if (!(rows_.weight[i] > 0)) continue;
      for (std::int64_t j = 0; j < m_; ++j) {
        if (!(cols_.weight[j] > 0)) continue;
        const double c = side_ == Side::source ? costs_(i, j) : costs_(j, i);
        const double p = rows_.weight[i] * cols_.weight[j] *
                         std::exp((rows_.potential[i] + cols_.potential[j] - c) / linear_.eps);
        plan_[i * m_ + j] = p;
      }
    }
    if (linear_.held)
      for (const auto& [i, j] : linear_.held->pairs())
        plan_[side_ == Side::source ? i * m_ + j : j * m_ + i] = 0;
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t j = 0; j < m_; ++j) {
        rows_.sum[i] += plan_[i * m_ + j];
        cols_.sum[j] += plan_[i * m_ + j];
      }
  }

  std::vector<double> form_schur(const std::vector<double>& row_scale,
                                 const std::vector<double>& col_scale) {
    std::vector<double> scaled(n_ * m_), out(m_ * m_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t j = 0; j < m_; ++j)
        scaled[i * m_ + j] = row_scale[i] * plan_[i * m_ + j] * col_scale[j];
    for (std::int64_t j = 0; j < m_; ++j) out[j * m_ + j] = 1;
    kernels::add_product({.a = scaled.data(),
                          .b = scaled.data(),
                          .c = out.data(),
                          .rows = m_,
                          .cols = m_,
                          .depth = n_,
                          .a_stride = m_,
                          .b_stride = m_,
                          .c_stride = m_,
                          .factor = -1,
                          .upper = true},
                         exec_);
    return out;
  }

  void add_constants(std::vector<double>& schur) const {
    double total = 0;
    for (const double c : cols_.sum) total += c;
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = i; j < m_; ++j)
        schur[i * m_ + j] += std::sqrt(cols_.sum[i] * cols_.sum[j]) / total;
  }

  /// How the potentials of the rows move with the level while those of free columns do not.
  std::vector<double> level_moves() const {
    std::vector<double> out(n_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i) {
      if (!(rows_.sum[i] > 0)) continue;
      out[i] = rows_.tau[i] > 0 ? 0 : 1;
      for (std::int64_t j = 0; j < m_ && rows_.tau[i] > 0; ++j)
        if (cols_.tau[j] == 0) out[i] -= plan_[i * m_ + j] / rows_.sum[i];
    }
    return out;
  }

  /// R [m, width]
  std::vector<double> form_right(const std::vector<double>& col_scale) {
    std::vector<double> out(m_ * width_), slopes(m_ * d_), mean(d_);
    const auto moves = linear_.fixed_mass ? level_moves() : std::vector<double>();
    level_.assign(moves.empty() ? 0 : n_ * d_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i) {
      if (!(rows_.sum[i] > 0)) continue;
      std::fill(slopes.begin(), slopes.end(), 0.0);
      std::fill(mean.begin(), mean.end(), 0.0);
      for (std::int64_t j = 0; j < m_; ++j) {
        costs_.add_gradient(side_, side_ == Side::source ? i : j, side_ == Side::source ? j : i, 1,
                            &slopes[j * d_]);
        for (std::int64_t k = 0; k < d_; ++k)
          mean[k] += plan_[i * m_ + j] / rows_.sum[i] * slopes[j * d_ + k];
      }
      for (std::int64_t j = 0; j < m_; ++j)
        for (std::int64_t k = 0; k < d_; ++k)
          out[j * width_ + i * d_ + k] =
              col_scale[j] * plan_[i * m_ + j] * (slopes[j * d_ + k] - rows_.tau[i] * mean[k]);
      if (moves.empty()) continue;
      for (std::int64_t j = 0; j < m_; ++j) {
        const double p = plan_[i * m_ + j], move = moves[i] + (cols_.tau[j] > 0 ? 0 : 1);
        out[j * width_ + n_ * d_] -= col_scale[j] * p * moves[i];
        curvature_ += p * move * move;
        for (std::int64_t k = 0; k < d_; ++k)
          level_[i * d_ + k] += p * move * slopes[j * d_ + k] / linear_.eps;
      }
    }
    return out;
  }

  /// g_l g_l^T / (2 k), from z = S^-1/2 R.
  void add_level(const std::vector<double>& z, std::vector<double>& h) {
    const std::int64_t size = n_ * d_, rank = static_cast<std::int64_t>(z.size()) / width_;
    for (std::int64_t j = 0; j < rank; ++j) {
      const double own = z[j * width_ + size];
      curvature_ -= own * own;
      for (std::int64_t e = 0; e < size; ++e) level_[e] += own * z[j * width_ + e] / linear_.eps;
    }
    check_level(curvature_);
    for (std::int64_t e = 0; e < size; ++e)
      for (std::int64_t t = e; t < size; ++t)
        h[e * size + t] += level_[e] * level_[t] * linear_.eps / curvature_;
  }

  Buffer<T> assemble(const std::vector<double>& z) {
    const std::int64_t size = n_ * d_;
    std::vector<double> h(size * size, 0.0);
    kernels::add_product({.a = z.data(),
                          .b = z.data(),
                          .c = h.data(),
                          .rows = size,
                          .cols = size,
                          .depth = static_cast<std::int64_t>(z.size()) / width_,
                          .a_stride = width_,
                          .b_stride = width_,
                          .c_stride = size,
                          .factor = 1 / linear_.eps,
                          .upper = true},
                         exec_);
    if (linear_.fixed_mass) add_level(z, h);
    const auto blocks = own_blocks(linear_, side_, exec_).to(Device{}, exec_.stream);
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t s = 0; s < d_; ++s)
        for (std::int64_t t = s; t < d_; ++t)
          h[(i * d_ + s) * size + i * d_ + t] +=
              (blocks[(s * n_ + i) * d_ + t] + static_cast<double>(blocks[(t * n_ + i) * d_ + s])) /
              2;
    Buffer<T> out(size * size);
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = i; j < size; ++j)
        out[i * size + j] = out[j * size + i] = static_cast<T>(h[i * size + j]);
    return std::move(out).to(linear_.device, exec_.stream);
  }

  const Linear<T>& linear_;
  Side side_;
  HostSide rows_, cols_;
  SingleCosts<T> costs_;
  std::int64_t n_, m_, d_, width_;
  Exec& exec_;
  std::vector<double> plan_;   // [n, m], of what moves
  std::vector<double> level_;  // [n, d] g_l, with a total mass
  double curvature_ = 0;       // 2 eps k
};
}  // namespace

template <class T>
HessianResult<T> hessian(const Linearization<T>& at, Side side, const HessianOptions& options,
                         Exec& exec) {
  const Linear<T>& linear = at.linear();
  const std::int64_t n = side == Side::source ? at.n() : at.m(),
                     m = side == Side::source ? at.m() : at.n();
  check_moving_points(linear);
  check_device("derivatives", "the linearization", at.device(), exec);
  const double size = static_cast<double>(n) * static_cast<double>(at.dim());
  const double entries = std::max(size * size, size * static_cast<double>(m));
  if (entries > static_cast<double>(options.limit))
    throw InvalidArgument(
        fmt::format("[derivatives] a dense Hessian of {} points in {} dimensions needs {:.6g} "
                    "entries, over the limit of {}: use hvp, or raise the limit",
                    n, at.dim(), entries, options.limit),
        "limit");
  return DenseHessian<T>(linear, side, exec).run();
}

template HessianResult<float> hessian(const Linearization<float>&, Side, const HessianOptions&,
                                      Exec&);
template HessianResult<double> hessian(const Linearization<double>&, Side, const HessianOptions&,
                                       Exec&);
}  // namespace monge

// The verbs on a support: a sparse set of pairs with their costs, and for each row one number for
// all that is outside, its `rest`. All double. What one row sums depends on the order of its
// entries alone.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/backend.hpp"
#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// Row i has the entries [offsets[i], offsets[i + 1]).
struct Sparse {
  const std::int64_t* offsets;  // [rows + 1]
  const std::int32_t* columns;
  const double* costs;
  std::int64_t rows, entries;
};

/// out_i = -eps log( sum over entries exp((h_j - c_ij) / eps) + exp(-rest_i / eps) ); +inf for
/// nothing. h_j = -inf removes column j.
struct SparseSoftminArgs {
  Sparse pairs;
  const double* h;
  const double* rest;  // [rows], +inf: none; null: none anywhere
  double eps;
  double* out;     // [rows]
  double* shares;  // [entries]: exp((h_j + out_i - c_ij) / eps), 0 where out_i = +inf
};

/// out_i = sum over entries (scale_i share_ij)^power v_j, power 1 or 2.
struct SparseApplyArgs {
  Sparse pairs;          // costs are not looked at
  const double* shares;  // null: ones
  const double* scale;   // [rows]; null: ones
  const double* v;
  double* out;
  int power = 1;
};

/// The support that top_k of the rows and of the columns list together, in both orders; entries of
/// each row and column ascend. A pair that both name has the cost that its row says. Pairs of
/// infinite cost are left out.
struct SparseJoinArgs {
  struct Listed {
    const std::int64_t* columns;  // [rows, k], -1: none
    const double* costs;
    std::int64_t rows, k;
  };
  struct Sides {
    std::int64_t* offsets;  // [rows + 1]
    std::int32_t* columns;  // room for all that is listed, as
    double* costs;          // has this
  };
  Listed of_rows, of_columns;
  Sides rows, columns;
};

namespace cpu {
void sparse_softmin(const SparseSoftminArgs&, Exec&);
void sparse_apply(const SparseApplyArgs&, Exec&);
std::int64_t sparse_join(const SparseJoinArgs&, Exec&);
}  // namespace cpu
namespace cuda {
void sparse_softmin(const SparseSoftminArgs&, Exec&);
void sparse_apply(const SparseApplyArgs&, Exec&);
std::int64_t sparse_join(const SparseJoinArgs&, Exec&);
}  // namespace cuda

inline void sparse_softmin(const SparseSoftminArgs& args, Exec& exec) {
  if (args.pairs.rows > 0) MONGE_ON(exec.device, sparse_softmin(args, exec));
}
inline void sparse_apply(const SparseApplyArgs& args, Exec& exec) {
  if (args.pairs.rows > 0) MONGE_ON(exec.device, sparse_apply(args, exec));
}
/// Returns the number of entries; waits.
inline std::int64_t sparse_join(const SparseJoinArgs& args, Exec& exec) {
  return MONGE_ON(exec.device, sparse_join(args, exec));
}

/// The cost of every pair that top_k lists, from its weight: c = h_j + shift_i - eps log w.
template <class T>
struct ListedCostArgs {
  const std::int64_t* columns;  // [n, k], -1: none
  const T *weights, *h, *shift;
  std::int64_t k;
  double eps;
  double* cost;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    if (columns[e] >= 0)
      cost[e] = static_cast<double>(h[columns[e]]) + shift[e / k] -
                eps * std::log(static_cast<double>(weights[e]));
  }
};

/// rest from the softmin over all pairs and that over the support, out of which it is taken; the
/// share that is kept counts as 1 - 4 u at most. `outside`: weight of the other side outside; 0:
/// nothing is. With `weights`, no pair outside carries more than the last of a list: what rounding
/// of the scores leaves of an exact 0 is then no remainder.
template <class T>
struct RestArgs {
  const double *all, *kept, *outside;
  const T *weights, *shift;  // of the lists, [n, k] and [n]; null: not asked
  std::int64_t k, others;
  double eps;
  double* rest;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    constexpr double kMost = 1 - 4 * std::numeric_limits<double>::epsilon() / 2;
    constexpr double kNone = std::numeric_limits<double>::infinity();
    const double share = std::fmin(std::exp((all[i] - kept[i]) / eps), kMost);
    double left = 1 - share;
    if (weights)
      left = std::fmin(left, static_cast<double>(others - k) *
                                 static_cast<double>(weights[i * k + k - 1]) *
                                 std::exp((all[i] - static_cast<double>(shift[i])) / eps));
    rest[i] =
        outside[i] > 0 && !std::isinf(all[i]) && left > 0 ? all[i] - eps * std::log(left) : kNone;
  }
};

/// The rest at another epsilon, by W(eps) = B (W / B)^(from / eps), B the weight outside: a lower
/// bound.
struct RestAtArgs {
  const double *rest, *outside;
  double from, eps;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = std::isinf(rest[i]) ? rest[i] : rest[i] + (from - eps) * std::log(outside[i]);
  }
};

/// What the k best entries of every row carry, about: a row whose squared shares sum to S has some
/// 1 / S partners. `squares`: the softmin at half of eps. Sums also the weight.
template <class T>
struct BestShareArgs {
  using Result = Sums<2>;
  VectorView<const T> weight;
  const double *softmin, *squares;
  double eps, k;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i];
    if (!(a > 0) || std::isinf(softmin[i])) return {};
    return {{a * std::fmin(1.0, k * std::exp(2 * (softmin[i] - squares[i]) / eps)), a}};
  }
};

/// outside = mass - inside, kept away from what rounding leaves of an exact 0.
struct OutsideArgs {
  double mass;
  double* weight;  // inside, in place

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double left = mass - weight[i];
    weight[i] = left > 1e-14 * mass ? left : 0;
  }
};

/// The rows of a restricted problem at s = softmin: f = prox(s), its bias, and what products with
/// P need. Sums a conjugate(f) and the mass a exp((f - rest) / eps) outside.
struct RestrictedRowsArgs {
  using Result = Sums<2>;
  const double *weight, *log_weight, *softmin, *rest;
  Penalty penalty;
  double eps;
  double* h;        // f + eps log a
  double* factor;   // p / D1: 1, of kl 1 / (1 + eps / rho), where a bound holds f 0
  double* inverse;  // factor / p
  Result* sums;

  MONGE_HOST_DEVICE void finish(const Result& all) const { *sums = all; }
  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i], s = softmin[i], f = penalty.prox(s, eps);
    h[i] = -std::numeric_limits<double>::infinity();
    factor[i] = inverse[i] = 0;
    if (!(a > 0)) return {};
    const double dual = a * penalty.conjugate(f);
    if (std::isinf(s)) return {{dual, 0}};
    h[i] = f + eps * log_weight[i];
    const bool kl = penalty.kind == Penalty::Kind::kl;
    factor[i] = kl ? 1 / (1 + eps / penalty.strength) : f == s ? 1 : 0;
    inverse[i] = factor[i] * std::exp((s - f) / eps) / a;
    return {{dual, a * std::exp((f - rest[i]) / eps)}};
  }
};

/// Its columns: q = b exp((g - softmin) / eps). Sums the mass b exp((g - rest) / eps) outside, and
/// q.
struct RestrictedColumnsArgs {
  using Result = Sums<2>;
  const double *weight, *g, *softmin, *rest;
  double eps;
  double *q, *copy;
  Result* sums;

  MONGE_HOST_DEVICE void finish(const Result& all) const { *sums = all; }
  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const bool some = weight[j] > 0 && !std::isinf(softmin[j]);
    q[j] = copy[j] = some ? weight[j] * std::exp((g[j] - softmin[j]) / eps) : 0;
    return {{some ? weight[j] * std::exp((g[j] - rest[j]) / eps) : 0, q[j]}};
  }
};
}  // namespace monge::kernels

#define MONGE_SUPPORT_EACH_BODIES(X) \
  X(ListedCostArgs<float>)           \
  X(ListedCostArgs<double>) X(RestArgs<float>) X(RestArgs<double>) X(RestAtArgs) X(OutsideArgs)
#define MONGE_SUPPORT_SUM_BODIES(X) X(BestShareArgs<float>) X(BestShareArgs<double>)
#define MONGE_SUPPORT_SETTLE_BODIES(X) X(RestrictedRowsArgs) X(RestrictedColumnsArgs)

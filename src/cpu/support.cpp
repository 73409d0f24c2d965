// The verbs on a support: rows are short and lie in L1, so a softmin goes over its entries twice,
// with the maximum known the second time.
#include "kernels/support.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/support.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/exp-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
// v[columns[e]] for a vector of entries.
template <class D>
HWY_INLINE hn::Vec<D> gather(D d, const double* v, const std::int32_t* columns) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<std::int32_t, D> narrow;
  return hn::GatherIndex(d, v, hn::PromoteTo(di, hn::LoadU(narrow, columns)));
}

// scores[e] = h_j - c, returning their maximum (start is another).
double scores_of(const double* HWY_RESTRICT h, const std::int32_t* HWY_RESTRICT columns,
                 const double* HWY_RESTRICT costs, std::int64_t count, double start,
                 double* HWY_RESTRICT scores) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto top = hn::Set(d, start);
  std::int64_t e = 0;
  for (; e + lanes <= count; e += lanes) {
    const auto score = hn::Sub(gather(d, h, columns + e), hn::LoadU(d, costs + e));
    hn::StoreU(score, d, scores + e);
    top = hn::Max(top, score);
  }
  double most = hn::GetLane(hn::MaxOfLanes(d, top));
  for (; e < count; ++e) {
    scores[e] = h[columns[e]] - costs[e];
    if (scores[e] > most) most = scores[e];
  }
  return most;
}

// scores = exp((scores + shift) / eps) in place; returns their sum.
double weights_of(std::int64_t count, double shift, double eps, double* HWY_RESTRICT scores) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto k = hn::Set(d, 1.4426950408889634074 / eps), by = hn::Set(d, shift);
  auto sum = hn::Zero(d);
  std::int64_t e = 0;
  for (; e + lanes <= count; e += lanes) {
    const auto w = exp2_scaled(d, hn::Add(hn::LoadU(d, scores + e), by), k);
    hn::StoreU(w, d, scores + e);
    sum = hn::Add(sum, w);
  }
  if (e < count) {
    HWY_ALIGN double tail[hn::MaxLanes(d)];
    for (std::int64_t t = 0; t < lanes; ++t)
      tail[t] = e + t < count ? scores[e + t] : -std::numeric_limits<double>::infinity();
    const auto w = exp2_scaled(d, hn::Add(hn::Load(d, tail), by), k);
    hn::Store(w, d, tail);
    for (std::int64_t t = 0; e + t < count; ++t) scores[e + t] = tail[t];
    sum = hn::Add(sum, w);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// values *= factor
void multiply_by(std::int64_t count, double factor, double* HWY_RESTRICT values) {
  for (std::int64_t e = 0; e < count; ++e) values[e] *= factor;
}

// sum (scale share)^power v_j; shares null: ones.
double product(const double* HWY_RESTRICT v, const std::int32_t* HWY_RESTRICT columns,
               const double* HWY_RESTRICT shares, std::int64_t count, double scale, int power) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, scale);
  auto sum = hn::Zero(d);
  std::int64_t e = 0;
  for (; e + lanes <= count; e += lanes) {
    auto w = shares ? hn::Mul(factor, hn::LoadU(d, shares + e)) : factor;
    if (power == 2) w = hn::Mul(w, w);
    sum = hn::MulAdd(w, gather(d, v, columns + e), sum);
  }
  double out = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; e < count; ++e) {
    double w = shares ? scale * shares[e] : scale;
    if (power == 2) w *= w;
    out += w * v[columns[e]];
  }
  return out;
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/parallel.hpp"

namespace monge::cpu {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kRows = 256;  // of one piece of work

/// body(i, first entry, number of entries) for every row.
template <class Body>
void for_each_row(const kernels::Sparse& pairs, double steps, Exec& exec, const Body& body) {
  parallel_for((pairs.rows + kRows - 1) / kRows, exec,
               [&](std::int64_t block, int) {
                 const std::int64_t last = std::min(pairs.rows, (block + 1) * kRows);
                 for (std::int64_t i = block * kRows; i < last; ++i)
                   body(i, pairs.offsets[i], pairs.offsets[i + 1] - pairs.offsets[i]);
               },
               steps * static_cast<double>(pairs.entries));
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

void sparse_softmin(const SparseSoftminArgs& a, Exec& exec) {
  const auto scores = MONGE_PICK(scores_of);
  const auto weights = MONGE_PICK(weights_of);
  const auto multiply = MONGE_PICK(multiply_by);
  for_each_row(a.pairs, 16, exec, [&](std::int64_t i, std::int64_t first, std::int64_t count) {
    const double rest = a.rest ? -a.rest[i] : -kInfinity;
    double* const shares = a.shares + first;
    const double top =
        scores(a.h, a.pairs.columns + first, a.pairs.costs + first, count, rest, shares);
    if (std::isinf(top)) {
      std::fill_n(shares, count, 0.0);
      a.out[i] = kInfinity;
      return;
    }
    const double sum = weights(count, -top, a.eps, shares) + std::exp((rest - top) / a.eps);
    multiply(count, 1 / sum, shares);
    a.out[i] = -top - a.eps * std::log(sum);
  });
}

void sparse_apply(const SparseApplyArgs& a, Exec& exec) {
  const auto multiply = MONGE_PICK(product);
  for_each_row(a.pairs, 4, exec, [&](std::int64_t i, std::int64_t first, std::int64_t count) {
    a.out[i] = multiply(a.v, a.pairs.columns + first, a.shares ? a.shares + first : nullptr, count,
                        a.scale ? a.scale[i] : 1, a.power);
  });
}
}  // namespace monge::kernels::cpu
#endif

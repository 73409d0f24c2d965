#include "ot/derivatives/held.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "kernels/math.hpp"
#include "ot/arrays.hpp"
#include "ot/bounds.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
template <class T>
HeldEntries<T>::HeldEntries(const Plan<T>& plan, Exec& exec) {
  const Problem<T>& problem = plan.problem();
  const auto a = on_host(problem.a(), exec), b = on_host(problem.b(), exec);
  const auto f = on_host(plan.exact(Side::source), exec),
             g = on_host(plan.exact(Side::target), exec);
  for (const BoundEntry& e : problem.bounds()->by_row) {
    const double log_free = e.log_free(f[e.i], g[e.j], plan.epsilon());
    const double off = plan.epsilon() * std::abs(log_free - std::log(e.bound));
    if (off < margin_) margin_ = off, nearest_ = e.i;
    if (log_free < std::log(e.bound))
      entries_.push_back({{e.i, e.j}, e.cost, {a[e.i], b[e.j]}, std::exp(log_free), e.bound, {}});
  }
  for (const Entry& e : entries_)
    for (const int side : {0, 1}) reach_[side] = std::max(reach_[side], e.at[side] + 1);
  const auto* const cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (!cloud) return;
  form_ = cost_form(cloud->cost);
  dim_ = cloud->x.cols;
  const auto x = on_host(cloud->x, exec), y = on_host(cloud->y, exec);
  points_.resize(2 * entries_.size() * dim_);
  double* to = points_.data();
  for (Entry& e : entries_)
    for (const int side : {0, 1}) {
      const T* const from = (side == 0 ? x : y).data() + e.at[side] * dim_;
      double square = 0;
      for (std::int64_t k = 0; k < dim_; ++k) square += static_cast<double>(from[k]) * from[k];
      const double by = form_.unit_length ? 1 / std::sqrt(square) : 1;
      for (std::int64_t k = 0; k < dim_; ++k) to[k] = by * from[k];
      e.point[side] = to;
      to += dim_;
    }
}

template <class T>
double HeldEntries<T>::diff(const Entry& e, int own, std::int64_t k) const {
  const double other = e.point[1 - own][k];
  return form_.form == kernels::Form::dot ? other : e.point[own][k] - other;
}

template <class T>
typename HeldEntries<T>::Slope HeldEntries<T>::slope(const Entry& e) const {
  using kernels::Form;
  if (form_.form == Form::dot) return {-form_.scale, 0};
  double square = 0;
  for (std::int64_t k = 0; k < dim_; ++k) square += diff(e, 0, k) * diff(e, 0, k);
  const double factor = kernels::slope_of_squared(form_.form, form_.scale, form_.power, square),
               power = form_.form == Form::squared    ? 2
                       : form_.form == Form::distance ? 1
                                                      : form_.power;
  return {factor, square > 0 ? factor * (power - 2) / square : 0};
}

template <class T>
void HeldEntries<T>::apply(Side rows, kernels::Weighting weighting, bool whole, const T* v,
                           std::int64_t k, T* out, Exec& exec) const {
  const int own = rows == Side::source ? 0 : 1;
  if (entries_.empty()) return;
  const std::int64_t n = reach_[own], m = reach_[1 - own];
  const auto values = on_host(VectorView<const T>(v, m * k, 1, exec.device), exec);
  edit_on_host(
      out, n * k,
      [&](T* sums) {
        for (const Entry& e : entries_) {
          const double w = e.free / e.weight[own];
          const double by = weighting == kernels::Weighting::squared ? -w * w
                            : whole ? (e.bound - e.free) / e.weight[own]
                                    : -w;
          for (std::int64_t c = 0; c < k; ++c)
            sums[e.at[own] * k + c] += static_cast<T>(by * values[e.at[1 - own] * k + c]);
        }
      },
      exec);
}

template <class T>
void HeldEntries<T>::tangent(Side rows, const kernels::TangentArgs<T>& args, Exec& exec) const {
  if (entries_.empty()) return;
  const int own = rows == Side::source ? 0 : 1;
  const std::int64_t count = args.count, width = args.width;
  const std::int64_t n = reach_[own], m = reach_[1 - own];
  const auto here = [&](const T* from, std::int64_t size) {
    return from ? on_host(VectorView<const T>(from, size, 1, exec.device), exec) : Buffer<T>();
  };
  const auto row = here(args.row, n * count), col = here(args.col, m * count),
             of_cost = here(args.cost, count), a = here(args.a, n * count * dim_),
             b = here(args.b, m * count * dim_), center = here(args.center, n * dim_),
             p = here(args.p, n * (args.p_each ? count : 1) * width),
             q = here(args.q, m * (args.q_each ? count : 1) * width);
  const auto at = [](const Buffer<T>& values, std::int64_t k) -> double {
    return values.size() > 0 ? values[k] : T(0);
  };
  const auto for_terms = [&](const auto& body) {  // body(entry, ir, jr, w t, along, slope)
    for (const Entry& e : entries_) {
      const std::int64_t i = e.at[own], j = e.at[1 - own];
      const Slope s = dim_ > 0 ? slope(e) : Slope{};
      for (std::int64_t r = 0; r < count; ++r) {
        const std::int64_t ir = i * count + r, jr = j * count + r;
        double along = 0;  // of |diff|^2 / 2, or of the product
        for (std::int64_t k = 0; k < dim_; ++k)
          along +=
              diff(e, own, k) * at(a, ir * dim_ + k) + diff(e, 1 - own, k) * at(b, jr * dim_ + k);
        double t =
            at(row, ir) + at(col, jr) + at(of_cost, r) * e.cost - args.slope * s.factor * along;
        for (std::int64_t k = 0; args.p && k < width; ++k)
          t +=
              at(p, (args.p_each ? ir : i) * width + k) * at(q, (args.q_each ? jr : j) * width + k);
        body(e, ir, jr, e.free / e.weight[own] * t, along, s);
      }
    }
  };
  const auto edit = [&](T* out, std::int64_t size, const auto& body) {
    if (out)
      edit_on_host(
          out, n * count * size,
          [&](T* values) {
            for_terms([&](const Entry& e, std::int64_t ir, std::int64_t jr, double wt, double along,
                          const Slope& s) {
              for (std::int64_t k = 0; k < size; ++k)
                values[ir * size + k] += static_cast<T>(body(e, ir, jr, k, wt, along, s));
            });
          },
          exec);
  };
  edit(args.sum, 1,
       [](const Entry&, std::int64_t, std::int64_t, std::int64_t, double wt, double, const Slope&) {
         return -wt;
       });
  edit(args.costs, 1,
       [](const Entry& e, std::int64_t, std::int64_t, std::int64_t, double wt, double,
          const Slope&) { return -wt * e.cost; });
  edit(args.mean, width,
       [&](const Entry& e, std::int64_t, std::int64_t jr, std::int64_t k, double wt, double,
           const Slope&) { return -wt * at(q, (args.q_each ? jr : e.at[1 - own]) * width + k); });
  edit(args.gradient, dim_,
       [&](const Entry& e, std::int64_t ir, std::int64_t jr, std::int64_t k, double wt,
           double along, const Slope& s) {
         double value = -wt * (s.factor * diff(e, own, k) - at(center, e.at[own] * dim_ + k));
         if (args.curved) {
           const bool dot = form_.form == kernels::Form::dot;
           const double moved =
               at(b, jr * dim_ + k) * (dot ? 1 : -1) + (dot ? 0 : at(a, ir * dim_ + k));
           value += (e.bound - e.free) / e.weight[own] *
                    (s.factor * moved + s.bend * along * diff(e, own, k));
         }
         return value;
       });
}

template <class T>
std::vector<double> HeldEntries<T>::shares(Side rows, std::int64_t n) const {
  const int own = rows == Side::source ? 0 : 1;
  std::vector<double> out(n, 0.0);
  for (const Entry& e : entries_) out[e.at[own]] += e.bound / e.weight[own];
  return out;
}

template <class T>
std::vector<double> HeldEntries<T>::slopes(Side rows, std::int64_t n) const {
  const int own = rows == Side::source ? 0 : 1;
  std::vector<double> out(n * dim_, 0.0);
  for (const Entry& e : entries_) {
    const Slope s = dim_ > 0 ? slope(e) : Slope{};
    for (std::int64_t k = 0; k < dim_; ++k)
      out[e.at[own] * dim_ + k] += e.bound / e.weight[own] * s.factor * diff(e, own, k);
  }
  return out;
}

template <class T>
std::vector<std::pair<std::int64_t, std::int64_t>> HeldEntries<T>::pairs() const {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const Entry& e : entries_) out.emplace_back(e.at[0], e.at[1]);
  return out;
}

template class HeldEntries<float>;
template class HeldEntries<double>;
}  // namespace monge

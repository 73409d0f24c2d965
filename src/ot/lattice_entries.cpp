// Entries of a lattice's plan one by one: O(N^(1 + 1/d)) work but for what is listed, and of the
// order of the lists in memory.
#include <algorithm>
#include <utility>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/lattice.hpp"

namespace monge {
namespace {
/// Of an array whose axes before k are columns and those behind it rows.
template <class T>
std::pair<std::int64_t, std::int64_t> around(const kernels::AxisCosts<T> (&axes)[3], int k) {
  std::int64_t before = 1, after = 1;
  for (int l = 0; l < k; ++l) before *= axes[l].m;
  for (int l = k + 1; l < 3; ++l) after *= axes[l].n;
  return {before, after};
}
}  // namespace

template <class T>
kernels::AxisCosts<T> LatticeSweep<T>::costs(int k, int to) const {
  if (k >= static_cast<int>(axes_.size())) return {};
  const Axis& axis = axes_[k];
  return {form_.form,      axis.scale,         form_.power,
          axis.period,     axis.at[to].data(), axis.at[1 - to].data(),
          axis.length[to], axis.length[1 - to]};
}

template <class T>
typename LatticeSweep<T>::Best LatticeSweep<T>::best(int to, const T* h, int k, Exec& exec) const {
  const kernels::AxisCosts<T> axes[3] = {costs(0, to), costs(1, to), costs(2, to)};
  Best out{in_double(h, grids_[1 - to].size(), exec), {}};
  int length = 1;
  for (int axis = static_cast<int>(axes_.size()) - 1; axis >= 0; --axis) {
    const auto [before, after] = around(axes, axis);
    const std::int64_t rows = before * axes[axis].n * after;
    const int next = static_cast<int>(std::min<std::int64_t>(k, length * axes[axis].m));
    Best lists{Buffer<double>(next * rows, exec.device),
               Buffer<std::int64_t>(next * rows, exec.device)};
    kernels::each(
        kernels::AxisTopArgs<T>{axes[axis], before, after, length, next, out.scores.data(),
                                out.columns.data(), lists.scores.data(), lists.columns.data()},
        rows, exec);
    out = std::move(lists);
    length = next;
  }
  return out;
}

template <class T>
void LatticeSweep<T>::top_k(Side rows, const T* h, const T* shift, int k, std::int64_t* columns,
                            T* weights, double* softmin, double eps, Exec& exec) const {
  const int to = rows == Side::source ? 0 : 1;
  const std::int64_t n = grids_[to].size();
  const Best found = best(to, h, k, exec);
  kernels::each(
      kernels::ScoreListArgs<T>{
          found.scores.data(), found.columns.data(), {shift, eps}, n, k, columns, weights},
      n * k, exec);
  if (!softmin) return;
  const auto wide = in_double(h, grids_[1 - to].size(), exec);
  this->softmin(rows, wide.data(), softmin, eps, kernels::Precision::accurate, exec);
}

template <class T>
void LatticeSweep<T>::hard(Side rows, const T* h, T* out, std::int64_t* columns, Exec& exec) const {
  const int to = rows == Side::source ? 0 : 1;
  const Best found = best(to, h, 1, exec);
  kernels::each(kernels::LeastCostArgs<T>{found.scores.data(), found.columns.data(), out, columns},
                grids_[to].size(), exec);
}

// next(axis, before, after, level): the level before that of the axis, from the last to the first.
template <class T>
template <class Next>
typename LatticeSweep<T>::Levels LatticeSweep<T>::levels(int to, const T* h, const Next& next,
                                                         Exec& exec) const {
  Levels out;
  out.held.push_back(in_double(h, grids_[1 - to].size(), exec));
  for (int k = 2; k >= 0; --k) out.of.axis[k] = costs(k, to);
  for (int k = 2; k >= 0; --k) {
    out.of.level[k] = out.held.back().data();
    if (k == 0 || k >= static_cast<int>(axes_.size())) continue;
    const auto [before, after] = around(out.of.axis, k);
    out.held.push_back(next(k, before, after, out.of.level[k]));
  }
  return out;
}

template <class T>
typename LatticeSweep<T>::Levels LatticeSweep<T>::maxima(int to, const T* h, Exec& exec) const {
  return levels(
      to, h,
      [&](int k, std::int64_t before, std::int64_t after, const double* level) {
        const auto axis = costs(k, to);
        Buffer<double> out(before * axis.n * after, exec.device);
        kernels::each(
            kernels::AxisTopArgs<T>{axis, before, after, 1, 1, level, nullptr, out.data(), nullptr},
            out.size(), exec);
        return out;
      },
      exec);
}

template <class T>
typename LatticeSweep<T>::Levels LatticeSweep<T>::log_sums(int to, const T* h, double eps,
                                                           Exec& exec) const {
  Buffer<T> last;
  return levels(
      to, h,
      [&](int k, std::int64_t before, std::int64_t after, const double*) {
        Buffer<T> out(before * axes_[k].length[to] * after, exec.device);
        auto args = along(k, to, before, after, last.size() ? last.data() : h, eps);
        args.log_sum = out.data();
        kernels::axis<T>(args, exec);
        last = std::move(out);
        return in_double(last.data(), last.size(), exec);
      },
      exec);
}

template <class T>
void LatticeSweep<T>::select(Side rows, const T* h, const T* shift, const T* threshold,
                             std::int64_t* counts, const std::int64_t* offsets,
                             std::int64_t* columns, T* weights, double eps, Exec& exec) const {
  const int to = rows == Side::source ? 0 : 1;
  const Levels by = maxima(to, h, exec);
  kernels::each(
      kernels::LatticeSelectArgs<T>{
          by.of, {shift, eps}, threshold, counts, offsets, columns, weights},
      grids_[to].size(), exec);
}

template <class T>
void LatticeSweep<T>::draw(Side rows, const T* h, const T* shift,
                           const std::vector<std::int64_t>& requested_rows,
                           const std::vector<std::int64_t>& counts, std::uint64_t seed,
                           std::int64_t* out, double eps, Exec& exec) const {
  std::vector<std::int64_t> of_row, number;
  for (std::size_t r = 0; r < counts.size(); ++r)
    for (std::int64_t t = 0; t < counts[r]; ++t) {
      of_row.push_back(requested_rows[r]);
      number.push_back(t);
    }
  const Levels by = log_sums(rows == Side::source ? 0 : 1, h, eps, exec);
  const auto at_rows = placed(of_row, exec), numbers = placed(number, exec);
  kernels::each(
      kernels::LatticeDrawArgs<T>{by.of, shift, at_rows.data(), numbers.data(), seed, eps, out},
      static_cast<std::int64_t>(number.size()), exec);
}

template <class T>
void LatticeSweep<T>::dense(const T* h, const T* shift, VectorView<const T> weight, T* out,
                            double eps, Exec& exec) const {
  const std::int64_t m = grids_[1].size();
  const auto wide = in_double(h, m, exec);
  kernels::each(kernels::LatticeDenseArgs<T>{{{costs(0, 0), costs(1, 0), costs(2, 0)},
                                              {nullptr, nullptr, wide.data()}},
                                             {shift, eps},
                                             weight,
                                             m,
                                             out},
                grids_[0].size() * m, exec);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T* is a type
#define MONGE_INSTANTIATE(T)                                                                       \
  template kernels::AxisCosts<T> LatticeSweep<T>::costs(int, int) const;                           \
  template void LatticeSweep<T>::top_k(Side, const T*, const T*, int, std::int64_t*, T*, double*,  \
                                       double, Exec&) const;                                       \
  template void LatticeSweep<T>::select(Side, const T*, const T*, const T*, std::int64_t*,         \
                                        const std::int64_t*, std::int64_t*, T*, double, Exec&)     \
      const;                                                                                       \
  template void LatticeSweep<T>::hard(Side, const T*, T*, std::int64_t*, Exec&) const;             \
  template void LatticeSweep<T>::draw(Side, const T*, const T*, const std::vector<std::int64_t>&,  \
                                      const std::vector<std::int64_t>&, std::uint64_t,             \
                                      std::int64_t*, double, Exec&) const;                         \
  template void LatticeSweep<T>::dense(const T*, const T*, VectorView<const T>, T*, double, Exec&) \
      const;
// NOLINTEND(bugprone-macro-parentheses)
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge

#include "ot/lattice.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "kernels/entries.hpp"
#include "monge/core/error.hpp"
#include "ot/arrays.hpp"

namespace monge {
using kernels::Factor;
using kernels::Form;

namespace {
constexpr double kPeriodTolerance = 1e-9;  // of the ways round: what spacings are rounded by
constexpr std::int64_t kBatch = 8;         // columns of values that share a sweep

[[noreturn]] void refuse(const std::string& what, const char* argument) {
  throw InvalidArgument("[problem] " + what, argument);
}

void check_grid(const Grid& grid, const char* name, const char* spacing, const char* origin) {
  if (grid.dim < 1 || grid.dim > 3)
    refuse(fmt::format("the {} grid has {} axes, wanted 1 to 3: of more dimensions use the points "
                       "and PointCloud",
                       name, grid.dim),
           name);
  for (int k = 0; k < grid.dim; ++k) {
    if (grid.shape[k] < 1)
      refuse(fmt::format("axis {} of the {} grid has length {}, wanted at least 1", k, name,
                         grid.shape[k]),
             name);
    if (!(grid.spacing[k] > 0 && std::isfinite(grid.spacing[k])))
      refuse(fmt::format("{}[{}] is {}, wanted a finite length > 0", spacing, k, grid.spacing[k]),
             spacing);
    if (!std::isfinite(grid.origin[k]))
      refuse(fmt::format("{}[{}] is {}, wanted a finite coordinate", origin, k, grid.origin[k]),
             origin);
  }
}
}  // namespace

template <class T>
void check_lattice(const Lattice<T>& lattice) {
  const auto& [source, target, cost, periodic, device] = lattice;
  check_grid(source, "source", "spacing", "origin");
  check_grid(target, "target", "target_spacing", "target_origin");
  if (source.dim != target.dim)
    refuse(
        fmt::format("the source grid has {} axes and the target grid {}", source.dim, target.dim),
        "target");
  if (source.dim > 1 && cost_form(cost).form != Form::squared)
    refuse(fmt::format("the cost {} is no sum over the {} axes of a lattice: use sqeuclidean or "
                       "half_sqeuclidean, or the points and PointCloud",
                       cost_name(cost), source.dim),
           "cost");
  for (int k = 0; k < source.dim; ++k) {
    if (!periodic[k]) continue;
    if (!is_separable(lattice))
      refuse(
          fmt::format("the cost {} is no distance, which a periodic axis needs", cost_name(cost)),
          "cost");
    const double way = static_cast<double>(source.shape[k]) * source.spacing[k],
                 other = static_cast<double>(target.shape[k]) * target.spacing[k];
    if (std::abs(way - other) > kPeriodTolerance * way)
      refuse(fmt::format("the way round the periodic axis {} is {} x {} = {} on the source grid "
                         "and {} x {} = {} on the target's: they must agree",
                         k, source.shape[k], source.spacing[k], way, target.shape[k],
                         target.spacing[k], other),
             "periodic");
  }
}

template <class T>
bool is_separable(const Lattice<T>& lattice) {
  const CostForm form = cost_form(lattice.cost);
  return form.form != Form::dot && !form.unit_length;
}

template <class T>
Buffer<T> grid_points(const Grid& grid, Exec& exec) {
  Buffer<T> out(grid.size() * grid.dim, exec.device);
  kernels::GridPointsArgs<T> args{grid.dim, {}, {}, {}, out.data()};
  std::copy_n(grid.shape.begin(), 3, args.shape);
  std::copy_n(grid.origin.begin(), 3, args.origin);
  std::copy_n(grid.spacing.begin(), 3, args.spacing);
  kernels::each(args, out.size(), exec);
  return out;
}

template <class T>
LatticePoints<T>::LatticePoints(const Lattice<T>& lattice, Exec& exec)
    : x(grid_points<T>(lattice.source, exec)), y(grid_points<T>(lattice.target, exec)) {
  const std::int64_t d = lattice.source.dim;
  cloud = {{x.data(), lattice.source.size(), d, d, 1, exec.device},
           {y.data(), lattice.target.size(), d, d, 1, exec.device},
           lattice.cost};
}

template <class T>
double sweep_terms(const Lattice<T>& lattice) {
  double terms = 0;
  for (const auto& [from, to] :
       {std::pair(&lattice.source, &lattice.target), std::pair(&lattice.target, &lattice.source)}) {
    auto size = static_cast<double>(from->size());
    for (int k = 0; k < from->dim; ++k) {
      terms += size * static_cast<double>(to->shape[k]);
      size *= static_cast<double>(to->shape[k]) / static_cast<double>(from->shape[k]);
    }
  }
  return terms;
}

template <class T>
std::vector<double> periods(const Lattice<T>& lattice) {
  std::vector<double> out;
  out.reserve(lattice.source.dim);
  for (int k = 0; k < lattice.source.dim; ++k)
    out.push_back(lattice.periodic[k]
                      ? static_cast<double>(lattice.target.shape[k]) * lattice.target.spacing[k]
                      : 0);
  return out;
}

// Coordinates count the target's spacing from its origin: small integers, wherever the grids have
// one spacing, so that their differences are exact in float too.
template <class T>
LatticeSweep<T>::LatticeSweep(const Lattice<T>& lattice, Exec& exec)
    : grids_{lattice.source, lattice.target}, form_(cost_form(lattice.cost)) {
  const auto period = periods(lattice);
  for (int k = 0; k < lattice.source.dim; ++k) {
    Axis axis;
    axis.unit = lattice.target.spacing[k];
    axis.scale = form_.at_distance(axis.unit);
    axis.period = period[k] / axis.unit;
    for (const int side : {0, 1}) {
      const Grid& grid = grids_[side];
      axis.length[side] = grid.shape[k];
      const double from = (grid.origin[k] - lattice.target.origin[k]) / axis.unit,
                   step = grid.spacing[k] / axis.unit;
      std::vector<T> at(kernels::padded_axis(grid.shape[k]));
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(at.size()); ++i)
        at[i] = static_cast<T>(from + step * static_cast<double>(std::min(i, grid.shape[k] - 1)));
      axis.at[side] = placed(at, exec);
    }
    axes_.push_back(std::move(axis));
  }
}

template <class T>
const T* LatticeSweep<T>::Averages::of(const Column& column) const {
  const auto at = std::find(columns.begin(), columns.end(), column);
  return data.data() + (at - columns.begin()) * n;
}

// The cheapest: an axis costs what the axes before it have become and those behind it still are.
template <class T>
std::vector<int> LatticeSweep<T>::order(Side rows) const {
  const int to = rows == Side::source ? 0 : 1, from = 1 - to;
  std::vector<int> axes(axes_.size()), best;
  std::iota(axes.begin(), axes.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    double cost = 0, size = static_cast<double>(grids_[from].size());
    for (const int k : axes) {
      const auto n = static_cast<double>(axes_[k].length[to]);
      cost += size * n;
      size *= n / static_cast<double>(axes_[k].length[from]);
    }
    if (cost < least) least = cost, best = axes;
  } while (std::next_permutation(axes.begin(), axes.end()));
  return best;
}

template <class T>
kernels::AxisArgs<T> LatticeSweep<T>::along(int k, int to, std::int64_t before, std::int64_t after,
                                            const T* h, double eps) const {
  const Axis& axis = axes_[k];
  return {.form = form_.form,
          .scale = static_cast<T>(axis.scale),
          .power = static_cast<T>(form_.power),
          .period = static_cast<T>(axis.period),
          .x = axis.at[to].data(),
          .y = axis.at[1 - to].data(),
          .before = before,
          .n = axis.length[to],
          .m = axis.length[1 - to],
          .after = after,
          .h = h,
          .terms = {},
          .eps = eps};
}

// The columns behind the pass over `axis`, and how they come of those before it.
template <class T>
std::vector<kernels::AxisTerm> LatticeSweep<T>::advance(std::vector<Column>& columns, int axis,
                                                        bool first, const Wanted& wanted) {
  std::vector<Column> next = columns;
  std::vector<kernels::AxisTerm> terms;
  const auto count = static_cast<int>(columns.size());
  terms.reserve(count);
  for (int c = 0; c < count; ++c) terms.push_back({c, Factor::one, c});
  const auto made = [&](const Column& column, int from, Factor factor) {
    next.push_back(column);
    terms.push_back({from, factor, static_cast<int>(next.size()) - 1});
  };
  const auto at = [&](const Column& column) {  // -1: not there yet
    const auto found = std::find(columns.begin(), columns.end(), column);
    return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
  };
  const auto values = static_cast<int>(wanted.values.cols);
  for (int v = values ? 0 : -1; v < values; ++v) {
    const int cost = at({Kind::cost, v}), offset = at({Kind::offset_along, v});
    if (wanted.costs && first) made({Kind::cost, v}, v, Factor::cost);
    if (wanted.costs && !first) terms.push_back({v, Factor::cost, cost});
    if (axis == wanted.along) {
      made({Kind::offset_along, v}, v, Factor::offset);
      if (!wanted.costs) continue;
      made({Kind::cost_offset, v}, v, Factor::cost_offset);
      if (!first) terms.push_back({cost, Factor::offset, static_cast<int>(next.size()) - 1});
    } else if (wanted.costs && offset >= 0) {
      terms.push_back({offset, Factor::cost, at({Kind::cost_offset, v})});
    }
  }
  if (wanted.cost_squares) {  // (c + c_k)^2, with the cost itself in column 0
    const Column column{Kind::cost_square, -1};
    if (first) {
      made(column, -1, Factor::cost_square);
    } else {
      const int square = at(column);
      for (const auto& [from, factor] :
           {std::pair{0, Factor::cost}, {0, Factor::cost}, {-1, Factor::cost_square}})
        terms.push_back({from, factor, square});
    }
  }
  if (wanted.seconds) {
    made({Kind::second, axis, axis}, -1, Factor::square);
    for (int c = 0; c < count; ++c)
      if (columns[c].kind == Kind::offset)
        made({Kind::second, std::min(axis, columns[c].a), std::max(axis, columns[c].a)}, c,
             Factor::offset);
  }
  if (wanted.offsets) made({Kind::offset, axis}, -1, Factor::offset);
  if (wanted.slopes) made({Kind::slope, axis}, -1, Factor::slope);
  columns = std::move(next);
  return terms;
}

template <class T>
typename LatticeSweep<T>::Averages LatticeSweep<T>::sweep(Side rows, const T* h, double* softmin,
                                                          const Wanted& wanted, double eps,
                                                          kernels::Precision precision,
                                                          Exec& exec) const {
  const int to = rows == Side::source ? 0 : 1, from = 1 - to;
  const auto axes = order(rows);
  Averages out;
  out.n = grids_[to].size();
  for (int c = 0; c < wanted.values.cols; ++c) out.columns.push_back({Kind::value, c});

  // shape: of the array so far.
  std::vector<std::int64_t> shape;
  for (const Axis& axis : axes_) shape.push_back(axis.length[from]);
  const auto product = [&](int first, int last) {
    return std::accumulate(shape.begin() + first, shape.begin() + last, std::int64_t{1},
                           std::multiplies<>());
  };
  const auto d = static_cast<int>(shape.size());
  Buffer<T> log_sum, averages;
  const T* v = wanted.values.data;
  std::int64_t v_row = wanted.values.row_stride, v_col = wanted.values.col_stride;
  for (int pass = 0; pass < d; ++pass) {
    const int k = axes[pass];
    const Axis& axis = axes_[k];
    const auto columns = static_cast<int>(out.columns.size());
    const auto terms = advance(out.columns, k, pass == 0, wanted);
    const auto outputs = static_cast<int>(out.columns.size());
    const std::int64_t before = product(0, k), after = product(k + 1, d),
                       size = before * axis.length[to] * after;
    const bool last = pass == d - 1;
    Buffer<T> next(last ? 0 : size, exec.device), next_averages(outputs * size, exec.device);
    auto args = along(k, to, before, after, pass == 0 ? h : log_sum.data(), eps);
    args.softmin = last ? softmin : nullptr;
    args.log_sum = last ? nullptr : next.data();
    args.v = v;
    args.v_row = v_row;
    args.v_col = v_col;
    args.terms = terms;
    args.columns = columns;
    args.outputs = outputs;
    args.averages = next_averages.data();
    args.a_col = size;
    args.precision = precision;
    kernels::axis<T>(args, exec);
    log_sum = std::move(next);
    averages = std::move(next_averages);
    v = averages.data();
    v_row = 1;
    v_col = size;
    shape[k] = axis.length[to];
  }
  out.data = std::move(averages);
  return out;
}

template <class T>
void LatticeSweep<T>::softmin(Side rows, const double* h, double* out, double eps,
                              kernels::Precision precision, Exec& exec) const {
  if constexpr (std::is_same_v<T, double>) {
    sweep(rows, h, out, {}, eps, precision, exec);
  } else {
    Buffer<T> rounded(grids_[rows == Side::source ? 1 : 0].size(), exec.device);
    kernels::each(kernels::RoundArgs<T>{h, rounded.data()}, rounded.size(), exec);
    sweep(rows, rounded.data(), out, {}, eps, precision, exec);
  }
}

template <class T>
void LatticeSweep<T>::apply(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
                            MatrixView<const T> v, T* out, double eps, Exec& exec) const {
  products(rows, h, shift, weighting, -1, v, {out, v.data ? v.cols : 1, 1}, eps, exec);
}

template <class T>
void LatticeSweep<T>::products(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
                               int along, MatrixView<const T> v, const Into& out, double eps,
                               Exec& exec) const {
  const std::int64_t n = grids_[rows == Side::source ? 0 : 1].size(), k = v.data ? v.cols : 1;
  // w^2 is the weight of half the epsilon.
  const double at = weighting == kernels::Weighting::squared ? eps / 2 : eps;
  const bool costs = weighting == kernels::Weighting::cost;
  // Offsets are those of columns from rows.
  const double unit = along < 0 ? 1 : (rows == Side::source ? 1 : -1) * axes_[along].unit;
  const Kind kind = along < 0 ? (costs ? Kind::cost : Kind::value)
                              : (costs ? Kind::cost_offset : Kind::offset_along);
  Buffer<double> s(n, exec.device);
  const std::int64_t batch = costs ? kBatch / 2 : kBatch;
  for (std::int64_t first = 0; first < k; first += batch) {
    Wanted wanted;
    wanted.costs = costs;
    wanted.along = along;
    if (v.data) {
      wanted.values = v;
      wanted.values.data += first * v.col_stride;
      wanted.values.cols = std::min(batch, k - first);
    }
    const auto averages = sweep(rows, h, s.data(), wanted, at, kernels::Precision::accurate, exec);
    for (std::int64_t c = first; c < std::min(k, first + batch); ++c) {
      const int value = v.data ? static_cast<int>(c - first) : -1;
      const bool ones = !v.data && kind == Kind::value;
      kernels::each(kernels::RowSumsArgs<T>{.average = ones ? nullptr : averages.of({kind, value}),
                                            .shift = shift,
                                            .s = s.data(),
                                            .eps = at,
                                            .factor = unit,
                                            .adds = out.adds,
                                            .stride = out.row,
                                            .out = out.data + c * out.column},
                    n, exec);
    }
  }
}

template <class T>
void LatticeSweep<T>::pull(Side rows, const T* h, const T* shift, T* out, double eps, Exec& exec,
                           T* mass, T* cost) const {
  const std::int64_t n = grids_[rows == Side::source ? 0 : 1].size();
  const auto d = static_cast<int>(axes_.size());
  Buffer<double> s(n, exec.device);
  Wanted wanted;
  wanted.slopes = true;
  wanted.costs = cost != nullptr;
  const auto averages = sweep(rows, h, s.data(), wanted, eps, kernels::Precision::accurate, exec);
  const auto sums = [&](const T* average, double factor, std::int64_t stride, T* to) {
    kernels::each(kernels::RowSumsArgs<T>{.average = average,
                                          .shift = shift,
                                          .s = s.data(),
                                          .eps = eps,
                                          .factor = factor,
                                          .adds = false,
                                          .stride = stride,
                                          .out = to},
                  n, exec);
  };
  for (int k = 0; k < d; ++k) sums(averages.of({Kind::slope, k}), 1 / axes_[k].unit, d, out + k);
  if (mass) sums(nullptr, 1, 1, mass);
  if (cost) sums(averages.of({Kind::cost, -1}), 1, 1, cost);
}

template <class T>
void LatticeSweep<T>::images(Side rows, const T* h, T* mean, double* s, T* first, T* second,
                             double eps, Exec& exec) const {
  const Grid& grid = grids_[rows == Side::source ? 0 : 1];
  const std::int64_t n = grid.size();
  const auto d = static_cast<int>(axes_.size());
  Wanted wanted;
  wanted.offsets = true;
  wanted.seconds = second != nullptr;
  const auto averages = sweep(rows, h, s, wanted, eps, kernels::Precision::accurate, exec);
  const auto take = [&](const Column& column, double factor, std::int64_t stride, bool adds,
                        T* to) {
    kernels::each(kernels::RowSumsArgs<T>{.average = averages.of(column),
                                          .shift = nullptr,
                                          .s = nullptr,
                                          .eps = eps,
                                          .factor = factor,
                                          .adds = adds,
                                          .stride = stride,
                                          .out = to},
                  n, exec);
  };
  const auto own = grid_points<T>(grid, exec);
  copy(mean, exec.device, own.data(), exec.device, own.size() * std::int64_t{sizeof(T)},
       exec.stream);
  for (int k = 0; k < d; ++k) {
    const double unit = axes_[k].unit;
    take({Kind::offset, k}, unit, d, true, mean + k);
    if (first) take({Kind::offset, k}, unit, d, false, first + k);
    for (int l = 0; second && l < d; ++l)
      take({Kind::second, std::min(k, l), std::max(k, l)}, unit * axes_[l].unit,
           std::int64_t{d} * d, false, second + k * d + l);
  }
}

// A point is a grid of one, which is as far round as the others.
template <class T>
void lattice_images(const Lattice<T>& lattice, Side side, MatrixView<const T> z, const T* h,
                    T* mean, double* s, double eps, Exec& exec) {
  const auto at = on_host(z, exec);
  const auto way = periods(lattice);
  for (std::int64_t i = 0; i < z.rows; ++i) {
    Lattice<T> one = lattice;
    Grid& grid = side == Side::source ? one.source : one.target;
    for (int k = 0; k < grid.dim; ++k) {
      grid.shape[k] = 1;
      grid.origin[k] = at[i * z.cols + k];
      if (lattice.periodic[k]) grid.spacing[k] = way[k];
    }
    LatticeSweep<T>(one, exec).images(side, h, mean + i * z.cols, s + i, nullptr, nullptr, eps,
                                      exec);
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T* is a type
#define MONGE_INSTANTIATE(T)                                                               \
  template void check_lattice(const Lattice<T>&);                                          \
  template bool is_separable(const Lattice<T>&);                                           \
  template Buffer<T> grid_points(const Grid&, Exec&);                                      \
  template struct LatticePoints<T>;                                                        \
  template double sweep_terms(const Lattice<T>&);                                          \
  template std::vector<double> periods(const Lattice<T>&);                                 \
  template void lattice_images(const Lattice<T>&, Side, MatrixView<const T>, const T*, T*, \
                               double*, double, Exec&);                                    \
  template class LatticeSweep<T>;
// NOLINTEND(bugprone-macro-parentheses)
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge

#include "ot/coarse.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/entries.hpp"
#include "kernels/gram.hpp"
#include "kernels/initial.hpp"
#include "monge/core/random.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
using Cell = std::vector<std::int64_t>;

// Functions that are averaged, columns of the sample that all averages but the last are of, and
// turns to it and back before. By these clusters3d (n = 4096, 1e-3 of the largest cost) takes 46,
// 43, 45, 41, 49 and 42 passes of six seeds where cells alone take 60, 51, 55, 53, 63 and 56;
// without the turn 50, 43, 47, 47, 53 and 48.
constexpr int kAveraged = 32, kTurns = 1;
constexpr std::int64_t kShare = 8, kLeastAveraged = 1024;
// Share of the cells that stays: averages of what the plan is fast with are next to nothing, and
// depend on each other (0.01 of it took cube3d of 1 024 points at 1e-2 from 31 passes to 61).
constexpr double kCells = 0.1;
constexpr double kUnseen = 1e-9;  // of Ac, what is left of constants: far below kCells squared

std::int64_t passes_of_sweep(int columns) { return 1 + (columns + 31) / 32; }

/// Of those that have weight one in so many, wherever in the order they come.
template <class T>
std::vector<std::int64_t> sample(VectorView<const T> weights, Exec& exec) {
  const auto weight = on_host(weights, exec);
  std::vector<std::int64_t> all, out;
  for (std::int64_t j = 0; j < weight.size(); ++j)
    if (weight[j] > 0) all.push_back(j);
  const auto n = static_cast<std::int64_t>(all.size());
  const std::int64_t few = std::max<std::int64_t>(n / kShare, 1);
  for (std::int64_t r = 0; r < few; ++r) {
    const double place = static_cast<double>(r) + philox_uniform(0, 0, r);
    out.push_back(
        all[static_cast<std::int64_t>(place * static_cast<double>(n) / static_cast<double>(few))]);
  }
  return out;
}

/// Halves of a cell along its longest side.
template <class T>
void split(const Buffer<T>& points, std::int64_t dim, const Cell& cell, std::vector<Cell>& out) {
  std::int64_t axis = 0;
  T longest = -1;
  for (std::int64_t k = 0; k < dim; ++k) {
    const auto [low, high] = std::minmax_element(cell.begin(), cell.end(), [&](auto i, auto j) {
      return points[i * dim + k] < points[j * dim + k];
    });
    const T side = points[*high * dim + k] - points[*low * dim + k];
    if (side > longest) {
      longest = side;
      axis = k;
    }
  }
  Cell sorted = cell;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end(), [&](auto i, auto j) {
    const T u = points[i * dim + axis], v = points[j * dim + axis];
    return u < v || (u == v && i < j);
  });
  out.emplace_back(sorted.begin(), middle);
  out.emplace_back(middle, sorted.end());
}
}  // namespace

// On the host, once.
template <class T>
CellBasis<T> cell_basis(MatrixView<const T> points, VectorView<const T> weights, int most,
                        Exec& exec) {
  const std::int64_t dim = points.cols, size = points.rows;
  const auto at = on_host(points, exec), weight = on_host(weights, exec);
  std::vector<Cell> cells(1);
  for (std::int64_t j = 0; j < size; ++j)
    if (weight[j] > 0) cells[0].push_back(j);
  while (2 * static_cast<std::int64_t>(cells.size()) * (1 + dim) <= most && cells[0].size() > 16) {
    std::vector<Cell> halves;
    for (const Cell& cell : cells) split(at, dim, cell, halves);
    cells = std::move(halves);
  }
  const auto columns = static_cast<int>(static_cast<std::int64_t>(cells.size()) * (1 + dim));
  Buffer<T> basis(size * columns, T(0));
  for (std::size_t c = 0; c < cells.size(); ++c)
    for (std::int64_t k = -1; k < dim; ++k) {
      const std::int64_t column = static_cast<std::int64_t>(c) * (1 + dim) + 1 + k;
      double mean = 0, most = 0;
      for (const std::int64_t j : cells[c])
        mean += k < 0 ? 0 : at[j * dim + k] / static_cast<double>(cells[c].size());
      for (const std::int64_t j : cells[c])
        most = std::max(most, k < 0 ? 1 : std::abs(at[j * dim + k] - mean));
      for (const std::int64_t j : cells[c])
        basis[j * columns + column] = k < 0      ? T(1)
                                      : most > 0 ? static_cast<T>((at[j * dim + k] - mean) / most)
                                                 : T(0);
    }
  return {std::move(basis).to(exec.device, exec.stream), columns};
}
template CellBasis<float> cell_basis(MatrixView<const float>, VectorView<const float>, int, Exec&);
template CellBasis<double> cell_basis(MatrixView<const double>, VectorView<const double>, int,
                                      Exec&);

template <class T>
Coarse<T>::Coarse(MatrixView<const T> points, VectorView<const T> weights, Exec& exec)
    : points_(points),
      weights_(weights),
      size_(points.rows),
      residual_(size_, exec.device),
      curvature_(size_, exec.device) {}

template <class T>
void Coarse<T>::before(const Alternation<T>& alternation, Exec& exec) {
  const auto& side = alternation.following();
  kernels::each(
      kernels::StepResidualArgs<T>{side.weight, side.potential, side.softmin, side.penalty,
                                   alternation.epsilon(), residual_.data(), curvature_.data()},
      size_, exec);
}

// Of the functions on cells, from columns to rows and back: what the plan leaves of them is what it
// is slow with, wherever the borders of cells are. All but the last by a sample of the columns.
template <class T>
void Coarse<T>::average(Alternation<T>& alternation, Exec& exec) {
  const auto &rows = alternation.leading(), &columns = alternation.following();
  const double eps = alternation.epsilon();
  const std::int64_t n = rows.weight.size, k = columns_;
  const auto index = placed(sample(weights_, exec), exec);
  const std::int64_t few = index.size();
  const auto picked = [&]<class V>(MatrixView<const V> from) {
    Buffer<V> out(few * from.cols, exec.device);
    kernels::each(kernels::PickRowsArgs<V>{from, index.data(), out.data()}, out.size(), exec);
    return out;
  };
  const auto column = [&](const double* values) -> MatrixView<const double> {
    return {values, size_, 1, 1, 1, exec.device};
  };
  const auto functions = [&](const Buffer<T>& values) -> MatrixView<const T> {
    return {values.data(), values.size() / k, k, k, 1, exec.device};
  };
  const auto rounded = [&](const double* from, std::int64_t size) {
    Buffer<T> out(size, exec.device);
    kernels::each(kernels::RoundArgs<T>{from, out.data()}, size, exec);
    return out;
  };

  const auto points = picked(points_);
  const Operator<T> thin = alternation.op().with_points(
      columns.side, {points.data(), few, points_.cols, points_.cols, 1, exec.device}, exec);
  const auto potential = picked(column(columns.potential)),
             log_weight = picked(column(columns.log_weight)),
             softmin_of_few = picked(column(columns.softmin));
  auto h = padded_buffer<double>(few, exec);
  kernels::bias<double>({potential.data(), log_weight.data(), few, eps, h.data()}, exec);
  Buffer<double> softmin(n, exec.device);
  thin.softmin(rows.side, h.data(), nullptr, softmin.data(), eps, exec);

  // Relative to its softmin the weights of a row sum to 1.
  const auto h_of_few = rounded(h.data(), h.size()), of_rows = rounded(softmin.data(), n),
             of_few = rounded(softmin_of_few.data(), few),
             of_columns = rounded(columns.softmin, size_);
  const auto from_rows = alternation.in_type(rows, exec);
  const auto to_rows = [&](const Buffer<T>& values) {
    Buffer<T> out(n * k, exec.device);
    thin.apply(rows.side, h_of_few.data(), of_rows.data(), kernels::Weighting::plain,
               functions(values), out.data(), eps, exec);
    return out;
  };
  const auto to_columns = [&](const Operator<T>& op, const Buffer<T>& relative,
                              const Buffer<T>& values) {
    Buffer<T> out(relative.size() * k, exec.device);
    op.apply(columns.side, from_rows.h, relative.data(), kernels::Weighting::plain,
             functions(values), out.data(), eps, exec);
    return out;
  };
  auto on_rows = to_rows(picked(functions(cells_)));
  for (int turn = 0; turn < kTurns; ++turn) on_rows = to_rows(to_columns(thin, of_few, on_rows));
  averages_ = to_columns(alternation.op(), of_columns, on_rows);
  monge::add(averages_, static_cast<T>(kCells), cells_, exec);
  basis_ = averages_.data();

  const double share = static_cast<double>(few) / static_cast<double>(size_),
               sweep = static_cast<double>(passes_of_sweep(columns_));
  alternation.swept(
      exec, static_cast<std::int64_t>(std::ceil(sweep + share * (1 + (1 + 2 * kTurns) * sweep))));
}

// Coefficients of a constant function, of length 1; averaged it is constant still.
template <class T>
std::vector<double> Coarse<T>::constants() const {
  std::vector<double> out(columns_);
  const auto stride = 1 + static_cast<std::size_t>(points_.cols);  // of a cell
  const std::size_t cells = out.size() / stride;
  for (std::size_t c = 0; c < out.size(); c += stride)
    out[c] = 1 / std::sqrt(static_cast<double>(cells));
  return out;
}

// Ac = Dc - W^T (a / D1) a W with W = P Z over the weights of the rows. Of two Balanced sides S
// does not see constants, nor does the dual see where they go: inverted, what the rounding of
// scores leaves of them in Ac would move g and f apart until their digits are those of the
// constant.
template <class T>
void Coarse<T>::build(Alternation<T>& alternation, Exec& exec) {
  before(alternation, exec);
  // In fewer dimensions cells are small as they are (2 048 points of a line at 0.01 of the mean
  // cost: 20 passes, by averages 24), and so is what few points have to spare. A sample knows
  // nothing of what trees leave out; and a GPU would wait for it.
  const bool averages = points_.cols == kDimension && size_ >= kLeastAveraged &&
                        !exec.device.is_cuda() && !alternation.op().planted();
  if (cells_.size() == 0) {
    auto cells =
        cell_basis(points_, weights_, averages ? kAveraged : kernels::kCoarseColumns, exec);
    columns_ = cells.columns;
    cells_ = std::move(cells.values);
  }
  basis_ = cells_.data();
  if (averages) average(alternation, exec);
  const auto &rows = alternation.leading(), &columns = alternation.following();
  const std::int64_t n = rows.weight.size, k = columns_;
  Buffer<T> response(n, exec.device), images(n * k, exec.device);
  kernels::each(kernels::RowResponseArgs<T>{rows.weight, rows.potential, rows.softmin, rows.penalty,
                                            alternation.epsilon(), response.data()},
                n, exec);
  const auto own = alternation.in_type(rows, exec), from = alternation.in_type(columns, exec);
  alternation.op().apply(rows.side, from.h, own.potential, kernels::Weighting::plain,
                         {basis_, size_, k, k, 1, exec.device}, images.data(),
                         alternation.epsilon(), exec);
  alternation.swept(exec, passes_of_sweep(columns_));
  SmallMatrix fine(k * k, 0.0), all(k * k, 0.0);
  Buffer<double> weight(n, exec.device);
  kernels::each(kernels::WeightedArgs<T>{rows.weight, response.data(), false, weight.data()}, n,
                exec);
  kernels::gram<T>({basis_, curvature_.data(), size_, columns_, fine.data()}, exec);
  kernels::gram<T>({images.data(), weight.data(), n, columns_, all.data()}, exec);
  for (std::int64_t e = 0; e < k * k; ++e) all[e] = fine[e] - all[e];
  if (alternation.balanced()) take_out(constants(), all);
  // What rounding of the products leaves of the modes that S does not see.
  const double least = std::max(1e3 * std::numeric_limits<T>::epsilon(), averages ? kUnseen : 0);
  correction_ = pseudo_inverse(all, k, least);
  const auto jacobi = pseudo_inverse(fine, k, least);
  for (std::int64_t e = 0; e < k * k; ++e) correction_[e] -= jacobi[e];
}

template <class T>
void Coarse<T>::add(const double* r, const kernels::Penalty& penalty, double* z, Exec& exec) const {
  using Dots = kernels::BasisDotsArgs<T>;
  std::vector<double> dots(columns_);
  for (int first = 0; first < columns_; first += Dots::kColumns) {
    const auto part = kernels::sum(Dots{basis_, columns_, first, r}, size_, exec);
    for (int c = 0; c < Dots::kColumns && first + c < columns_; ++c)
      dots[first + c] = part.value[c];
  }
  kernels::AddBasisArgs<T> add{basis_, columns_, {}, penalty, z};
  for (int c = 0; c < columns_; ++c)
    for (int e = 0; e < columns_; ++e)
      add.coefficient[c] += correction_[c * columns_ + e] * dots[e];
  kernels::each(add, size_, exec);
}

template class Coarse<float>;
template class Coarse<double>;
}  // namespace monge

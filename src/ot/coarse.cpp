#include "ot/coarse.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/entries.hpp"
#include "kernels/gram.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
using Cell = std::vector<std::int64_t>;

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
CellBasis<T> cell_basis(MatrixView<const T> points, VectorView<const T> weights, Exec& exec) {
  const std::int64_t dim = points.cols, size = points.rows;
  const auto at = on_host(points, exec), weight = on_host(weights, exec);
  std::vector<Cell> cells(1);
  for (std::int64_t j = 0; j < size; ++j)
    if (weight[j] > 0) cells[0].push_back(j);
  while (2 * static_cast<std::int64_t>(cells.size()) * (1 + dim) <= kernels::kCoarseColumns &&
         cells[0].size() > 16) {
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
template CellBasis<float> cell_basis(MatrixView<const float>, VectorView<const float>, Exec&);
template CellBasis<double> cell_basis(MatrixView<const double>, VectorView<const double>, Exec&);

template <class T>
Coarse<T>::Coarse(MatrixView<const T> points, VectorView<const T> weights, Exec& exec)
    : size_(points.rows), residual_(size_, exec.device), curvature_(size_, exec.device) {
  auto cells = cell_basis(points, weights, exec);
  columns_ = cells.columns;
  basis_ = std::move(cells.values);
}

template <class T>
void Coarse<T>::before(const Alternation<T>& alternation, Exec& exec) {
  const auto& side = alternation.following();
  kernels::each(
      kernels::StepResidualArgs<T>{side.weight, side.potential, side.softmin, side.penalty,
                                   alternation.epsilon(), residual_.data(), curvature_.data()},
      size_, exec);
}

// Ac = Dc - W^T (a / D1) a W with W = P Z over the weights of the rows.
template <class T>
void Coarse<T>::build(Alternation<T>& alternation, Exec& exec) {
  before(alternation, exec);
  const auto &rows = alternation.leading(), &columns = alternation.following();
  const std::int64_t n = rows.weight.size, k = columns_;
  Buffer<T> response(n, exec.device), images(n * k, exec.device);
  kernels::each(kernels::RowResponseArgs<T>{rows.weight, rows.potential, rows.softmin, rows.penalty,
                                            alternation.epsilon(), response.data()},
                n, exec);
  const auto own = alternation.in_type(rows, exec), from = alternation.in_type(columns, exec);
  alternation.op().apply(rows.side, from.h, own.potential, kernels::Weighting::plain,
                         {basis_.data(), size_, k, k, 1, exec.device}, images.data(),
                         alternation.epsilon(), exec);
  alternation.swept(exec, 1 + (k + 31) / 32);
  SmallMatrix fine(k * k, 0.0), all(k * k, 0.0);
  Buffer<double> weight(n, exec.device);
  kernels::each(kernels::WeightedArgs<T>{rows.weight, response.data(), false, weight.data()}, n,
                exec);
  kernels::gram<T>({basis_.data(), curvature_.data(), size_, columns_, fine.data()}, exec);
  kernels::gram<T>({images.data(), weight.data(), n, columns_, all.data()}, exec);
  for (std::int64_t e = 0; e < k * k; ++e) all[e] = fine[e] - all[e];
  // What rounding of the products leaves of the modes that S does not see.
  const double least = 1e3 * std::numeric_limits<T>::epsilon();
  correction_ = pseudo_inverse(all, k, least);
  const auto jacobi = pseudo_inverse(fine, k, least);
  for (std::int64_t e = 0; e < k * k; ++e) correction_[e] -= jacobi[e];
}

template <class T>
void Coarse<T>::add(const double* r, const kernels::Penalty& penalty, double* z, Exec& exec) const {
  using Dots = kernels::BasisDotsArgs<T>;
  std::vector<double> dots(columns_);
  for (int first = 0; first < columns_; first += Dots::kColumns) {
    const auto part = kernels::sum(Dots{basis_.data(), columns_, first, r}, size_, exec);
    for (int c = 0; c < Dots::kColumns && first + c < columns_; ++c)
      dots[first + c] = part.value[c];
  }
  kernels::AddBasisArgs<T> add{basis_.data(), columns_, {}, penalty, z};
  for (int c = 0; c < columns_; ++c)
    for (int e = 0; e < columns_; ++e)
      add.coefficient[c] += correction_[c * columns_ + e] * dots[e];
  kernels::each(add, size_, exec);
}

template class Coarse<float>;
template class Coarse<double>;
}  // namespace monge

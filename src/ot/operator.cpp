#include "ot/operator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "monge/core/error.hpp"

namespace monge {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool wants_norms(const CostForm& form, std::int64_t dim) {
  return form.form == kernels::Form::squared && dim > kDirectDimension;
}
}  // namespace

template <class T>
Operator<T>::Operator(const Problem<T>& problem) : n_(problem.n()), m_(problem.m()) {
  if (const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry())) {
    pack_cloud(*cloud, problem.a(), problem.b());
  } else {
    form_.form = kernels::Form::matrix;
    matrix_ = std::get<CostMatrix<T>>(problem.geometry()).values;
    // The stride along an axis of length 1 is never used: let it be the one that is 1.
    if (n_ == 1 && matrix_.col_stride != 1) matrix_.row_stride = 1;
    if (m_ == 1 && matrix_.row_stride != 1) matrix_.col_stride = 1;
    scan_matrix(problem.a(), problem.b());
  }
}

template <class T>
void Operator<T>::pack_cloud(const PointCloud<T>& cloud, VectorView<const T> a,
                             VectorView<const T> b) {
  form_ = cost_form(cloud.cost);
  dim_ = static_cast<int>(cloud.x.cols);
  if (dim_ > kDirectDimension && form_.form != kernels::Form::dot)
    center_ = common_center(cloud.x, a, cloud.y, b, form_.unit_length);
  const bool norms = wants_norms(form_, dim_);
  source_ =
      std::make_shared<const PackedPoints<T>>(pack(cloud.x, center_, form_.unit_length, norms));
  target_ =
      std::make_shared<const PackedPoints<T>>(pack(cloud.y, center_, form_.unit_length, norms));
  box_a_ = bounding_box(cloud.x, a);
  box_b_ = bounding_box(cloud.y, b);
  extent_ = bounding_box<T>(cloud.x, {});
  extent_.add(bounding_box<T>(cloud.y, {}));
  bound_costs();
}

template <class T>
void Operator<T>::bound_costs() {
  const auto [least, most] = cost_range(form_, box_a_, box_b_);
  min_cost_ = least;
  max_cost_ = needed_cost_ = most;
}

// The cheapest partner of each row and column bounds what a plan needs: a sentinel such as 1e32
// that no row and no column depends on then starts no annealing and predicts no floor.
template <class T>
void Operator<T>::scan_matrix(VectorView<const T> a, VectorView<const T> b) {
  std::vector<T> row_min(n_, std::numeric_limits<T>::infinity());
  std::vector<T> col_min(m_, std::numeric_limits<T>::infinity());
  double least = kInfinity, most = -kInfinity;
  const bool by_rows = matrix_.col_stride == 1;  // memory order
  for (std::int64_t s = 0; s < (by_rows ? n_ : m_); ++s)
    for (std::int64_t t = 0; t < (by_rows ? m_ : n_); ++t) {
      const std::int64_t i = by_rows ? s : t, j = by_rows ? t : s;
      const T cost = matrix_(i, j);
      if (!(a[i] > 0 && b[j] > 0) || !std::isfinite(cost)) continue;
      row_min[i] = std::min(row_min[i], cost);
      col_min[j] = std::min(col_min[j], cost);
      least = std::min<double>(least, cost);
      most = std::max<double>(most, cost);
    }
  if (least > most) return;  // soft sides, everything forbidden: the plan is 0, so are the bounds
  min_cost_ = least;
  max_cost_ = most;
  needed_cost_ = least;
  for (const auto* minima : {&row_min, &col_min})
    for (const T cost : *minima)
      if (std::isfinite(cost)) needed_cost_ = std::max<double>(needed_cost_, cost);
}

template <class T>
Operator<T> Operator<T>::with_points(Side side, MatrixView<const T> z) const {
  if (!has_points())
    throw NotAvailable("[operator] a cost matrix has no coordinates: new points have no costs");
  if (z.cols != dim_ || z.rows < 1)
    throw InvalidArgument(fmt::format("[operator] z has shape ({}, {}), wanted (k, {}) with k >= 1",
                                      z.rows, z.cols, dim_),
                          "z");
  for (std::int64_t i = 0; i < z.rows; ++i) {
    for (std::int64_t k = 0; k < z.cols; ++k)
      if (!std::isfinite(z(i, k)))
        throw InvalidArgument(fmt::format("[operator] z[{}, {}] is {}, wanted finite coordinates",
                                          i, k, static_cast<double>(z(i, k))),
                              "z", i);
    if (form_.unit_length && !has_direction<T>(inverse_length(z, i)))
      throw InvalidArgument(
          fmt::format("[operator] z[{}] is a zero vector, or too short or long to have a "
                      "direction, which the cosine cost needs",
                      i),
          "z", i);
  }
  Operator moved(*this);
  const Box box = bounding_box<T>(z, {});
  moved.extent_.add(box);
  check_overflow<T>(form_, moved.extent_, "operator", "z");
  (side == Side::source ? moved.box_a_ : moved.box_b_) = box;
  (side == Side::source ? moved.n_ : moved.m_) = z.rows;
  (side == Side::source ? moved.source_ : moved.target_) = std::make_shared<const PackedPoints<T>>(
      pack(z, center_, form_.unit_length, wants_norms(form_, dim_)));
  moved.bound_costs();
  return moved;
}

template <class T>
kernels::Pairs<T> Operator<T>::pairs(Side rows) const {
  const bool source = rows == Side::source;
  kernels::Pairs<T> pairs;
  pairs.form = form_.form;
  pairs.scale = static_cast<T>(form_.scale);
  pairs.power = static_cast<T>(form_.power);
  pairs.n = size(rows);
  pairs.m = size(other(rows));
  if (has_points()) {
    pairs.rows = (source ? source_ : target_)->panels();
    pairs.cols = (source ? target_ : source_)->panels();
  } else {
    const auto matrix = source ? matrix_ : matrix_.transposed();
    pairs.matrix = matrix.data;
    pairs.row_stride = matrix.row_stride;
    pairs.col_stride = matrix.col_stride;
  }
  return pairs;
}

template <class T>
void Operator<T>::softmin(Side rows, const T* h, const double* shift, double* out, double eps,
                          Exec& exec) const {
  kernels::softmin<T>({.pairs = pairs(rows), .h = h, .shift = shift, .out = out, .eps = eps}, exec);
}

template <class T>
void Operator<T>::apply(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
                        MatrixView<const T> v, T* out, double eps, Exec& exec) const {
  kernels::apply<T>({.pairs = pairs(rows),
                     .h = h,
                     .shift = shift,
                     .weighting = weighting,
                     .v = v.data,
                     .v_row = v.row_stride,
                     .v_col = v.col_stride,
                     .k = v.data ? static_cast<int>(v.cols) : 1,
                     .out = out,
                     .eps = eps},
                    exec);
}

template <class T>
void Operator<T>::pull(Side rows, const T* h, const T* shift, T* out, double eps,
                       Exec& exec) const {
  if (!has_points())
    throw NotAvailable(
        "[operator] a cost matrix has no coordinates to differentiate in; the "
        "derivative in the costs is the plan");
  kernels::pull<T>({.pairs = pairs(rows), .h = h, .shift = shift, .out = out, .eps = eps}, exec);
  if (!form_.unit_length) return;
  // From directions x^ to points: d x^ / d x = (I - x^ x^T) / |x|.
  const PackedPoints<T>& points = rows == Side::source ? *source_ : *target_;
  constexpr int kPanel = kernels::kPanel;
  for (std::int64_t i = 0; i < points.count; ++i) {
    const auto direction = [&](int k) {
      const double packed = points.data[(i / kPanel * dim_ + k) * kPanel + i % kPanel];
      return center_.empty() ? packed : packed + center_[k];
    };
    T* const gradient = out + i * dim_;
    double along = 0;
    for (int k = 0; k < dim_; ++k) along += direction(k) * gradient[k];
    for (int k = 0; k < dim_; ++k)
      gradient[k] = static_cast<T>(points.inverse_length[i] * (gradient[k] - along * direction(k)));
  }
}

template <class T>
void Operator<T>::moments(Side rows, const T* h, const T* shift, MatrixView<const T> values,
                          const T* center, T* mass, T* first, T* second, double eps,
                          Exec& exec) const {
  const auto packed = pack(values, {}, false, false);
  kernels::moments<T>({.pairs = pairs(rows),
                       .h = h,
                       .shift = shift,
                       .values = packed.panels(),
                       .center = center,
                       .mass = mass,
                       .first = first,
                       .second = second,
                       .eps = eps},
                      exec);
}

template <class T>
void Operator<T>::draw(Side rows, const T* h, const T* shift,
                       const std::vector<std::int64_t>& requested_rows,
                       const std::vector<std::int64_t>& counts, std::uint64_t seed,
                       std::int64_t* out, double eps, Exec& exec) const {
  std::vector<std::int64_t> offsets(counts.size());
  std::int64_t total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    offsets[r] = total;
    total += counts[r];
  }
  kernels::draw<T>({.pairs = pairs(rows),
                    .h = h,
                    .shift = shift,
                    .rows = requested_rows.data(),
                    .counts = counts.data(),
                    .offsets = offsets.data(),
                    .requests = static_cast<std::int64_t>(counts.size()),
                    .seed = seed,
                    .out = out,
                    .eps = eps},
                   exec);
}

template <class T>
void Operator<T>::top_k(Side rows, const T* h, const T* shift, int k, std::int64_t* columns,
                        T* weights, T* softmin, double eps, Exec& exec) const {
  kernels::top_k<T>({.pairs = pairs(rows),
                     .h = h,
                     .shift = shift,
                     .k = k,
                     .columns = columns,
                     .weights = weights,
                     .softmin = softmin,
                     .eps = eps},
                    exec);
}

template <class T>
void Operator<T>::select(Side rows, const T* h, const T* shift, const T* threshold,
                         std::int64_t* counts, const std::int64_t* offsets, std::int64_t* columns,
                         T* weights, double eps, Exec& exec) const {
  kernels::select<T>({.pairs = pairs(rows),
                      .h = h,
                      .shift = shift,
                      .threshold = threshold,
                      .counts = counts,
                      .offsets = offsets,
                      .columns = columns,
                      .weights = weights,
                      .eps = eps},
                     exec);
}

template class Operator<float>;
template class Operator<double>;
}  // namespace monge

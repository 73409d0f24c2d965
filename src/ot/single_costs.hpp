// The costs of single pairs and their gradients, in double and on the host: for what looks at a few
// of the n m pairs.
#pragma once
#include <cmath>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "kernels/math.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "ot/arrays.hpp"
#include "ot/lattice.hpp"
#include "ot/packing.hpp"

namespace monge {
template <class T>
class SingleCosts {
 public:
  /// What is on a GPU is copied here, once.
  SingleCosts(const Geometry<T>& geometry, Exec& exec) {
    if (const auto* matrix = std::get_if<CostMatrix<T>>(&geometry)) {
      form_.form = kernels::Form::matrix;
      x_ = here(matrix->values, owned_x_, exec);
      return;
    }
    if (const auto* lattice = std::get_if<Lattice<T>>(&geometry)) {
      points_.emplace(*lattice, exec);
      period_ = periods(*lattice);
    }
    const PointCloud<T>& cloud = points_ ? points_->cloud : std::get<PointCloud<T>>(geometry);
    form_ = cost_form(cloud.cost);
    x_ = here(cloud.x, owned_x_, exec);
    y_ = here(cloud.y, owned_y_, exec);
  }

  std::int64_t dim() const { return form_.form == kernels::Form::matrix ? 0 : x_.cols; }

  double operator()(std::int64_t i, std::int64_t j) const {
    if (form_.form == kernels::Form::matrix) return x_(i, j);
    const Products p = products(i, j);
    if (form_.unit_length) return 1 - p.xy / std::sqrt(p.xx * p.yy);
    if (form_.form == kernels::Form::dot) return -form_.scale * p.xy;
    return kernels::cost_of_squared(form_.form, form_.scale, form_.power, p.squared);
  }

  /// out [d] += weight times the derivative of c(x_i, y_j) in the point of `side`; 0 where that is
  /// not unique.
  void add_gradient(Side side, std::int64_t i, std::int64_t j, double weight, double* out) const {
    const Products p = products(i, j);
    double of_own = 0, of_other = 0, of_apart = 0;  // factors of the two points; of y - x
    if (form_.unit_length) {
      const double lengths = std::sqrt(p.xx * p.yy);
      of_own = p.xy / lengths / (side == Side::source ? p.xx : p.yy);
      of_other = -1 / lengths;
    } else if (form_.form == kernels::Form::dot) {
      of_other = -form_.scale;
    } else {
      of_apart = kernels::slope_of_squared(form_.form, form_.scale, form_.power, p.squared);
      if (side == Side::source) of_apart = -of_apart;
    }
    for (std::int64_t k = 0; k < x_.cols; ++k) {
      const double own = side == Side::source ? x_(i, k) : y_(j, k),
                   other = side == Side::source ? y_(j, k) : x_(i, k);
      out[k] += weight * (of_own * own + of_other * other + of_apart * apart(i, j, k));
    }
  }

 private:
  struct Products {
    double squared = 0, xy = 0, xx = 0, yy = 0;
  };
  /// y - x along an axis, the shorter way round where it is periodic.
  double apart(std::int64_t i, std::int64_t j, std::int64_t k) const {
    const double u = static_cast<double>(y_(j, k)) - x_(i, k);
    return !period_.empty() && period_[k] > 0 ? std::remainder(u, period_[k]) : u;
  }
  Products products(std::int64_t i, std::int64_t j) const {
    Products p;
    for (std::int64_t k = 0; k < x_.cols; ++k) {
      const double x = x_(i, k), y = y_(j, k);
      p.squared += apart(i, j, k) * apart(i, j, k);
      p.xy += x * y;
      p.xx += x * x;
      p.yy += y * y;
    }
    return p;
  }
  static MatrixView<const T> here(MatrixView<const T> from, Buffer<T>& owned, Exec& exec) {
    if (!from.device.is_cuda()) return from;
    owned = on_host(from, exec);
    return {owned.data(), from.rows, from.cols};
  }

  CostForm form_;
  std::optional<LatticePoints<T>> points_;
  std::vector<double> period_;  // of a lattice, 0: not periodic
  MatrixView<const T> x_, y_;   // x_: the costs themselves of a matrix
  Buffer<T> owned_x_, owned_y_;
};
}  // namespace monge

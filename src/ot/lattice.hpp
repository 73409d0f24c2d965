// Lattices: what a geometry may be, its points where they are needed one by one, and its sweeps, a
// pass for each axis (src/kernels/axis.hpp).
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/apply.hpp"
#include "kernels/axis.hpp"
#include "kernels/lattice_entries.hpp"
#include "kernels/tangent.hpp"
#include "monge/core/buffer.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "ot/packing.hpp"

namespace monge {
/// Throws InvalidArgument for what Lattice does not allow.
template <class T>
void check_lattice(const Lattice<T>& lattice);

/// Whether its cost is a sum over axes of functions of the distance; if not, the lattice is swept
/// as the cloud of its points.
template <class T>
bool is_separable(const Lattice<T>& lattice);

/// The points of a grid, [size, dim].
template <class T>
Buffer<T> grid_points(const Grid& grid, Exec& exec);
/// The points of both as a cloud, owned.
template <class T>
struct LatticePoints {
  Buffer<T> x, y;
  PointCloud<T> cloud;

  LatticePoints(const Lattice<T>& lattice, Exec& exec);
};

/// Terms of a half-step of each side.
template <class T>
double sweep_terms(const Lattice<T>& lattice);

/// The way round each axis, 0 where it is not periodic.
template <class T>
std::vector<double> periods(const Lattice<T>& lattice);

template <class T>
class LatticeSweep {
 public:
  /// Of a separable lattice. O(sum of the axes).
  LatticeSweep(const Lattice<T>& lattice, Exec& exec);

  // The verbs of Operator, with their arguments.
  void softmin(Side rows, const double* h, double* out, double eps, kernels::Precision precision,
               Exec& exec) const;
  void apply(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
             MatrixView<const T> v, T* out, double eps, Exec& exec) const;
  void pull(Side rows, const T* h, const T* shift, T* out, double eps, Exec& exec, T* mass,
            T* cost) const;
  /// Of points that stand still: without directions and gradients. The displacement of a pair from
  /// source to target, the shorter way round, stands for whichever of p and q is null, and for q in
  /// means; the other is one for each direction. In lattice_tangent.cpp.
  void tangent(Side rows, const kernels::TangentArgs<T>& args, Exec& exec) const;
  /// The conditional mean of the other side's points given each row, [n, d], taken along the
  /// shorter way round from the row's own point; where not null `s` [n], the softmin, and the
  /// first [n, d] and second [n, d, d] moments about the row's own point.
  void images(Side rows, const T* h, T* mean, double* s, T* first, T* second, double eps,
              Exec& exec) const;

  // Entries one by one, of either side's rows: as Operator has them, in lattice_entries.cpp.
  void top_k(Side rows, const T* h, const T* shift, int k, std::int64_t* columns, T* weights,
             double* softmin, double eps, Exec& exec) const;
  void select(Side rows, const T* h, const T* shift, const T* threshold, std::int64_t* counts,
              const std::int64_t* offsets, std::int64_t* columns, T* weights, double eps,
              Exec& exec) const;
  void hard(Side rows, const T* h, T* out, std::int64_t* columns, Exec& exec) const;
  void draw(Side rows, const T* h, const T* shift, const std::vector<std::int64_t>& requested_rows,
            const std::vector<std::int64_t>& counts, std::uint64_t seed, std::int64_t* out,
            double eps, Exec& exec) const;
  /// All of them: out [n, m] = weight_i w_ij of the source's rows.
  void dense(const T* h, const T* shift, VectorView<const T> weight, T* out, double eps,
             Exec& exec) const;

 private:
  enum class Kind { value, cost, offset_along, cost_offset, cost_square, offset, second, slope };
  // What one column of a sweep is at any time the average of. Up to cost_offset: of the value of
  // this index (-1: of ones), of it times the cost, the offset along the axis that is wanted, or
  // both; else the axes.
  struct Column {
    Kind kind;
    int a, b = 0;
    bool operator==(const Column&) const = default;
  };
  struct Wanted {
    MatrixView<const T> values;
    bool costs = false;
    int along = -1;  // an axis: values are wanted times its offset, and their costs likewise
    bool cost_squares = false, offsets = false, seconds = false, slopes = false;
  };
  struct Averages {
    std::vector<Column> columns;
    Buffer<T> data;  // [columns, n]
    std::int64_t n;
    const T* of(const Column& column) const;
  };
  struct Axis {
    std::int64_t length[2];  // source, target
    Buffer<T> at[2];         // coordinates, in units of the target's spacing from its origin
    double unit, scale, period;
  };

  Averages sweep(Side rows, const T* h, double* softmin, const Wanted& wanted, double eps,
                 kernels::Precision precision, Exec& exec) const;
  /// Where column c of row i goes: to data[i * row + c * column], which it may be added to.
  struct Into {
    T* data;
    std::int64_t row, column;
    bool adds = false;
  };
  /// apply(), of v times the displacement from source to target along an axis where that is not
  /// negative.
  void products(Side rows, const T* h, const T* shift, kernels::Weighting weighting, int along,
                MatrixView<const T> v, const Into& out, double eps, Exec& exec) const;
  /// sum_j w_ij c_ij and sum_j w_ij c_ij^2
  void cost_sums(Side rows, const T* h, const T* shift, T* first, T* second, double eps,
                 Exec& exec) const;
  /// One pass over axis k, to rows of side `to`, of an array with so much before and after it.
  kernels::AxisArgs<T> along(int k, int to, std::int64_t before, std::int64_t after, const T* h,
                             double eps) const;
  std::vector<int> order(Side rows) const;
  kernels::AxisCosts<T> costs(int k, int to) const;
  /// The k best scores of every row and their columns, [k, n].
  struct Best {
    Buffer<double> scores;
    Buffer<std::int64_t> columns;
  };
  Best best(int to, const T* h, int k, Exec& exec) const;
  /// What descents go by, with the memory that it is in.
  struct Levels {
    std::vector<Buffer<double>> held;
    kernels::LatticeLevels<T> of;
  };
  Levels maxima(int to, const T* h, Exec& exec) const;
  Levels log_sums(int to, const T* h, double eps, Exec& exec) const;
  template <class Next>
  Levels levels(int to, const T* h, const Next& next, Exec& exec) const;
  static std::vector<kernels::AxisTerm> advance(std::vector<Column>& columns, int axis, bool first,
                                                const Wanted& wanted);

  const Grid grids_[2];
  CostForm form_;
  std::vector<Axis> axes_;
};

/// Operator::moments of values on a separable lattice.
template <class T>
void lattice_moments(const Lattice<T>& lattice, Side rows, const T* h, const T* shift,
                     MatrixView<const T> values, const T* center, T* mass, T* first, T* second,
                     double eps, Exec& exec);

/// Images and softmins of points z [k, d] of a side that are no points of its grid, [k, d] and [k],
/// as LatticeSweep::images has them: O(m) each, one by one.
template <class T>
void lattice_images(const Lattice<T>& lattice, Side side, MatrixView<const T> z, const T* h,
                    T* mean, double* s, double eps, Exec& exec);
}  // namespace monge

// The two clouds of a command, or the masses on two grids, read and brought to one type.
#pragma once
#include "cli/flags.hpp"
#include "cli/report.hpp"
#include "io/measure.hpp"
#include "monge/core/buffer.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/measure.hpp"

namespace monge::cli {
/// With --grid the points are the masses, and there are no weights.
struct Files {
  io::MeasureFile source, target;
};

/// Throws IoError for what cannot be read, InvalidArgument for weights given twice.
Files read_files(const Flags& flags);
/// Whether the solve runs in float. Throws InvalidArgument naming the cast where float32 points
/// meet others.
bool in_float(const Files& files, const Flags& flags);
/// The agreement two Balanced masses owe each other: 1e-6 where weights were stored as float32.
double mass_tolerance(const Files& files, bool grid);

/// A copy in double, where `from` is.
Buffer<double> widened(const Buffer<float>& from);

template <class T>
class Cloud {
 public:
  Cloud(io::MeasureFile file, bool grid, Device device)
      : shape_(std::move(file.points)), grid_(grid) {
    Buffer<T> values = io::take<T>(std::move(shape_)).to(device);
    (grid ? weights_ : points_) = std::move(values);
    if (file.weights) weights_ = io::take<T>(std::move(*file.weights)).to(device);
  }
  /// A copy in double of a cloud in float.
  explicit Cloud(const Cloud<float>& from) requires(sizeof(T) == 8)
      : shape_{from.shape_.shape, from.shape_.fortran_order, from.shape_.stored, {}},
        grid_(from.grid_),
        points_(widened(from.points_)),
        weights_(widened(from.weights_)) {}
  /// Of no grid.
  Measure<T> measure() const { return {io::matrix(shape_, points_), weights()}; }
  VectorView<const T> weights() const { return weights_.view(); }
  /// Of an array with an entry for each point: (n), or that of the grid.
  std::vector<std::int64_t> shape() const {
    return grid_ ? shape_.shape : std::vector<std::int64_t>{shape_.shape[0]};
  }
  std::int64_t dim() const {
    return grid_ ? static_cast<std::int64_t>(shape_.shape.size()) : shape_.shape[1];
  }

 private:
  friend class Cloud<double>;
  io::Array shape_;  // its values have moved to points_, those of a grid to weights_
  bool grid_;
  Buffer<T> points_, weights_;
};

template <class T>
Lattice<T> lattice_of(const Flags& flags, const Cloud<T>& source, const Cloud<T>& target) {
  const Lattice<double> of = flags.lattice(source.shape(), target.shape());
  return {of.source, of.target, of.cost, of.periodic, of.device};
}
/// Of a report; null without --grid.
template <class T>
Json to_json(const Flags& flags, const Cloud<T>& source, const Cloud<T>& target) {
  if (!flags.grid) return {};
  const Lattice<T> lattice = lattice_of(flags, source, target);
  const auto side = [&](const Grid& grid, const std::vector<std::int64_t>& shape) {
    const auto d = static_cast<std::size_t>(grid.dim);
    return Json{{"shape", shape},
                {"spacing", std::vector<double>(grid.spacing.begin(), grid.spacing.begin() + d)},
                {"origin", std::vector<double>(grid.origin.begin(), grid.origin.begin() + d)}};
  };
  return {{"source", side(lattice.source, source.shape())},
          {"target", side(lattice.target, target.shape())},
          {"periodic", flags.periodic}};
}
template <class T>
Geometry<T> geometry_of(const Flags& flags, const Cloud<T>& source, const Cloud<T>& target) {
  if (flags.grid) return lattice_of(flags, source, target);
  return PointCloud<T>{source.measure().points, target.measure().points, flags.ground_cost()};
}
}  // namespace monge::cli

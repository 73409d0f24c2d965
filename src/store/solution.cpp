#include "monge/store/solution.hpp"

#include <fmt/format.h>

#include <limits>

#include "store/hash.hpp"

namespace monge {
namespace {
/// The stored array, or the given one, which must be the one that was solved.
template <class T>
class Arrays {
 public:
  explicit Arrays(const SavedSolution<T>& saved) : saved_(saved) {}

  MatrixView<const T> matrix(const char* name, MatrixView<const T> view, const Buffer<T>& stored,
                             const std::string& wanted) const {
    if (!view.data) view.cols = saved_.dim;
    return pick(name, view, stored, wanted);
  }
  VectorView<const T> weights(const char* name, VectorView<const T> view, const Buffer<T>& stored,
                              const std::string& wanted) const {
    const auto column =
        pick(name, {view.data, view.size, 1, view.stride, 1, view.device}, stored, wanted);
    return {column.data, column.rows, column.row_stride};
  }

 private:
  MatrixView<const T> pick(const char* name, MatrixView<const T> view, const Buffer<T>& stored,
                           const std::string& wanted) const {
    if (!view.data) {
      if (stored.size() > 0) return {stored.data(), stored.size() / view.cols, view.cols};
      throw InvalidArgument(
          fmt::format("[store] {} is not stored in {}, so it must be given", name, saved_.path),
          name);
    }
    if (view.device.is_cuda())
      throw InvalidArgument(fmt::format("[store] {} is on {}, wanted the CPU, where a solution is "
                                        "loaded",
                                        name, to_string(view.device)),
                            name);
    if (hash(Here<T>(view, nullptr)) != wanted)
      throw InvalidArgument(
          fmt::format("[store] {} is another than the one that {} was solved with: its values or "
                      "its shape ({}, {}) differ",
                      name, saved_.path, view.rows, view.cols),
          name);
    return view;
  }

  const SavedSolution<T>& saved_;
};
}  // namespace

template <class T>
LabelledClouds<T> SavedSolution<T>::labelled(const ProblemArrays<T>& given) const {
  if (!labels)
    throw InvalidArgument(fmt::format("[store] {} is no solution of labelled points", path));
  const Arrays<T> arrays(*this);
  Exec exec;
  return with_labels<T>(
      arrays.matrix("x", given.x, x, hash_x), labels->x.view(),
      arrays.matrix("y", given.y, y, hash_y), labels->y.view(),
      {labels->table.data(), labels->table.size() / labels->columns, labels->columns},
      labels->lambda_x, labels->lambda_y, exec);
}

template <class T>
Problem<T> SavedSolution<T>::problem(const ProblemArrays<T>& given,
                                     const LabelledClouds<T>* labelled) const {
  const Arrays<T> arrays(*this);
  const auto geometry = [&]() -> Geometry<T> {
    if (lattice) return *lattice;
    if (dim == 0) return CostMatrix<T>{arrays.matrix("C", given.C, Buffer<T>(), hash_C)};
    if (!labels)
      return PointCloud<T>{arrays.matrix("x", given.x, x, hash_x),
                           arrays.matrix("y", given.y, y, hash_y), cost};
    if (!labelled)
      throw InvalidArgument(
          fmt::format("[store] {} is a solution of labelled points: make these first", path));
    return labelled->cloud();
  };
  // Of a total mass the sides were TV(infinity); what they act as is found again.
  constexpr TV kPartial{std::numeric_limits<double>::infinity()};
  return {geometry(),
          arrays.weights("a", given.a, a, hash_a),
          arrays.weights("b", given.b, b, hash_b),
          total_mass ? kPartial : marginal_a,
          total_mass ? kPartial : marginal_b,
          {.total_mass = total_mass,
           .mass_tolerance = mass_tolerance,
           .stream = nullptr,
           .bounds = bounds.view()}};
}

template struct SavedSolution<float>;
template struct SavedSolution<double>;
}  // namespace monge

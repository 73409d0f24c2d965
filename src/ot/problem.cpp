#include "monge/ot/problem.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "monge/ot/plan.hpp"  // Side
#include "ot/arrays.hpp"
#include "ot/bounds.hpp"
#include "ot/feasibility.hpp"
#include "ot/inspection.hpp"
#include "ot/lattice.hpp"
#include "ot/overloaded.hpp"
#include "ot/packing.hpp"

namespace monge {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Placed {
  const char* name;
  Device device;
};

void check_devices(std::initializer_list<Placed> views) {
  const Placed& first = *views.begin();
  for (const Placed& view : views)
    if (view.device != first.device)
      throw InvalidArgument(
          fmt::format("[problem] {} is on {} but {} is on {}; all arrays of a problem share one "
                      "device",
                      view.name, to_string(view.device), first.name, to_string(first.device)),
          view.name);
}

template <class T>
bool has_entries(MatrixView<const T> matrix) {
  return matrix.rows >= 1 && matrix.cols >= 1 && matrix.data;
}

/// Whether the kernels take its strides: one of them is 1, or never used.
template <class T>
bool has_lines(MatrixView<const T> cost) {
  return cost.row_stride == 1 || cost.col_stride == 1 || cost.rows == 1 || cost.cols == 1;
}

/// Reads all arrays, once, and waits. What is malformed is left out: the checks that follow refuse
/// its shape before they come to its report.
template <class T>
Inspection inspected(const PointCloud<T>* cloud, const CostMatrix<T>* matrix, VectorView<const T> a,
                     VectorView<const T> b, Exec& exec) {
  const auto fitting = [](VectorView<const T> weights, std::int64_t count) {
    return weights.size == count ? weights : VectorView<const T>();
  };
  Inspection out;
  kernels::InspectPointsArgs<T> sets[2];
  if (cloud) {
    const bool directions = std::holds_alternative<Cosine>(cloud->cost);
    const auto set = [&](MatrixView<const T> points, VectorView<const T> weights) {
      if (!has_entries(points)) return kernels::InspectPointsArgs<T>{};
      return kernels::InspectPointsArgs<T>{points, fitting(weights, points.rows), directions};
    };
    sets[0] = set(cloud->x, a);
    sets[1] = set(cloud->y, b);
  } else {
    const MatrixView<const T> costs = matrix->values;
    if (has_entries(costs) && has_lines(costs))
      out.costs =
          kernels::inspect<T>({costs, fitting(a, costs.rows), fitting(b, costs.cols)}, exec);
    sets[0] = {.points = {nullptr, a.size, 0}, .weight = a};
    sets[1] = {.points = {nullptr, b.size, 0}, .weight = b};
  }
  kernels::PointsReport reports[2];
  kernels::inspect<T>(sets, reports, exec);
  out.x = std::move(reports[0]);
  out.y = std::move(reports[1]);
  return out;
}

template <class T>
void check_points(const char* name, MatrixView<const T> points, const kernels::PointsReport& report,
                  Exec& exec) {
  if (!has_entries(points))
    throw InvalidArgument(fmt::format("[problem] {} has shape ({}, {}), wanted at least one point "
                                      "and one dimension",
                                      name, points.rows, points.cols),
                          name);
  if (report.bad >= 0)
    throw InvalidArgument(fmt::format("[problem] {}[{}, {}] is {}, wanted finite coordinates", name,
                                      report.bad / points.cols, report.bad % points.cols,
                                      entry(points, report.bad, exec)),
                          name, report.bad / points.cols);
}

void check_directions(const char* name, const kernels::PointsReport& report) {
  if (report.undirected >= 0)
    throw InvalidArgument(
        fmt::format("[problem] {}[{}] is a zero vector, or too short or long to have a "
                    "direction, which the cosine cost needs",
                    name, report.undirected),
        name, report.undirected);
}

template <class T>
void check_matrix(MatrixView<const T> cost, const kernels::MatrixReport& report, Exec& exec) {
  if (!has_entries(cost))
    throw InvalidArgument(fmt::format("[problem] C has shape ({}, {}), wanted at least one row "
                                      "and one column",
                                      cost.rows, cost.cols),
                          "C");
  if (!has_lines(cost))
    throw InvalidArgument(fmt::format("[problem] C has strides ({}, {}), wanted one of them to be "
                                      "1: copy it to a contiguous array",
                                      cost.row_stride, cost.col_stride),
                          "C");
  if (report.bad >= 0)
    throw InvalidArgument(
        fmt::format("[problem] C[{}, {}] is {}, wanted a number or +infinity for a forbidden pair",
                    report.bad / cost.cols, report.bad % cost.cols, entry(cost, report.bad, exec)),
        "C", report.bad / cost.cols);
}

/// The mass.
template <class T>
double check_weights(const char* name, VectorView<const T> weights, const char* owner,
                     std::int64_t count, const char* noun, const kernels::PointsReport& report,
                     Exec& exec) {
  if (weights.size != count)
    throw InvalidArgument(fmt::format("[problem] {} has {} weights but {} has {} {}", name,
                                      weights.size, owner, count, noun),
                          name);
  if (report.bad_weight >= 0) {
    const MatrixView<const T> column(weights.data, count, 1, weights.stride, 1);
    throw InvalidArgument(fmt::format("[problem] {}[{}] is {}, wanted finite weights >= 0", name,
                                      report.bad_weight, entry(column, report.bad_weight, exec)),
                          name, report.bad_weight);
  }
  const double mass = report.mass;
  if (!(mass > 0 && std::isfinite(mass)))
    throw InvalidArgument(
        fmt::format("[problem] {} sums to {}, wanted a positive finite mass", name, mass), name);
  return mass;
}

/// The marginal as it acts. An infinite TV stays one where a total mass caps the side.
Marginal acting(const Marginal& marginal, const char* name, bool capped) {
  const auto strength = [&](double value) {
    if (!(value > 0))
      throw InvalidArgument(fmt::format("[problem] {} is {}, wanted a strength > 0 in units of "
                                        "the cost (infinite: balanced)",
                                        name, to_string(marginal)),
                            name);
    return value;
  };
  return std::visit(Overloaded{[](Balanced) -> Marginal { return Balanced{}; },
                               [&](KL kl) -> Marginal {
                                 if (strength(kl.rho) == kInfinity) return Balanced{};
                                 return kl;
                               },
                               [&](TV tv) -> Marginal {
                                 if (strength(tv.lambda) == kInfinity && !capped) return Balanced{};
                                 return tv;
                               }},
                    marginal);
}

void check_capped(const Marginal& marginal, const char* name) {
  const auto* tv = std::get_if<TV>(&marginal);
  if (!tv || tv->lambda != kInfinity)
    throw InvalidArgument(fmt::format("[problem] {} is {}, but a total mass needs TV(inf) on both "
                                      "sides (partial transport, marginals at most the weights)",
                                      name, to_string(marginal)),
                          name);
}

void check_balance(double mass_a, double mass_b, double tolerance) {
  if (std::abs(mass_a - mass_b) <= tolerance * std::max(mass_a, mass_b)) return;
  throw InvalidArgument(
      fmt::format("[problem] a has mass {:.15g} and b has mass {:.15g}; two balanced sides must "
                  "agree to {:g} relative. Normalise the weights, soften a side (KL or TV, "
                  "'reach'), or fix a total mass with TV(inf) on both sides",
                  mass_a, mass_b, tolerance),
      "b");
}
}  // namespace

template <class T>
Problem<T>::Problem(Geometry<T> geometry, VectorView<const T> a, VectorView<const T> b,
                    Marginal marginal_a, Marginal marginal_b, ProblemOptions options)
    : geometry_(std::move(geometry)),
      stream_(options.stream),
      a_(a),
      b_(b),
      total_mass_(options.total_mass) {
  const auto* cloud = std::get_if<PointCloud<T>>(&geometry_);
  const auto* matrix = std::get_if<CostMatrix<T>>(&geometry_);
  const auto* lattice = std::get_if<Lattice<T>>(&geometry_);
  const Device first = cloud ? cloud->x.device : matrix ? matrix->values.device : lattice->device;
  check_devices({{cloud    ? "x"
                  : matrix ? "C"
                           : "lattice",
                  first},
                 {"y", cloud ? cloud->y.device : first},
                 {"a", a.data ? a.device : first},
                 {"b", b.data ? b.device : first}});
  device_ = first;
  Exec exec = exec_of(*this);
  // A lattice is looked at as the cloud of its points, which go again.
  std::optional<LatticePoints<T>> points;
  if (lattice) {
    check_lattice(*lattice);
    cloud = &points.emplace(*lattice, exec).cloud;
  }

  const MatrixView<const T> x = cloud ? cloud->x : matrix->values,
                            y = cloud ? cloud->y : matrix->values.transposed();
  // Before the one wait, after which every stream may read them.
  const auto uniform = [&](VectorView<const T>& weights, auto& owned, MatrixView<const T> of) {
    if (weights.data || !has_entries(of)) return;
    owned =
        std::make_shared<const Buffer<T>>(filled(of.rows, T(1) / static_cast<T>(of.rows), exec));
    weights = owned->view();
  };
  uniform(a_, uniform_a_, x);
  uniform(b_, uniform_b_, y);
  inspection_ = std::make_shared<const Inspection>(inspected(cloud, matrix, a_, b_, exec));
  const auto& [of_x, of_y, of_costs] = *inspection_;
  if (cloud) {
    check_points("x", x, of_x, exec);
    check_points("y", y, of_y, exec);
    if (x.cols != y.cols)
      throw InvalidArgument(
          fmt::format("[problem] x has dimension {} and y has dimension {}", x.cols, y.cols), "y");
    if (x.cols > std::numeric_limits<int>::max())
      throw InvalidArgument(fmt::format("[problem] x has dimension {}", x.cols), "x");
  } else {
    check_matrix(matrix->values, of_costs, exec);
  }
  n_ = x.rows;
  m_ = y.rows;
  mass_a_ = check_weights("a", a_, cloud ? "x" : "C", n_, cloud ? "points" : "rows", of_x, exec);
  mass_b_ = check_weights("b", b_, cloud ? "y" : "C", m_, cloud ? "points" : "columns", of_y, exec);
  if (cloud) {
    const CostForm form = cost_form(cloud->cost);
    check_directions("x", of_x);
    check_directions("y", of_y);
    Box all(of_x.all_low, of_x.all_high);
    all.add({of_y.all_low, of_y.all_high});
    check_overflow<T>(form, all, "problem", lattice ? "spacing" : "x");
  }

  double tolerance = options.mass_tolerance;
  if (!(tolerance >= 0 && tolerance < 1))
    throw InvalidArgument(
        fmt::format("[problem] mass_tolerance is {}, wanted a number in [0, 1)", tolerance),
        "mass_tolerance");
  if (tolerance == 0) tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-12;
  mass_tolerance_ = tolerance;

  const bool capped = total_mass_.has_value();
  marginal_a_ = acting(marginal_a, "marginal_a", capped);
  marginal_b_ = acting(marginal_b, "marginal_b", capped);
  if (capped) {
    check_capped(marginal_a, "marginal_a");
    check_capped(marginal_b, "marginal_b");
    const double mass = *total_mass_, most = std::min(mass_a_, mass_b_);
    if (!(mass > 0 && mass <= most * (1 + tolerance)))
      throw InvalidArgument(fmt::format("[problem] total mass is {:.15g}, wanted > 0 and at most "
                                        "{:.15g}, the lesser of the masses {:.15g} of a and "
                                        "{:.15g} of b",
                                        mass, most, mass_a_, mass_b_),
                            "total_mass");
    // A side that must give all it has is balanced; the total then is its mass.
    if (mass >= mass_b_ * (1 - tolerance)) {
      marginal_b_ = Balanced{};
      total_mass_ = mass_b_;
    }
    if (mass >= mass_a_ * (1 - tolerance)) {
      marginal_a_ = Balanced{};
      total_mass_ = mass_a_;
    }
  }
  const bool balanced_a = std::holds_alternative<Balanced>(marginal_a_);
  const bool balanced_b = std::holds_alternative<Balanced>(marginal_b_);
  if (balanced_a && balanced_b && !capped) check_balance(mass_a_, mass_b_, tolerance);
  if (of_costs.forbids) {
    const HardMass hard{balanced_a, balanced_b, total_mass_, tolerance};
    if (!device_.is_cuda()) {
      check_allowed_pairs(matrix->values, a_, b_, hard);
    } else {
      // Components are found on the host: one copy of a matrix that the caller has n m values of
      // anyway.
      const auto costs = on_host(matrix->values, exec);
      const auto on_a = on_host(a_, exec), on_b = on_host(b_, exec);
      check_allowed_pairs<T>({costs.data(), n_, m_}, on_a.view(), on_b.view(), hard);
    }
  }
  bounds_ = checked_bounds(*this, options.bounds);
}

template <class T>
Problem<T> Problem<T>::against_itself(Side side) const {
  if (total_mass_ || bounds_)
    throw NotAvailable(
        "[problem] a measure against itself has no total mass and no lower bounds of its own");
  const bool source = side == Side::source;
  Problem out = *this;
  out.geometry_ = std::visit(
      Overloaded{[&](const PointCloud<T>& cloud) -> Geometry<T> {
                   const auto points = source ? cloud.x : cloud.y;
                   return PointCloud<T>{points, points, cloud.cost};
                 },
                 [&](const Lattice<T>& lattice) -> Geometry<T> {
                   const Grid& grid = source ? lattice.source : lattice.target;
                   return Lattice<T>{grid, grid, lattice.cost, lattice.periodic, lattice.device};
                 },
                 [](const CostMatrix<T>&) -> Geometry<T> {
                   throw InvalidArgument(
                       "[problem] a cost matrix has no costs between the points of a side: give "
                       "points or a lattice",
                       "C");
                 }},
      geometry_);
  out.n_ = out.m_ = source ? n_ : m_;
  out.a_ = out.b_ = source ? a_ : b_;
  out.uniform_a_ = out.uniform_b_ = source ? uniform_a_ : uniform_b_;
  out.mass_a_ = out.mass_b_ = source ? mass_a_ : mass_b_;
  const auto& read = source ? inspection_->x : inspection_->y;
  out.inspection_ = std::make_shared<const Inspection>(Inspection{read, read, {}});
  return out;
}

template class Problem<float>;
template class Problem<double>;
}  // namespace monge

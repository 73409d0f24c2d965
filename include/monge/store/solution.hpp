// A solved problem in one .npz file, which NumPy opens too: how it was posed and solved, the pair
// of potentials, and, unless left out, points and weights: O((n + m) d), never n x m. A loaded one
// makes the same plan, bit for bit, and starts another solve.
//
// Keys of format 1: format, version, commit, instruction_set, type ("float32" or "float64"),
// given_type, n, m, dimension (0: a cost matrix), cost, cost_power, marginal_a, marginal_b,
// strengths (2), total_mass (NaN: none), mass_tolerance, masses (2), reference, hashes x, y, a, b,
// C ("" where there is none) as hash_NAME, those of the report and of the options under their
// names, trace (k, 8), f, g, and where they are stored x, y, a, b, reference_a, reference_b.
// Format 2 has what 1 lacks: of a lattice grid_shape, grid_origin, grid_spacing (2, d) and periodic
// (d) in place of the points; of labelled points, which x and y then are, labels_x, labels_y,
// label_table and label_lambdas (2); of lower bounds bound_rows, bound_columns, bound_values (k).
// Other solutions are written as format 1.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "monge/ot/bounds.hpp"
#include "monge/ot/labels.hpp"
#include "monge/ot/plan.hpp"

namespace monge {
inline constexpr int kSolutionFormat = 2;  ///< raised when a key changes its meaning

/// The entropy's reference as monge::with_reference takes it: "product", "counting", or "custom"
/// with both weights.
template <class T>
struct ReferenceOf {
  std::string name = "product";
  VectorView<const T> a, b;
};

/// How with_labels() made the points of a problem: from x and y themselves. Host memory but for
/// them.
template <class T>
struct LabelsOf {
  MatrixView<const T> x, y;
  VectorView<const std::int64_t> labels_x, labels_y;
  MatrixView<const double> table;
  double lambda_x = 1, lambda_y = 1;
};

struct SaveOptions {
  bool points = true;           ///< store points and weights; else they are asked for again
  std::string given_type = {};  ///< type in which arrays are shown; empty: that of the problem
};

/// The arrays of a problem, those that a file has not stored.
template <class T>
struct ProblemArrays {
  MatrixView<const T> x, y, C;
  VectorView<const T> a, b;
};

struct SavedLabels {
  Buffer<std::int64_t> x, y;
  Buffer<double> table;  ///< row-major
  std::int64_t columns = 0;
  double lambda_x = 1, lambda_y = 1;
};

/// Owns what a file held.
template <class T>
struct SavedSolution {
  std::string path, version, commit, instruction_set, given_type;
  std::int64_t n = 0, m = 0, dim = 0;  ///< dim 0: the costs were a matrix
  Cost cost = SquaredEuclidean{};
  std::optional<Lattice<T>> lattice;  ///< in place of points
  std::optional<SavedLabels> labels;  ///< of the points; cost is then that of labelled()
  HeldBounds bounds;
  Marginal marginal_a, marginal_b;  ///< as they acted
  std::optional<double> total_mass;
  double mass_tolerance = 0, mass_a = 0, mass_b = 0;
  std::string reference;
  Buffer<T> reference_a, reference_b;  ///< of a custom reference
  SinkhornOptions options;             ///< epsilon, tolerance, budget, precision: as they were
  SinkhornResult<T> result;            ///< of the equivalent problem where there is a reference
  Buffer<T> x, y, a, b;                ///< empty: not stored
  std::string hash_x, hash_y, hash_C, hash_a, hash_b;

  /// The problem, viewing this object and what is `given` on the CPU. Throws InvalidArgument where
  /// an array is neither stored nor given, or another than the one that was solved.
  /// With labels it views what labelled() made.
  Problem<T> problem(const ProblemArrays<T>& given = {},
                     const LabelledClouds<T>* labelled = nullptr) const;
  LabelledClouds<T> labelled(const ProblemArrays<T>& given = {}) const;
};
using AnySolution = std::variant<SavedSolution<float>, SavedSolution<double>>;

/// Writes `path` at once: it holds the whole solution or is untouched. With a reference `problem`
/// is the one that was asked for and `result` that of the equivalent one. `labels`: those of which
/// with_labels() made the points of `problem`. Throws IoError.
template <class T>
void save(const std::string& path, const Problem<T>& problem, const SinkhornResult<T>& result,
          const SinkhornOptions& options, const SaveOptions& how = {},
          const ReferenceOf<T>& reference = {}, const LabelsOf<T>& labels = {});

/// Throws IoError for what is no such file, is damaged, or has a newer format, which it names.
AnySolution load(const std::string& path);
}  // namespace monge

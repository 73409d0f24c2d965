// A problem solved as far as it goes, its plan, and the same plan by definition on a dense matrix.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "reference/dense_pair.hpp"
#include "support/problems.hpp"

namespace monge::testing {
/// Options that go to the last digits: 1e-13 in double, the floor in float.
inline SinkhornOptions tight(double epsilon, double tolerance = 1e-13) {
  SinkhornOptions options;
  options.epsilon = epsilon;
  options.tolerance = tolerance;
  options.max_iterations = 100000;
  options.check_every = 1;
  return options;
}

struct Mixture {
  std::string name;
  Marginal a, b;
  double mass_a, mass_b;
};

/// Every pair of marginals, masses unequal wherever that has a meaning. Some potentials of a TV
/// side are at its bounds and some between them.
inline std::vector<Mixture> mixtures() {
  return {{"balanced balanced", Balanced{}, Balanced{}, 1.3, 1.3},
          {"balanced kl", Balanced{}, KL{0.7}, 0.8, 1.1},
          {"balanced tv", Balanced{}, TV{0.3}, 0.8, 1.1},
          {"kl balanced", KL{1.2}, Balanced{}, 1.5, 1.1},
          {"kl kl", KL{1.2}, KL{0.3}, 1.5, 1.1},
          {"kl tv", KL{0.5}, TV{0.15}, 1.5, 1.1},
          {"tv balanced", TV{0.2}, Balanced{}, 1.5, 1.1},
          {"tv kl", TV{0.15}, KL{0.8}, 1.5, 1.1},
          {"tv tv", TV{0.2}, TV{0.15}, 1.5, 1.1}};
}

template <class T>
reference::Vector to_double(const T& values) {
  return {values.begin(), values.end()};
}

template <class T>
struct Solved {
  Clouds<T> clouds;
  double epsilon;
  std::unique_ptr<Problem<T>> problem;
  SinkhornResult<T> result;
  std::unique_ptr<Plan<T>> plan;
  reference::DensePair dense;

  Solved(Clouds<T> given, Marginal a, Marginal b, const SinkhornOptions& options,
         Cost cost = SquaredEuclidean{}, ProblemOptions problem_options = {})
      : clouds(std::move(given)),
        epsilon(options.epsilon),
        problem(std::make_unique<Problem<T>>(clouds.problem(a, b, cost, problem_options))) {
    Exec exec;
    result = sinkhorn(*problem, options, exec);
    plan = std::make_unique<Plan<T>>(*problem, result);
    dense = {clouds.costs(cost),
             to_double(clouds.a),
             to_double(clouds.b),
             to_double(result.f),
             to_double(result.g),
             epsilon,
             a,
             b};
  }
};

template <class Got, class Want>
void expect_near(const Got& got, const Want& want, double tolerance, const std::string& what) {
  ASSERT_EQ(static_cast<std::size_t>(got.size()), want.size()) << what;
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance) << what << " [" << i << "]";
}
}  // namespace monge::testing

// Conjugate gradients preconditioned by the largest entries of a plan: the same products as by the
// diagonal alone, in far fewer passes where these entries carry it.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::random_clouds;
using testing::random_vector;

constexpr std::int64_t kN = 1100, kM = 1030;

template <class T>
HvpResult<T> product(const Linearization<T>& at, Preconditioner by, double tolerance,
                     int count = 1) {
  Exec exec;
  const auto v = random_vector<T>(count * at.n() * at.dim(), 91, 0, -1);
  return hvp(at, {.count = count, .dx = {v.data(), count * at.n(), at.dim()}}, Wrt::source,
             {.tolerance = tolerance, .preconditioner = by}, exec);
}

template <class T>
double distance(const Buffer<T>& got, const Buffer<T>& want) {
  double off = 0, size = 0;
  for (std::int64_t e = 0; e < want.size(); ++e) {
    off += std::pow(static_cast<double>(got[e]) - want[e], 2);
    size += std::pow(static_cast<double>(want[e]), 2);
  }
  return std::sqrt(off / size);
}

TEST(SparsePreconditionerSlow, ConcentratedPlansTakeFewPasses) {
  Exec exec;
  struct Setting {
    Marginal a, b;
    int d;
    double eps;
  };
  for (const auto& [a, b, d, eps] :
       {Setting{Balanced{}, Balanced{}, 2, 3e-4}, Setting{KL{1}, Balanced{}, 3, 3e-3},
        Setting{KL{5}, TV{2}, 3, 3e-3}}) {
    const testing::Solved<double> s(random_clouds<double>(kN, kM, d, 92, 1, 1), a, b,
                                    testing::tight(eps, 1e-8));
    const auto at = linearize(*s.plan, exec);
    const auto exact = product(at, Preconditioner::diagonal, 1e-13),
               diagonal = product(at, Preconditioner::diagonal, 1e-8),
               sparse = product(at, Preconditioner::support, 1e-8),
               again = product(at, Preconditioner::support, 1e-8),
               automatic = product(at, Preconditioner::automatic, 1e-8);
    for (const auto* got : {&sparse, &automatic}) {
      EXPECT_TRUE(got->report.converged);
      EXPECT_LE(got->report.residual, 1e-8);
      EXPECT_LE(distance(got->dx, exact.dx), 2 * got->report.residual);  // as estimated
      EXPECT_LT(3 * got->report.passes, diagonal.report.passes);
    }
    EXPECT_LT(sparse.report.lost, 0.03);
    EXPECT_EQ(again.report.passes, sparse.report.passes - 2);  // the entries are kept
    EXPECT_EQ(automatic.report.deflated, 0);
    EXPECT_EQ(distance(again.dx, sparse.dx), 0);
  }
}

// Whatever is left out the system stays positive definite, and several directions share it.
TEST(SparsePreconditioner, IsRightWhereItIsOfLittleUse) {
  Exec exec;
  const testing::Solved<double> s(random_clouds<double>(90, 120, 4, 93, 1, 1), Balanced{},
                                  Balanced{}, testing::tight(0.5, 1e-12));
  const auto at = linearize(*s.plan, exec);
  const auto exact = product(at, Preconditioner::diagonal, 1e-13, 3),
             sparse = product(at, Preconditioner::support, 1e-10, 3);
  EXPECT_TRUE(sparse.report.converged);
  EXPECT_GT(sparse.report.lost, 0.03);
  EXPECT_LE(distance(sparse.dx, exact.dx), 2e-10);
  const auto few = product(at, Preconditioner::automatic, 1e-10);
  EXPECT_EQ(few.report.lost, 0);  // too few points for it to pay
}

TEST(SparsePreconditioner, OfFloat) {
  Exec exec;
  const testing::Solved<float> s(random_clouds<float>(kN, kM, 2, 92, 1, 1), KL{1}, KL{1},
                                 testing::tight(1e-3, 1e-5));
  const auto at = linearize(*s.plan, exec);
  const auto diagonal = product(at, Preconditioner::diagonal, 1e-6),
             sparse = product(at, Preconditioner::support, 1e-6);
  EXPECT_TRUE(sparse.report.converged);
  EXPECT_LT(sparse.report.passes, diagonal.report.passes);
  EXPECT_LE(distance(sparse.dx, diagonal.dx), 1e-4);
}
}  // namespace
}  // namespace monge

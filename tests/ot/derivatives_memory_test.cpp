// Without a kernel, which would fit the default budget, derivatives hold values a point, a
// direction and a coordinate, and nothing of size n x m.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/ot/derivatives.hpp"
#include "support/data_limit.hpp"

namespace monge {
namespace {
constexpr std::int64_t kSources = 100'000, kTargets = 1'000, kMebibyte = 1 << 20;
constexpr int kDimension = 3, kDirections = 2;

enum class Verb { gradient, hvp, jvp, vjp };

// Exits with 0 when the verb fits `allowed` bytes above points and potentials.
[[noreturn]] void differentiate_within(Verb verb, std::int64_t allowed) {
  std::vector<float> x(kSources * kDimension), y(kTargets * kDimension);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(philox_uniform(1, 0, k));
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = static_cast<float>(philox_uniform(1, 1, k));
  const std::vector<float> f(kSources, 0), g(kTargets, 0);
  std::vector<float> dx(kDirections * x.size()), of_f(kDirections * f.size());
  for (std::size_t k = 0; k < dx.size(); ++k) dx[k] = static_cast<float>(philox_uniform(1, 2, k));
  for (std::size_t k = 0; k < of_f.size(); ++k)
    of_f[k] = static_cast<float>(philox_uniform(1, 3, k));
  testing::exit_within(allowed, [&] {
    const Problem<float> problem(
        PointCloud<float>{{x.data(), kSources, kDimension}, {y.data(), kTargets, kDimension}}, {},
        {}, KL{1}, KL{1});
    const Plan<float> plan(problem, 1, {f.data(), kSources}, {g.data(), kTargets});
    Exec exec;
    exec.threads = 1;
    const SolveOptions options{1e-6, 4};
    const Tangent<float> along{kDirections, {dx.data(), kDirections * kSources, kDimension}};
    if (verb == Verb::gradient) return gradient(plan, exec).dx.size() == 0;
    const Linearization<float> at = linearize(plan, exec, 0);
    if (verb == Verb::hvp)
      return hvp(at, along, Wrt::source | Wrt::target, options, exec).dx.size() == 0;
    if (verb == Verb::jvp) return jvp(at, along, options, exec).df.size() == 0;
    return vjp(at, {kDirections, {of_f.data(), kDirections, kSources}}, Wrt::source, options, exec)
               .dx.size() == 0;
  });
}

class DerivativesMemorySlow : public ::testing::TestWithParam<Verb> {};

// In double 8 values for a point and each of its coordinates, and 4 more for each direction; n m
// values would be eight times as much.
TEST_P(DerivativesMemorySlow, TakesValuesAPoint) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's own memory is not the library's";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  setenv("OMP_NUM_THREADS", "1", 1);  // stacks of threads would count
  const std::int64_t promised = (kSources + kTargets) * (kDimension + 1) * (8 + 4 * kDirections) *
                                static_cast<std::int64_t>(sizeof(double));
  EXPECT_EXIT(differentiate_within(GetParam(), promised), ::testing::ExitedWithCode(0), "");
  // The limit acts.
  EXPECT_EXIT(differentiate_within(GetParam(), 4 * kMebibyte), ::testing::ExitedWithCode(2),
              "no memory for");
}

INSTANTIATE_TEST_SUITE_P(All, DerivativesMemorySlow,
                         ::testing::Values(Verb::gradient, Verb::hvp, Verb::jvp, Verb::vjp));
}  // namespace
}  // namespace monge

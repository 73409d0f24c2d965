// What float costs a solve: the error of f / epsilon against float64 after 10 plain iterations from
// zero, on this machine's CPU. The same problem as in bench/cuda_softmin.cu; the table is in
// docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "monge/ot/problem.hpp"
#include "ot/operator.hpp"

namespace monge::bench {
namespace {
constexpr std::int64_t kPoints = 4096;
constexpr int kIterations = 10;

std::vector<float> points(int dim, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<float> out(kPoints * dim);
  for (float& x : out) x = static_cast<float>(normal(random));
  return out;
}

std::vector<float> log_weights(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  std::vector<double> weights(kPoints);
  double sum = 0;
  for (double& w : weights) sum += w = uniform(random);
  std::vector<float> out;
  for (const double w : weights) out.push_back(static_cast<float>(std::log(w / sum)));
  return out;
}

/// f after the iterations, from what float holds.
template <class T>
Buffer<double> potential(int dim, double eps) {
  const auto as_type = [](const std::vector<float>& v) {
    return std::vector<T>(v.begin(), v.end());
  };
  const auto x = as_type(points(dim, 1)), y = as_type(points(dim, 2));
  const Problem<T> problem(PointCloud<T>{{x.data(), kPoints, dim}, {y.data(), kPoints, dim}},
                           VectorView<const T>{}, VectorView<const T>{}, Balanced{}, Balanced{});
  const Operator<T> op(problem);
  Exec exec;
  Buffer<double> f(kPoints), g(kPoints);
  std::vector<T> h(kernels::padded(kPoints), -std::numeric_limits<T>::infinity());
  const auto bias = [&](const double* u, const std::vector<float>& log_weight) {
    for (std::int64_t i = 0; i < kPoints; ++i)
      h[i] = static_cast<T>((u ? u[i] : 0) + eps * log_weight[i]);
  };
  const auto log_a = log_weights(3), log_b = log_weights(4);
  bias(nullptr, log_b);
  for (int k = 0; k < kIterations; ++k) {
    op.softmin(Side::source, h.data(), k ? f.data() : nullptr, f.data(), eps, exec);
    bias(f.data(), log_a);
    op.softmin(Side::target, h.data(), k ? g.data() : nullptr, g.data(), eps, exec);
    bias(g.data(), log_b);
  }
  return f;
}

void print_error(int dim, double eps) {
  const auto want = potential<double>(dim, eps), got = potential<float>(dim, eps);
  double sum = 0, most = 0;
  for (std::int64_t i = 0; i < kPoints; ++i) {
    const double error = (got.data()[i] - want.data()[i]) / eps;
    sum += error * error;
    most = std::max(most, std::abs(error));
  }
  std::printf(
      "float, d=%2d, epsilon %4g: error of f / epsilon after %d iterations rms %.2e max %.2e\n",
      dim, eps, kIterations, std::sqrt(sum / kPoints), most);
}
}  // namespace
}  // namespace monge::bench

int main() {
  for (const int dim : {3, 64})
    for (const double eps : {0.1, 1.0, 10.0}) monge::bench::print_error(dim, eps);
}

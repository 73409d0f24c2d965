// What float costs a solve: the error of f / epsilon against float64 after 10 plain iterations from
// zero, of every arithmetic that the device has: bench_precision --help. The table is in
// docs/numerics.md.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "kernels/softmin.hpp"
#include "monge/ot/problem.hpp"
#include "options.hpp"
#include "ot/arrays.hpp"
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

/// `direct` keeps a GPU from the products that the operator would take at low dimensions.
struct Arithmetic {
  const char* name;
  kernels::Precision precision = kernels::Precision::accurate;
  bool direct = false;
};

/// f after the iterations, from what float holds.
template <class T>
Buffer<double> potential(int dim, double eps, const Arithmetic& how, Exec& exec) {
  const auto points_of = [&](std::uint64_t seed) {
    const auto host = points(dim, seed);
    return placed(std::vector<T>(host.begin(), host.end()), exec);
  };
  const auto x = points_of(1), y = points_of(2);
  const auto view = [&](const Buffer<T>& points) {
    return MatrixView<const T>(points.data(), kPoints, dim, dim, 1, exec.device);
  };
  const Problem<T> problem(PointCloud<T>{view(x), view(y)}, VectorView<const T>{},
                           VectorView<const T>{}, Balanced{}, Balanced{});
  const Operator<T> op(problem, how.precision);
  const auto log_a = log_weights(3), log_b = log_weights(4);
  Buffer<double> f = filled(kPoints, 0.0, exec), g = filled(kPoints, 0.0, exec);
  const auto bias = [&](const Buffer<double>& potential, const std::vector<float>& log_weight) {
    const auto host = potential.to(Device{});
    std::vector<double> h(kernels::padded(kPoints), -std::numeric_limits<double>::infinity());
    for (std::int64_t i = 0; i < kPoints; ++i) h[i] = host[i] + eps * log_weight[i];
    return placed(h, exec);
  };
  const auto update = [&](Side rows, const Buffer<double>& h, Buffer<double>& out, bool first) {
    const double* const shift = first ? nullptr : out.data();
    if (how.direct)
      kernels::softmin<T>({.pairs = op.pairs(rows, exec),
                           .h = h.data(),
                           .shift = shift,
                           .out = out.data(),
                           .eps = eps},
                          exec);
    else
      op.softmin(rows, h.data(), shift, out.data(), eps, exec);
  };
  for (int k = 0; k < kIterations; ++k) {
    update(Side::source, bias(g, log_b), f, k == 0);
    update(Side::target, bias(f, log_a), g, k == 0);
  }
  return f.to(Device{});
}

void print_error(int dim, double eps, const Arithmetic& how, Exec& exec) {
  const auto want = potential<double>(dim, eps, {}, exec);
  const auto got = potential<float>(dim, eps, how, exec);
  double sum = 0, most = 0;
  for (std::int64_t i = 0; i < kPoints; ++i) {
    const double error = (got[i] - want[i]) / eps;
    sum += error * error;
    most = std::max(most, std::abs(error));
  }
  std::printf(
      "%-18s d=%2d, epsilon %4g: error of f / epsilon after %d iterations rms %.2e max %.2e\n",
      how.name, dim, eps, kIterations, std::sqrt(sum / kPoints), most);
}

void run(Exec& exec) {
  for (const int dim : {3, 64}) {
    std::vector<Arithmetic> all{{"accurate"}};
    if (exec.device.is_cuda() && dim <= kDirectDimension)
      all.push_back({.name = "direct differences", .direct = true});
    else if (exec.device.is_cuda())
      all.push_back({"fast", kernels::Precision::fast});
    for (const Arithmetic& how : all)
      for (const double eps : {0.1, 1.0, 10.0}) print_error(dim, eps, how, exec);
  }
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  CLI::App app("Error of float after 10 iterations", "bench_precision");
  monge::Exec exec;
  monge::bench::add_device(app, exec);
  return monge::bench::parse_and_run(app, count, words, [&] { monge::bench::run(exec); });
}

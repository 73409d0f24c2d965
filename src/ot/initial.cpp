#include "ot/initial.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/entries.hpp"
#include "monge/core/random.hpp"
#include "ot/arrays.hpp"
#include "ot/closed_form.hpp"
#include "ot/packing.hpp"
#include "ot/penalty.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
constexpr std::int64_t kShare = 16;        // of the points a subsample is one in so many
constexpr std::int64_t kFewPoints = 2000;  // that are not worth another subsample
constexpr std::int64_t kLeastPoints = 16;
constexpr double kFirstEpsilon = 1.0 / 128, kSampledEpsilon = 0.005;  // of the range of the cost
constexpr double kTolerance = 1e-3;
constexpr int kIterations = 1000;  // it is a start, never a finish

template <class T>
struct Sample {
  Buffer<T> points, weights;
};

/// Systematic sampling: the total mass is cut into k equal parts, each of which takes the point
/// under one mark; its weight is that of its parts. Every point is drawn in proportion to its mass.
template <class T>
Sample<T> sample(MatrixView<const T> points, VectorView<const T> weights, double mass,
                 std::uint64_t seed, std::uint64_t stream, Exec& exec) {
  const auto host = on_host(weights, exec);  // once a solve
  const std::int64_t n = host.size(), k = std::clamp(n / kShare, std::min(n, kLeastPoints), n);
  std::vector<std::int64_t> index;
  std::vector<T> taken;
  const double part = mass / static_cast<double>(k);
  const double offset = philox_uniform(seed, stream, 0);
  double sum = 0;
  std::int64_t marks = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t before = marks;
    sum += host[i];
    while (marks < k && part * (static_cast<double>(marks) + offset) < sum) ++marks;
    if (marks == before || !(host[i] > 0)) continue;
    index.push_back(i);
    taken.push_back(static_cast<T>(part * static_cast<double>(marks - before)));
  }
  // Where rounding has left the last mark behind all points.
  taken.back() += static_cast<T>(part * static_cast<double>(k - marks));
  const auto at = placed(index, exec);
  Sample<T> out{Buffer<T>(at.size() * points.cols, exec.device), placed(taken, exec)};
  kernels::each(kernels::PickRowsArgs<T>{points, at.data(), out.points.data()}, out.points.size(),
                exec);
  return out;
}

void refuse(const SinkhornOptions& options, const std::string& why) {
  throw NotAvailable("[sinkhorn] initializer is " + to_string(options.initializer) + " and " + why +
                     "; wanted zero or automatic");
}

template <class T>
Buffer<T> proxed(const Buffer<double>& s, const Problem<T>& problem, Side side, double level,
                 double eps, Exec& exec) {
  Buffer<T> out(s.size(), exec.device);
  const auto penalty =
      penalty_of<T>(side == Side::source ? problem.marginal_a() : problem.marginal_b(), level);
  kernels::each(kernels::ProxArgs<T>{s.data(), penalty, eps, out.data()}, s.size(), exec);
  return out;
}

template <class T>
HostCloud host_cloud(MatrixView<const T> points, VectorView<const T> weights, Exec& exec) {
  const auto p = on_host(points, exec), w = on_host(weights, exec);
  return {{p.begin(), p.end()}, {w.begin(), w.end()}, points.cols};
}

template <class T>
Initial<T> in_closed_form(const Problem<T>& problem, const PointCloud<T>& cloud, Side side,
                          double range, const SinkhornOptions& options, Exec& exec) {
  const bool sorting = options.initializer == Initializer::sorting;
  const CostForm form = cost_form(cloud.cost);
  if (sorting && (cloud.x.cols != 1 || form.unit_length))
    refuse(options, "the points are not of dimension 1 with a cost that sorting solves");
  if (!sorting && (form.form != kernels::Form::squared || form.unit_length))
    refuse(options, std::string("the cost is ") + cost_name(cloud.cost) + ", not squared");
  HostCloud from = host_cloud<T>(cloud.x, problem.a(), exec);
  HostCloud to = host_cloud<T>(cloud.y, problem.b(), exec);
  if (side == Side::source) std::swap(from, to);
  const double eps = sorting ? options.epsilon : std::max(options.epsilon, kFirstEpsilon * range);
  const auto potential = sorting ? sorted_potential(from, to, cloud.cost)
                                 : gaussian_potential(from, to, form.scale, eps);
  return {proxed(placed(potential, exec), problem, side, 0, eps, exec),
          eps,
          {to_string(options.initializer), 0, 0, "no pass"}};
}

/// The solution of a subsample, extended by one softmin.
template <class T>
Initial<T> subsampled(const Problem<T>& problem, const Operator<T>& op, Side side, double range,
                      const SinkhornOptions& options, Exec& exec) {
  const auto& cloud = std::get<PointCloud<T>>(problem.geometry());
  const auto x = sample(cloud.x, problem.a(), problem.mass_a(), options.seed, 0, exec);
  const auto y = sample(cloud.y, problem.b(), problem.mass_b(), options.seed, 1, exec);
  const auto view = [&](const Sample<T>& s) -> MatrixView<const T> {
    return {s.points.data(), s.weights.size(), cloud.x.cols, cloud.x.cols, 1, exec.device};
  };
  // Weights are rounded to T: sums of k of them agree to k u at worst.
  const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon()) *
                          static_cast<double>(std::max(x.weights.size(), y.weights.size()));
  const auto marginal = [&](const Marginal& own) {
    constexpr TV kCapped{std::numeric_limits<double>::infinity()};
    return problem.total_mass() ? Marginal{kCapped} : own;
  };
  const Problem<T> few(PointCloud<T>{view(x), view(y), cloud.cost}, x.weights.view(),
                       y.weights.view(), marginal(problem.marginal_a()),
                       marginal(problem.marginal_b()),
                       {problem.total_mass(), problem.mass_tolerance() + rounding, exec.stream});

  SinkhornOptions how;
  how.epsilon = std::max(options.epsilon, kSampledEpsilon * range);
  how.tolerance = kTolerance;
  how.max_iterations = kIterations;
  how.translate = options.translate;
  how.precision = options.precision == Precision::fast ? Precision::accurate : options.precision;
  how.kernel_cache = options.kernel_cache;
  how.seed = options.seed + 1;
  const bool more = std::min(x.weights.size(), y.weights.size()) > kFewPoints;
  how.initializer = more ? Initializer::subsample : Initializer::zero;
  const auto solved = sinkhorn(few, how, exec);

  const bool source = side == Side::source;
  Operator<T> extended = op.with_points(other(side), view(source ? y : x), exec);
  extended.sweep_in(swept_in(how.precision));
  const auto potential =
      source ? joined(solved.g, solved.g_rest, exec) : joined(solved.f, solved.f_rest, exec);
  const auto log_weight = log_weights((source ? y : x).weights.view(), exec);
  auto h = padded_buffer<double>(potential.size(), exec);
  kernels::bias<double>(
      {potential.data(), log_weight.data(), potential.size(), how.epsilon, h.data()}, exec);
  Buffer<double> s(extended.size(side), exec.device);
  extended.softmin(side, h.data(), nullptr, s.data(), how.epsilon, exec);
  const double all = static_cast<double>(problem.n()) * static_cast<double>(problem.m());
  const double k = static_cast<double>(x.weights.size()), l = static_cast<double>(y.weights.size());
  double passes = static_cast<double>(s.size()) * static_cast<double>(potential.size());
  for (const SinkhornPhase& phase : solved.report.phases) passes += phase.passes * k * l;
  return {
      proxed(s, problem, side, solved.report.mass_level, how.epsilon, exec),
      how.epsilon,
      {"subsample", passes / all, solved.report.iterations,
       std::to_string(x.weights.size()) + " and " + std::to_string(y.weights.size()) + " points"}};
}
}  // namespace

template <class T>
Initial<T> initial(const Problem<T>& problem, const Operator<T>& op, Side side, double range,
                   const SinkhornOptions& options, Exec& exec) {
  const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (std::holds_alternative<Lattice<T>>(problem.geometry()))
    refuse(options, "the problem is a lattice, which has no other start yet");
  if (!cloud) refuse(options, "the problem is a cost matrix, which knows no points");
  return options.initializer == Initializer::subsample
             ? subsampled(problem, op, side, range, options, exec)
             : in_closed_form(problem, *cloud, side, range, options, exec);
}

template Initial<float> initial(const Problem<float>&, const Operator<float>&, Side, double,
                                const SinkhornOptions&, Exec&);
template Initial<double> initial(const Problem<double>&, const Operator<double>&, Side, double,
                                 const SinkhornOptions&, Exec&);
}  // namespace monge

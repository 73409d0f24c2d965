#include "ot/float_start.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <variant>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/sinkhorn_options.hpp"

namespace monge {
namespace {
constexpr double kManyPairs = 1 << 20;  // that a pass in double takes longer than its launches
constexpr double kManyOnCpu =
    1 << 24;                        // that passes are what a solve takes, at an epsilon of which
constexpr double kFewLevels = 128;  // the range is no more: no support is stepped on there
constexpr double kStill = 1.0 / 3;  // of an error, from check to check
constexpr double kFarFloor = 4e-3;  // of float: what it brings is not worth its passes
constexpr double kLeastRange = 1e-20, kMostRange = 1e20;  // of costs whose squares float holds

/// Points less what all of them share, rounded.
Buffer<float> rounded(MatrixView<const double> points, const std::vector<double>& center,
                      Exec& exec) {
  auto values = gathered(points, exec);
  std::vector<double> by(center.size());
  std::transform(center.begin(), center.end(), by.begin(), std::negate<>());
  if (!by.empty())
    kernels::each(kernels::AddMeanArgs<double>{placed(by, exec).data(), points.cols, values.data()},
                  values.size(), exec);
  Buffer<float> out(values.size(), exec.device);
  kernels::each(kernels::RoundArgs<float>{values.data(), out.data()}, out.size(), exec);
  return out;
}
}  // namespace

bool begins_in_float(const Problem<double>& problem, const Operator<double>& op,
                     const SinkhornOptions& o) {
  const bool ours =
      o.precision == Precision::automatic && o.schedule == Schedule::plain &&
      o.annealing == Annealing::automatic && o.criterion == Criterion::residual &&
      (o.acceleration == Acceleration::automatic || o.acceleration == Acceleration::support) &&
      o.initializer == Initializer::automatic && o.max_iterations >= kManyIterations;
  const double pairs = static_cast<double>(problem.n()) * static_cast<double>(problem.m());
  const bool many = problem.device().is_cuda()
                        ? pairs >= kManyPairs
                        : pairs >= kManyOnCpu && op.range() < kFewLevels * o.epsilon;
  return ours && many && !problem.bounds() && !problem.total_mass() && !op.planted() &&
         std::holds_alternative<PointCloud<double>>(problem.geometry()) &&
         op.range() > kLeastRange && op.max_cost() < kMostRange &&
         op.reach_in_float(o.epsilon, false).floor < kFarFloor;
}

SinkhornResult<float> solve_in_float(const Problem<double>& problem, const Operator<double>& op,
                                     const SinkhornOptions& options, Exec& exec) {
  const auto& cloud = std::get<PointCloud<double>>(problem.geometry());
  const CostForm form = cost_form(cloud.cost);
  std::vector<double> center;  // costs of differences do not see it
  if (form.form != kernels::Form::dot && !form.unit_length)
    center = common_center(problem.inspection().x, problem.inspection().y);
  const auto x = rounded(cloud.x, center, exec), y = rounded(cloud.y, center, exec);
  const auto weights = [&](VectorView<const double> from) {
    return rounded({from.data, from.size, 1, from.stride, 1, from.device}, {}, exec);
  };
  const auto a = weights(problem.a()), b = weights(problem.b());
  const auto view = [&](const Buffer<float>& points) -> MatrixView<const float> {
    const std::int64_t dim = cloud.x.cols;
    return {points.data(), points.size() / dim, dim, dim, 1, exec.device};
  };
  const double rounding = std::numeric_limits<float>::epsilon();  // of masses, by their weights
  const Problem<float> single(PointCloud<float>{view(x), view(y), cloud.cost}, a.view(), b.view(),
                              problem.marginal_a(), problem.marginal_b(),
                              {{}, problem.mass_tolerance() + rounding, exec.stream});
  SinkhornOptions how = options;
  const Reach reach = op.reach_in_float(options.epsilon, false);
  how.tolerance = std::max(options.tolerance / 2, reach.predicted());
  how.max_iterations = options.max_iterations - 2;
  how.verify = false;
  // What hardly falls where rounding may be all that is left is double's to find.
  double before = std::numeric_limits<double>::infinity();
  how.on_check = [&](const SinkhornReport& report) {
    if (options.on_check && !options.on_check(report)) return false;
    if (report.epsilon != options.epsilon) return true;
    const double last = std::exchange(before, report.marginal_error);
    return before > reach.flat_below() || before < kStill * last;
  };
  return sinkhorn(single, how, exec);
}
}  // namespace monge

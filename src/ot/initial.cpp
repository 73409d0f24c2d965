#include "ot/initial.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/entries.hpp"
#include "kernels/kd_tree.hpp"
#include "monge/core/random.hpp"
#include "monge/ot/plan.hpp"
#include "ot/arrays.hpp"
#include "ot/closed_form.hpp"
#include "ot/packing.hpp"
#include "ot/penalty.hpp"
#include "ot/pyramid.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
// Of the points a subsample is one in so many: on a GPU a pass over all of them is no more than the
// waits of a small solve.
constexpr std::int64_t kShare = 4, kShareOnGpu = 16;
constexpr std::int64_t kFewPoints = 2000;  // that are not worth another subsample
constexpr std::int64_t kLeastPoints = 16;
constexpr double kFirstEpsilon = 1.0 / 128, kSampledEpsilon = 0.005;  // of the range of the cost
constexpr int kPartners = 8;       // of a point of the sample: where they have
constexpr double kGathered = 0.8;  // of its mass it says no more of what lies between points
constexpr double kTolerance = 1e-3;
constexpr double kCellTolerance = 1e-4;  // passes over cells are cheap
constexpr int kIterations = 1000;        // it is a start, never a finish

template <class T>
struct Sample {
  Buffer<T> points, weights;
};

/// Stratified sampling: the total mass is cut into k equal parts, each of which takes the point
/// under a mark in it; its weight is that of its parts. Every point is drawn in proportion to its
/// mass, and in the order of a kd-tree every neighbourhood is; a side that is sampled more thinly
/// than that is worth is taken as it comes, in less memory.
template <class T>
Sample<T> sample(MatrixView<const T> points, VectorView<const T> weights, double mass,
                 std::int64_t most, std::uint64_t seed, std::uint64_t stream, Exec& exec) {
  const auto host = on_host(weights, exec);  // once a solve
  const bool cuda = exec.device.is_cuda();
  const std::int64_t n = host.size(), share = cuda ? kShareOnGpu : kShare,
                     k = std::clamp(std::min(n / share, most), std::min(n, kLeastPoints), n);
  std::vector<std::int32_t> order;
  if (!cuda && points.cols <= kernels::kTreeDimension && n / share <= most) {
    order.resize(kernels::padded(n));
    std::iota(order.begin(), order.end(), 0);
    kernels::order<T>({points, 1, order.data()}, exec);
  }
  std::vector<std::int64_t> index;
  std::vector<T> taken;
  const double part = mass / static_cast<double>(k);
  const auto mark = [&](std::int64_t m) {
    return static_cast<double>(m) + philox_uniform(seed, stream, m);
  };
  double sum = 0;
  std::int64_t marks = 0;
  for (std::int64_t place = 0; place < n; ++place) {
    const std::int64_t i = order.empty() ? place : order[place], before = marks;
    sum += host[i];
    while (marks < k && part * mark(marks) < sum) ++marks;
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

[[noreturn]] void refuse(const SinkhornOptions& options, const std::string& why) {
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
  return {
      proxed(placed(potential, exec), problem, side, 0, eps, exec), {}, eps, {{}, 0, 0, "no pass"}};
}

/// Share of the plan that the best kPartners of each point have.
template <class T>
double gathered(const Problem<T>& problem, const SinkhornResult<T>& solved, Exec& exec) {
  const Plan<T> plan(problem, solved);
  const int k = static_cast<int>(std::min<std::int64_t>(kPartners, problem.m()));
  const auto best = plan.top_k(k, exec).values.to(Device{}, exec.stream);
  return std::accumulate(best.begin(), best.end(), 0.0) / solved.report.transported_mass;
}

/// The same problem between fewer points, `weights` of which are rounded to T.
template <class T>
Problem<T> smaller(const Problem<T>& problem, Geometry<T> geometry, const Buffer<T>& a,
                   const Buffer<T>& b) {
  // Sums of k of them agree to k u at worst.
  const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon()) *
                          static_cast<double>(std::max(a.size(), b.size()));
  const auto marginal = [&](const Marginal& own) {
    constexpr TV kCapped{std::numeric_limits<double>::infinity()};
    return problem.total_mass() ? Marginal{kCapped} : own;
  };
  return {std::move(geometry),
          a.view(),
          b.view(),
          marginal(problem.marginal_a()),
          marginal(problem.marginal_b()),
          {problem.total_mass(), problem.mass_tolerance() + rounding, problem.stream(), {}}};
}

/// How it is solved, at `eps` or the epsilon that is wanted.
SinkhornOptions beginning(const SinkhornOptions& options, double eps) {
  SinkhornOptions how;
  how.epsilon = std::max(options.epsilon, eps);
  how.tolerance = kTolerance;
  how.max_iterations = kIterations;
  how.translate = options.translate;
  how.precision = options.precision == Precision::fast ? Precision::accurate : options.precision;
  how.kernel_cache = options.kernel_cache;
  how.seed = options.seed + 1;
  return how;
}

double passes_of(const SinkhornReport& report) {
  double passes = 0;
  for (const SinkhornPhase& phase : report.phases) passes += phase.passes;
  return passes;
}

/// Its solution at all points of `side`, by one softmin: sweep(h, out), `known` and `weights` being
/// those of the other side's fewer points. `passes` are those before, of the problem.
template <class T, class Sweep>
Initial<T> extended(const Problem<T>& problem, Side side, const SinkhornResult<T>& solved,
                    const Buffer<T>& weights, double eps, const Sweep& sweep, double passes,
                    std::string why, Exec& exec) {
  const auto known = side == Side::source ? joined(solved.g, solved.g_rest, exec)
                                          : joined(solved.f, solved.f_rest, exec);
  const auto log_weight = log_weights(weights.view(), exec);
  auto h = padded_buffer<double>(known.size(), exec);
  kernels::bias<double>({known.data(), log_weight.data(), known.size(), eps, h.data()}, exec);
  Buffer<double> s(side == Side::source ? problem.n() : problem.m(), exec.device);
  sweep(h.data(), s.data());
  return {proxed(s, problem, side, solved.report.mass_level, eps, exec),
          {},
          eps,
          {{}, passes, solved.report.iterations, std::move(why)}};
}

/// The solution of a subsample.
template <class T>
Initial<T> subsampled(const Problem<T>& problem, const Operator<T>& op, Side side, double range,
                      const SinkhornOptions& options, bool both, Exec& exec) {
  const auto& cloud = std::get<PointCloud<T>>(problem.geometry());
  // Of a side that has many more points than the other not more than the other has.
  const std::int64_t n = problem.n(), m = problem.m();
  const auto x = sample(cloud.x, problem.a(), problem.mass_a(), m, options.seed, 0, exec);
  const auto y = sample(cloud.y, problem.b(), problem.mass_b(), n, options.seed, 1, exec);
  const auto view = [&](const Sample<T>& s) -> MatrixView<const T> {
    return {s.points.data(), s.weights.size(), cloud.x.cols, cloud.x.cols, 1, exec.device};
  };
  const auto few =
      smaller<T>(problem, PointCloud<T>{view(x), view(y), cloud.cost}, x.weights, y.weights);
  SinkhornOptions how = beginning(options, kSampledEpsilon * range);
  const bool more = std::min(x.weights.size(), y.weights.size()) > kFewPoints;
  how.initializer = more ? Initializer::subsample : Initializer::zero;
  auto solved = sinkhorn(few, how, exec);
  double sampled = passes_of(solved.report);  // over the sample
  while (!exec.device.is_cuda() && how.epsilon > options.epsilon &&
         gathered(few, solved, exec) < kGathered) {
    how.epsilon = std::max(how.epsilon / 2, options.epsilon);
    how.initializer = Initializer::automatic;
    const auto g = solved.g.copy(exec.stream);
    solved = sinkhorn(few, how, exec, {{}, g.view()});
    sampled += passes_of(solved.report) + 1;  // that of gathered()
  }

  const double all = static_cast<double>(n) * static_cast<double>(m);
  const double k = static_cast<double>(x.weights.size()), l = static_cast<double>(y.weights.size());
  const auto extend = [&](Side to) {
    const Sample<T>& others = to == Side::source ? y : x;
    Operator<T> between = op.with_points(other(to), view(others), exec);
    between.sweep_in(swept_in(how.precision));
    auto found = extended(
        problem, to, solved, others.weights, how.epsilon,
        [&](const double* h, double* s) { between.softmin(to, h, nullptr, s, how.epsilon, exec); },
        sampled * k * l / all,
        std::to_string(x.weights.size()) + " and " + std::to_string(y.weights.size()) + " points",
        exec);
    found.phase.passes += static_cast<double>(others.weights.size()) /
                          static_cast<double>(to == Side::source ? m : n);
    sampled = 0;
    return found;
  };
  auto out = extend(side);
  if (both) {
    auto opposite = extend(other(side));
    out.other = std::move(opposite.potential);
    out.phase.passes += opposite.phase.passes;
  }
  return out;
}

/// The solution between coarser grids.
template <class T>
Initial<T> coarse(const Problem<T>& problem, Side side, const SinkhornOptions& options,
                  Exec& exec) {
  if (!can_coarsen(problem))
    refuse(options, "the problem is no lattice that is swept along its axes, of 256 points a side");
  const auto& fine = std::get<Lattice<T>>(problem.geometry());
  const auto cells = coarsened(problem, exec);
  const auto a = placed(cells.a, exec), b = placed(cells.b, exec);
  const auto few = smaller<T>(problem, cells.lattice, a, b);
  SinkhornOptions how = beginning(options, cost_form(fine.cost).at_distance(cells.spacing));
  how.tolerance = std::max(options.tolerance, kCellTolerance);
  how.initializer = can_coarsen(few) ? Initializer::coarse : Initializer::zero;
  const auto solved = sinkhorn(few, how, exec);

  Lattice<T> both = cells.lattice;
  (side == Side::source ? both.source : both.target) =
      side == Side::source ? fine.source : fine.target;
  const LatticeSweep<T> between(both, exec);
  auto out = extended(
      problem, side, solved, side == Side::source ? b : a, how.epsilon,
      [&](const double* h, double* s) {
        between.softmin(side, h, s, how.epsilon, swept_in(how.precision), exec);
      },
      passes_of(solved.report) * sweep_terms(cells.lattice) / sweep_terms(fine),
      std::to_string(a.size()) + " and " + std::to_string(b.size()) + " cells", exec);
  out.phase.passes += sweep_terms(both) / sweep_terms(fine) / 2;
  return out;
}
}  // namespace

template <class T>
Initial<T> initial(const Problem<T>& problem, const Operator<T>& op, Side side, double range,
                   const SinkhornOptions& options, bool both, Exec& exec) {
  const auto found = [&] {
    if (options.initializer == Initializer::coarse) return coarse(problem, side, options, exec);
    const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
    if (std::holds_alternative<Lattice<T>>(problem.geometry()))
      refuse(options, "the problem is a lattice, which starts by none but coarse");
    if (!cloud) refuse(options, "the problem is a cost matrix, which knows no points");
    return options.initializer == Initializer::subsample
               ? subsampled(problem, op, side, range, options, both, exec)
               : in_closed_form(problem, *cloud, side, range, options, exec);
  };
  auto out = found();
  out.phase.name = to_string(options.initializer);
  return out;
}

template Initial<float> initial(const Problem<float>&, const Operator<float>&, Side, double,
                                const SinkhornOptions&, bool, Exec&);
template Initial<double> initial(const Problem<double>&, const Operator<double>&, Side, double,
                                 const SinkhornOptions&, bool, Exec&);
}  // namespace monge

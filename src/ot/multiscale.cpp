#include "ot/multiscale.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "kernels/softmin.hpp"
#include "monge/core/error.hpp"
#include "monge/ot/plan.hpp"
#include "ot/arrays.hpp"
#include "ot/inspection.hpp"
#include "ot/packing.hpp"
#include "ot/penalty.hpp"

namespace monge {
namespace {
using kernels::Cell;
using kernels::kRowBlock;

constexpr std::int64_t kTimes = 8;        // points of one level that are a point of the next
constexpr std::int64_t kCoarsest = 2048;  // points at most where a solve begins from nothing
constexpr std::int64_t kFewest = 512;     // points that a side keeps
constexpr double kCell = 1;               // of epsilon over the squared edge of a cell
// Where a level ends: nodes are few, and what they leave undone takes passes over all points.
constexpr double kNodeTolerance = 1e-3, kPointTolerance = 1e-2;
constexpr int kNodeIterations = 200, kPointIterations = 50;
constexpr double kStartLoss = 1e-3;  // of the mass, by the mask of a softmin that makes a start

/// One side of a level: its points, in the order of the tree, and how many of the next finer level
/// are one of them.
template <class T>
struct LevelSide {
  Buffer<T> points, weights;
  std::int64_t times = 1;
};
template <class T>
struct Level {
  LevelSide<T> source, target;
  double edge = 0;
  std::unique_ptr<Problem<T>> problem;
  std::shared_ptr<const Forest<T>> forest;
};

template <class T>
class Cascade {
 public:
  Cascade(const Problem<T>& problem, std::shared_ptr<const Forest<T>> forest,
          const SinkhornOptions& options, Exec& exec)
      : problem_(problem),
        forest_(std::move(forest)),
        options_(options),
        exec_(exec),
        dim_(static_cast<int>(forest_->source.points().cols)) {
    build();
  }

  Multiscale<T> run() {
    if (levels_.empty()) return std::move(out_);
    double eps = epsilon_of(levels_.back());
    auto result = solve_level(*levels_.back().problem, nullptr, eps, {});
    for (std::size_t l = levels_.size() - 1; l > 0; --l) {
      const Level<T>& to = levels_[l - 1];
      extend(levels_[l], result, *to.problem, *to.forest);
      const double target = epsilon_of(to);
      result = anneal(*to.problem, to.forest, eps, target);
      eps = target;
    }
    extend(levels_[0], result, problem_, *forest_);
    out_.epsilon = eps;
    return std::move(out_);
  }

 private:
  double epsilon_of(const Level<T>& level) const {
    return std::max(options_.epsilon, kCell * forest_->scale * level.edge * level.edge);
  }

  void build() {
    auto a = cells_of(forest_->source, problem_.a()), b = cells_of(forest_->target, problem_.b());
    while (a.size() > kCoarsest || b.size() > kCoarsest) {
      Level<T> level;
      coarsen(a, level.source);
      coarsen(b, level.target);
      if (level.source.times == 1 && level.target.times == 1) return;
      level.edge = std::max(mean_edge(a), mean_edge(b));
      level.problem = problem_on(level);
      level.forest = std::make_shared<const Forest<T>>(*level.problem, exec_, /*ordered=*/true);
      levels_.push_back(std::move(level));
    }
  }

  Buffer<Cell> cells_of(const Tree<T>& tree, VectorView<const T> weights) {
    Buffer<Cell> out(tree.size(), exec_.device);
    kernels::each(kernels::PointCellArgs<T>{tree.points(), weights, tree.order(), out.data()},
                  out.size(), exec_);
    return out;
  }

  void coarsen(Buffer<Cell>& cells, LevelSide<T>& side) {
    if (cells.size() >= kTimes * kFewest) {
      side.times = kTimes;
      Buffer<Cell> coarse((cells.size() + kTimes - 1) / kTimes, exec_.device);
      kernels::each(kernels::CoarserArgs{cells.data(), cells.size(), kTimes, coarse.data()},
                    coarse.size(), exec_);
      cells = std::move(coarse);
    }
    side.points = Buffer<T>(cells.size() * dim_, exec_.device);
    side.weights = Buffer<T>(cells.size(), exec_.device);
    kernels::each(
        kernels::CellCloudArgs<T>{cells.data(), dim_, side.points.data(), side.weights.data()},
        cells.size(), exec_);
  }

  double mean_edge(const Buffer<Cell>& cells) {
    return kernels::sum(kernels::EdgeArgs{cells.data()}, cells.size(), exec_).value[0] /
           static_cast<double>(cells.size());
  }

  std::unique_ptr<Problem<T>> problem_on(const Level<T>& level) const {
    const auto points = [&](const LevelSide<T>& side) {
      return MatrixView<const T>(side.points.data(), side.weights.size(), dim_, dim_, 1,
                                 exec_.device);
    };
    ProblemOptions options;
    options.total_mass = problem_.total_mass();
    // Masses are those of the points, each rounded once more.
    options.mass_tolerance =
        std::max(problem_.mass_tolerance(), 64.0 * std::numeric_limits<T>::epsilon());
    options.stream = exec_.stream;
    const bool capped = options.total_mass.has_value();
    const Marginal all = TV{std::numeric_limits<double>::infinity()};
    return std::make_unique<Problem<T>>(
        PointCloud<T>{points(level.source), points(level.target),
                      std::get<PointCloud<T>>(problem_.geometry()).cost},
        level.source.weights.view(), level.target.weights.view(),
        capped ? all : problem_.marginal_a(), capped ? all : problem_.marginal_b(), options);
  }

  SinkhornResult<T> solve_level(const Problem<T>& problem, std::shared_ptr<const Forest<T>> forest,
                                double eps, const Start<T>& start) {
    SinkhornOptions options = options_;
    options.epsilon = eps;
    const bool nodes = &problem != &problem_;
    options.tolerance = std::max(nodes ? kNodeTolerance : kPointTolerance, options_.tolerance);
    if (start.g.size)
      options.max_iterations =
          std::min(options_.max_iterations, nodes ? kNodeIterations : kPointIterations);
    options.check_every = 2;
    options.criterion = Criterion::residual;
    options.schedule = Schedule::plain;
    auto result = solve(problem, options, exec_, start, std::move(forest));
    out_.passes += result.report.passes;
    out_.trace.insert(out_.trace.end(), result.report.trace.begin(), result.report.trace.end());
    return result;
  }

  /// From the start that is in out_, which holds for eps, halving down to `target`; the start
  /// becomes its end.
  SinkhornResult<T> anneal(const Problem<T>& problem,
                           const std::shared_ptr<const Forest<T>>& forest, double eps,
                           double target) {
    SinkhornResult<T> result;
    do {
      eps = std::max(eps / 2, target);
      result = solve_level(problem, forest, eps, {out_.f.view(), out_.g.view()});
      out_.f = result.f.copy(exec_.stream);
      out_.g = result.g.copy(exec_.stream);
    } while (eps > target);
    return result;
  }

  /// out_ = the potentials of a level at the points of the next: one softmin of each side over the
  /// other, by the mask of the level.
  void extend(const Level<T>& level, const SinkhornResult<T>& result, const Problem<T>& problem,
              const Forest<T>& forest) {
    const double eps = result.report.epsilon;
    const Mask<T> mask(*level.forest, result.f.data(), result.g.data(), eps,
                       kStartLoss * result.report.transported_mass, exec_);
    auto f = extended(Side::source, level, result, mask, problem, forest),
         g = extended(Side::target, level, result, mask, problem, forest);
    out_.f = std::move(f);
    out_.g = std::move(g);
    out_.passes += 2;
  }

  Buffer<T> extended(Side rows, const Level<T>& level, const SinkhornResult<T>& result,
                     const Mask<T>& mask, const Problem<T>& problem, const Forest<T>& forest) {
    const bool source = rows == Side::source;
    const Tree<T>& tree = forest.of(rows);
    const std::int64_t n = tree.size(), times = (source ? level.source : level.target).times;
    const Buffer<T>& own = source ? result.f : result.g;
    const Buffer<T>& across = source ? result.g : result.f;
    const double eps = result.report.epsilon;

    Buffer<T> points(n * dim_, exec_.device);
    kernels::each(kernels::GatherArgs<T>{tree.points(), points.data(), tree.order()}, points.size(),
                  exec_);
    const auto at = pack<T>({points.data(), n, dim_, dim_, 1, exec_.device}, {}, exec_);
    const auto from = pack(level.forest->of(other(rows)).points(), {}, exec_);
    const auto log_weight = log_weights(source ? level.problem->b() : level.problem->a(), exec_);
    const auto potential = in_double(across.view(), exec_);
    auto h = padded_buffer<double>(across.size(), exec_);
    kernels::bias<double>({potential.data(), log_weight.data(), across.size(), eps, h.data()},
                          exec_);
    Buffer<double> s(n, exec_.device);
    kernels::each(kernels::OfCellArgs<T>{own.data(), times, s.data()}, n, exec_);
    const auto lists = mask.repeated(rows, times, (n + kRowBlock - 1) / kRowBlock, exec_);
    const auto list = lists.view();
    kernels::Pairs<T> pairs;
    pairs.scale = static_cast<T>(forest.scale);
    pairs.rows = at.swept();
    pairs.cols = from.swept();
    pairs.n = n;
    pairs.m = across.size();
    pairs.list = &list;
    kernels::softmin<T>(
        {.pairs = pairs, .h = h.data(), .shift = s.data(), .out = s.data(), .eps = eps}, exec_);
    Buffer<T> ordered(n, exec_.device), out(n, exec_.device);
    kernels::half_step<T>(
        {.s = s.data(),
         .f = s.data(),
         .weight = {nullptr, n},  // a plain step reads no weight
         .mass = 0,
         .penalty = penalty_of<T>(source ? problem.marginal_a() : problem.marginal_b(),
                                  result.report.mass_level),
         .eps = eps,
         .omega = 1},
        exec_);
    kernels::each(kernels::RoundArgs<T>{s.data(), ordered.data()}, n, exec_);
    kernels::each(kernels::ScatterArgs<T>{ordered.data(), 1, tree.order(), out.data()}, n, exec_);
    return out;
  }

  const Problem<T>& problem_;
  std::shared_ptr<const Forest<T>> forest_;
  const SinkhornOptions& options_;
  Exec& exec_;
  const int dim_;
  std::vector<Level<T>> levels_;  // finest first
  Multiscale<T> out_;
};
}  // namespace

template <class T>
Multiscale<T> multiscale(const Problem<T>& problem, std::shared_ptr<const Forest<T>> forest,
                         const SinkhornOptions& options, Exec& exec) {
  return Cascade<T>(problem, std::move(forest), options, exec).run();
}
template <class T>
bool by_tree(const Problem<T>& problem, const SinkhornOptions& options) {
  if (options.geometry != Sweeps::automatic) return options.geometry == Sweeps::tree;
  if (options.acceleration == Acceleration::newton || options.acceleration == Acceleration::support)
    return false;
  // Below, all pairs are as fast (docs/benchmarks.md: where trees pay). A GPU needs more points to
  // be busy on a few pairs, and then gains the more by the coarse start.
  const bool cuda = problem.device().is_cuda();
  const std::int64_t fewest = cuda ? 1 << 15 : 4096;  // of a side
  const double most_kept = cuda ? 0.5 : 0.25;
  if (std::min(problem.n(), problem.m()) < fewest || !no_forest(problem).empty()) return false;
  const double scale = cost_form(std::get<PointCloud<T>>(problem.geometry()).cost).scale;
  const double radius = std::sqrt(options.epsilon / scale *
                                  -std::log(std::min(0.5, kTruncationShare * options.tolerance)));
  const auto edge = [](const kernels::PointsReport& cloud, std::int64_t count) {
    double volume = 1;
    for (std::size_t k = 0; k < cloud.all_low.size(); ++k)
      volume *= cloud.all_high[k] - cloud.all_low[k];
    return std::pow(volume * kernels::kRowBlock / static_cast<double>(count),
                    1 / static_cast<double>(cloud.all_low.size()));
  };
  const auto& [x, y, costs] = problem.inspection();
  const double reach = 2 * radius + edge(x, problem.n()) + edge(y, problem.m());
  const auto kept = [&](const kernels::PointsReport& cloud) {
    double share = 1;
    for (std::size_t k = 0; k < cloud.all_low.size(); ++k)
      share *= std::min(1.0, reach / (cloud.all_high[k] - cloud.all_low[k]));
    return share;
  };
  return std::max(kept(x), kept(y)) < most_kept;
}

template <class T>
void verify(const Problem<T>& problem, SinkhornResult<T>& result, Exec& exec) {
  SinkhornReport& report = result.report;
  report.verified = 0;
  if (report.geometry != Sweeps::tree) return;
  const Plan<T> all(problem, report.epsilon, result.f.view(), result.g.view(), report.mass_level),
      kept(problem, result);
  const auto p = all.marginal(Side::target, exec).to(Device{}, exec.stream),
             q = kept.marginal(Side::target, exec).to(Device{}, exec.stream);
  double lost = 0;
  for (std::int64_t j = 0; j < p.size(); ++j) lost += std::abs(double{p[j]} - double{q[j]});
  report.verified = lost / report.transported_mass;
  if (report.verified > report.truncation + 64.0 * std::numeric_limits<T>::epsilon())
    throw Error(
        fmt::format("[sinkhorn] verify: the mask loses {:.3g} of the mass and its "
                    "certificate says {:.3g}",
                    report.verified, report.truncation));
}

#define MONGE_INSTANTIATE(T)                                        \
  template bool by_tree(const Problem<T>&, const SinkhornOptions&); \
  template void verify(const Problem<T>&, SinkhornResult<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
template Multiscale<float> multiscale(const Problem<float>&, std::shared_ptr<const Forest<float>>,
                                      const SinkhornOptions&, Exec&);
template Multiscale<double> multiscale(const Problem<double>&,
                                       std::shared_ptr<const Forest<double>>,
                                       const SinkhornOptions&, Exec&);
}  // namespace monge

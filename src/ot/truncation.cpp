#include "ot/truncation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "monge/core/error.hpp"
#include "ot/arrays.hpp"
#include "ot/packing.hpp"

namespace monge {
namespace {
using kernels::kColumnBlock;
using kernels::kListWidth;
using kernels::kRowBlock;

/// See kernels::RelistArgs.
Lists relisted(const Lists& from, std::int64_t times, int wider, std::int64_t row_blocks,
               Exec& exec) {
  Lists out{Buffer<std::int64_t>(row_blocks + 1, exec.device), {}, from.width * wider};
  Buffer<std::int64_t> counts(row_blocks, exec.device);
  kernels::RelistArgs args{
      from.offsets.data(), from.blocks.data(), times, wider, counts.data(), nullptr, nullptr};
  kernels::each(args, row_blocks, exec);
  const std::int64_t all = kernels::scan(counts.data(), row_blocks, out.offsets.data(), exec);
  out.blocks = Buffer<std::int32_t>(all, exec.device);
  args.starts = out.offsets.data();
  args.out = out.blocks.data();
  kernels::each(args, row_blocks, exec);
  return out;
}
}  // namespace

template <class T>
std::string no_forest(const Problem<T>& problem) {
  const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (!cloud) return "a cost matrix or a lattice is no cloud of points";
  if (problem.bounds()) return "the plan has lower bounds";
  const CostForm form = cost_form(cloud->cost);
  if (form.form != kernels::Form::squared || form.unit_length)
    return fmt::format("the cost is {}, and bounds are those of sqeuclidean and half_sqeuclidean",
                       cost_name(cloud->cost));
  if (cloud->x.cols > kernels::kTreeDimension)
    return fmt::format("the points have dimension {}, and boxes tell blocks apart up to {}",
                       cloud->x.cols, kernels::kTreeDimension);
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() - kColumnBlock;
  if (const std::int64_t most = std::max(problem.n(), problem.m()); most > kMost)
    return fmt::format("{} points are more than {}", most, kMost);
  return {};
}

namespace {
template <class T>
const PointCloud<T>& cloud_of(const Problem<T>& problem) {
  if (const auto why = no_forest(problem); !why.empty())
    throw NotAvailable("[sinkhorn] geometry tree is not available here: " + why +
                       "; use geometry dense");
  return std::get<PointCloud<T>>(problem.geometry());
}
}  // namespace

template <class T>
Forest<T>::Forest(const Problem<T>& problem, Exec& exec, bool ordered)
    : scale(cost_form(cloud_of(problem).cost).scale),
      source(cloud_of(problem).x, problem.a(), exec, ordered),
      target(cloud_of(problem).y, problem.b(), exec, ordered),
      mass_a(problem.mass_a()),
      mass_b(problem.mass_b()) {}

template <class T>
Mask<T>::Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double budget,
              Exec& exec)
    : Mask(forest, f, g, eps, budget / (2 * forest.mass_a), budget / (2 * forest.mass_b), exec) {}

template <class T>
Mask<T>::Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double row_budget,
              double col_budget, Exec& exec)
    : eps_(eps) {
  const auto planes_f = forest.source.planes(f, exec), planes_g = forest.target.planes(g, exec);
  auto source = forest.source.nodes(), target = forest.target.nodes();
  source.planes = planes_f.data();
  target.planes = planes_g.data();
  choose(forest, Side::source, source, target, row_budget, f, exec);
  choose(forest, Side::target, target, source, col_budget, g, exec);
}

template <class T>
void Mask<T>::choose(const Forest<T>& forest, Side rows, const kernels::Nodes& nodes,
                     const kernels::Nodes& across, double budget, const T* potential, Exec& exec) {
  const bool is_source = rows == Side::source;
  Half& half = is_source ? source_ : target_;
  const std::int64_t n = forest.of(rows).size(), m = forest.of(other(rows)).size();
  auto choice = kernels::choose({.rows = nodes,
                                 .cols = across,
                                 .scale = forest.scale,
                                 .eps = eps_,
                                 .budget = budget,
                                 .total_mass = is_source ? forest.mass_b : forest.mass_a},
                                exec);
  const std::int64_t blocks = choice.loss.size();
  half.lists = {std::move(choice.offsets), std::move(choice.blocks)};
  half.loss = std::move(choice.loss);
  half.list = half.wide_list = half.lists.view();
  if (exec.device.is_cuda()) {
    half.wide = relisted(half.lists, 1, kColumnBlock / kListWidth, blocks, exec);
    half.wide_list = half.wide.view();
  }
  const auto pairs = kernels::sum(
      kernels::ListedPairsArgs{half.list.offsets, half.list.blocks, half.list.width, n, m}, blocks,
      exec);
  kept_ += pairs.value[0] / (2 * static_cast<double>(n) * static_cast<double>(m));
  const auto lost = kernels::sum(
      kernels::WeightedSumArgs{nodes.mass + nodes.first[kernels::kBlockLevel], half.loss.data()},
      blocks, exec);
  lost_ += lost.value[0] * (1 + 1e-9);  // its rounding
  assign<T>(half.potential, {potential, n, 1, exec.device}, exec);
}

template <class T>
double Mask<T>::lost(const T* f, const T* g, Exec& exec) const {
  const auto rise = [&](const T* now, const Buffer<T>& then) {
    return kernels::sum(kernels::RiseArgs<T>{now, then.data()}, then.size(), exec).value;
  };
  const double by = rise(f, source_.potential) + rise(g, target_.potential);
  if (!std::isfinite(by)) return by > 0 ? by : std::numeric_limits<double>::infinity();
  return lost_ * std::exp(by / eps_) * (1 + 1e-12);
}

template <class T>
Lists Mask<T>::repeated(Side rows, std::int64_t times, std::int64_t row_blocks, Exec& exec) const {
  return relisted(of(rows).lists, times, 1, row_blocks, exec);
}

template std::string no_forest(const Problem<float>&);
template std::string no_forest(const Problem<double>&);
template struct Forest<float>;
template struct Forest<double>;
template class Mask<float>;
template class Mask<double>;
}  // namespace monge

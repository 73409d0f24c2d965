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
using kernels::kRowBlock;

double weighted(const kernels::Nodes& nodes, const Buffer<double>& loss) {
  const double* const mass = nodes.mass + nodes.first[kernels::kBlockLevel];
  double sum = 0;
  for (std::int64_t block = 0; block < loss.size(); ++block) sum += mass[block] * loss[block];
  return sum * (1 + 1e-9);  // its rounding
}

/// Pairs of rows and columns on lists of blocks.
double pairs_on(const kernels::Choice& choice, std::int64_t n, std::int64_t m) {
  const auto size = [](std::int64_t block, std::int64_t all) {
    return static_cast<double>(std::min<std::int64_t>(kRowBlock, all - block * kRowBlock));
  };
  double sum = 0;
  for (std::int64_t row = 0; row + 1 < choice.row_offsets.size(); ++row) {
    double columns = 0;
    for (auto e = choice.row_offsets[row]; e < choice.row_offsets[row + 1]; ++e)
      columns += size(choice.row_blocks[e], m);
    sum += columns * size(row, n);
  }
  return sum;
}
/// Places lists of blocks. Sweeps of a GPU take whole column blocks: those that hold one of the
/// list.
Lists placed(Buffer<std::int64_t> offsets, Buffer<std::int32_t> blocks, Exec& exec) {
  Lists out;
  if (exec.device.is_cuda()) {
    constexpr int kBlocks = kColumnBlock / kRowBlock;
    std::int64_t kept = 0, begin = 0;
    for (std::int64_t row = 0; row + 1 < offsets.size(); ++row) {
      const std::int64_t end = offsets[row + 1], first = kept;
      for (std::int64_t e = begin; e < end; ++e) {
        const std::int32_t block = blocks[e] / kBlocks;
        if (kept == first || blocks[kept - 1] != block) blocks[kept++] = block;
      }
      begin = end;
      offsets[row + 1] = kept;
    }
    out.width = kColumnBlock;
  }
  out.offsets = std::move(offsets).to(exec.device, exec.stream);
  out.blocks = std::move(blocks).to(exec.device, exec.stream);
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
  kernels::ChooseArgs args{
      forest.source.nodes(), forest.target.nodes(), forest.scale, eps, row_budget, col_budget};
  args.rows.planes = planes_f.data();
  args.cols.planes = planes_g.data();
  Exec host;
  host.threads = exec.threads;
  host.stop = exec.stop;
  auto choice = kernels::choose(args, host);
  const std::int64_t n = forest.source.size(), m = forest.target.size();
  kept_ = pairs_on(choice, n, m) / (static_cast<double>(n) * static_cast<double>(m));
  lost_ = weighted(args.rows, choice.row_loss) + weighted(args.cols, choice.col_loss);
  source_ = placed(std::move(choice.row_offsets), std::move(choice.row_blocks), exec);
  target_ = placed(std::move(choice.col_offsets), std::move(choice.col_blocks), exec);
  source_list_ = source_.view();
  target_list_ = target_.view();
  source_loss_ = std::move(choice.row_loss);
  target_loss_ = std::move(choice.col_loss);
  assign<T>(f_, {f, n, 1, exec.device}, exec);
  assign<T>(g_, {g, m, 1, exec.device}, exec);
}

template <class T>
double Mask<T>::lost(const T* f, const T* g, Exec& exec) const {
  const auto rise = [&](const T* now, const Buffer<T>& then) {
    return kernels::sum(kernels::RiseArgs<T>{now, then.data()}, then.size(), exec).value;
  };
  const double by = rise(f, f_) + rise(g, g_);
  if (!std::isfinite(by)) return by > 0 ? by : std::numeric_limits<double>::infinity();
  return lost_ * std::exp(by / eps_) * (1 + 1e-12);
}

template <class T>
Lists Mask<T>::repeated(Side rows, std::int64_t times, std::int64_t row_blocks, Exec& exec) const {
  const Lists& from = rows == Side::source ? source_ : target_;
  const auto offsets = from.offsets.to(Device{}, exec.stream);
  const auto blocks = from.blocks.to(Device{}, exec.stream);
  Buffer<std::int64_t> starts(row_blocks + 1);
  starts[0] = 0;
  for (std::int64_t r = 0; r < row_blocks; ++r)
    starts[r + 1] = starts[r] + offsets[r / times + 1] - offsets[r / times];
  Buffer<std::int32_t> columns(starts[row_blocks]);
  for (std::int64_t r = 0; r < row_blocks; ++r)
    std::copy(blocks.begin() + offsets[r / times], blocks.begin() + offsets[r / times + 1],
              columns.begin() + starts[r]);
  Lists out;
  out.width = from.width;
  out.offsets = std::move(starts).to(exec.device, exec.stream);
  out.blocks = std::move(columns).to(exec.device, exec.stream);
  return out;
}

template std::string no_forest(const Problem<float>&);
template std::string no_forest(const Problem<double>&);
template struct Forest<float>;
template struct Forest<double>;
template class Mask<float>;
template class Mask<double>;
}  // namespace monge

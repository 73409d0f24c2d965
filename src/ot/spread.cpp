#include "ot/spread.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "kernels/initial.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
constexpr std::int64_t kShare = 64, kFewest = 32, kMost = 1024;  // rows: one in so many, within
}

template <class T>
std::vector<double> outside(const Problem<T>& problem, const Alternation<T>& alternation,
                            std::span<const int> counts, Exec& exec) {
  const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (!cloud) return {};
  const auto &rows = alternation.leading(), &columns = alternation.following();
  const auto points = rows.side == Side::source ? cloud->x : cloud->y;
  const std::int64_t n = points.rows, taken = std::min(n, std::clamp(n / kShare, kFewest, kMost));
  std::vector<std::int64_t> index(taken);
  for (std::int64_t r = 0; r < taken; ++r) index[r] = (2 * r + 1) * n / (2 * taken);
  const auto at = placed(index, exec);
  Buffer<T> picked(taken * points.cols, exec.device);
  kernels::each(kernels::PickRowsArgs<T>{points, at.data(), picked.data()}, picked.size(), exec);
  const auto op = alternation.op().with_points(
      rows.side, {picked.data(), taken, points.cols, points.cols, 1, exec.device}, exec);

  const int k = counts.back();
  Buffer<double> softmin(taken, exec.device);
  Buffer<T> shift(taken, exec.device), weights(taken * k, exec.device);
  Buffer<std::int64_t> entries(taken * k, exec.device);
  const double eps = alternation.epsilon();
  auto h = padded_buffer<T>(columns.weight.size, exec);
  kernels::bias<T>({columns.potential, columns.log_weight, columns.weight.size, eps, h.data()},
                   exec);
  const auto wide = in_double(std::as_const(h).view(), exec);
  op.softmin(rows.side, wide.data(), nullptr, softmin.data(), eps, exec);
  kernels::each(kernels::RoundArgs<T>{softmin.data(), shift.data()}, taken, exec);
  op.top_k(rows.side, h.data(), shift.data(), k, entries.data(), weights.data(), nullptr, eps,
           exec);
  const auto best = weights.to(Device{}, exec.stream);
  std::vector<double> out;
  for (const int count : counts) {
    double kept = 0;
    for (std::int64_t r = 0; r < taken; ++r)
      for (int c = 0; c < count; ++c) kept += best[r * k + c];
    out.push_back(std::max(0.0, 1 - kept / static_cast<double>(taken)));
  }
  return out;
}

template <class T>
double best_share(Alternation<T>& alternation, int k, Exec& exec) {
  const auto &rows = alternation.leading(), &columns = alternation.following();
  const std::int64_t n = rows.weight.size;
  const double eps = alternation.epsilon();
  auto h = padded_buffer<double>(columns.weight.size, exec);
  kernels::bias<double>({columns.potential, columns.log_weight, columns.weight.size, eps, h.data()},
                        exec);
  Buffer<double> softmin(n, exec.device), squares(n, exec.device);
  const auto sweep = [&](const double* shift, double* out, double at) {
    alternation.op().softmin(rows.side, h.data(), shift, out, at, exec);
    alternation.swept(exec);
  };
  sweep(rows.has_softmin ? rows.softmin : nullptr, softmin.data(), eps);
  sweep(softmin.data(), squares.data(), eps / 2);
  const auto [best, all] =
      kernels::sum(kernels::BestShareArgs<T>{rows.weight, softmin.data(), squares.data(), eps,
                                             static_cast<double>(k)},
                   n, exec)
          .value;
  return best / all;
}

#define MONGE_INSTANTIATE(T)                                                     \
  template std::vector<double> outside(const Problem<T>&, const Alternation<T>&, \
                                       std::span<const int>, Exec&);             \
  template double best_share(Alternation<T>&, int, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge

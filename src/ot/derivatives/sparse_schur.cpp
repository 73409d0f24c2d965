#include "ot/derivatives/sparse_schur.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/derivatives.hpp"
#include "kernels/support.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/block_cg.hpp"

namespace monge {
namespace {
/// What one side's rows have most of, as sparse_join takes it.
template <class T>
struct Lists {
  Buffer<std::int64_t> columns;
  Buffer<double> costs;
  std::int64_t rows, k;
  operator kernels::SparseJoinArgs::Listed() const {
    return {columns.data(), costs.data(), rows, k};
  }
};

template <class T>
Lists<T> listed(const Linear<T>& linear, Side side, Exec& exec) {
  const std::int64_t n = linear.side(side).weight.size, m = linear.side(other(side)).weight.size,
                     k = std::min(SparseSchur<T>::kEntries, m);
  Lists<T> out{Buffer<std::int64_t>(n * k, exec.device), Buffer<double>(n * k, exec.device), n, k};
  Buffer<T> weights(n * k, exec.device);
  Buffer<double> softmin(n, exec.device);
  const T *h = linear.side(other(side)).bias.data(), *shift = linear.side(side).potential.data();
  linear.op->top_k(side, h, shift, static_cast<int>(k), out.columns.data(), weights.data(),
                   softmin.data(), linear.eps, exec);
  kernels::each(kernels::ListedCostArgs<T>{out.columns.data(), weights.data(), h, shift, k,
                                           linear.eps, out.costs.data()},
                n * k, exec);
  return out;
}
}  // namespace

template <class T>
SparseSchur<T>::SparseSchur(const Linear<T>& linear, Side unknown, Exec& exec)
    : linear_(linear), unknown_(unknown) {
  const Side known = other(unknown);
  const auto of_rows = listed(linear, known, exec), of_cols = listed(linear, unknown, exec);
  const std::int64_t most = of_rows.columns.size() + of_cols.columns.size();
  const auto room = [&](Axis& axis, Side side) {
    axis.weight = in_double(linear.side(side).weight, exec);
    axis.scale = Buffer<double>(axis.weight.size(), exec.device);
    axis.offsets = Buffer<std::int64_t>(axis.weight.size() + 1, exec.device);
    axis.index = Buffer<std::int32_t>(most, exec.device);
    axis.costs = Buffer<double>(most, exec.device);
    axis.shares = Buffer<double>(most, exec.device);
    return kernels::SparseJoinArgs::Sides{axis.offsets.data(), axis.index.data(),
                                          axis.costs.data()};
  };
  rows_.entries = cols_.entries = kernels::sparse_join({.of_rows = of_rows,
                                                        .of_columns = of_cols,
                                                        .rows = room(rows_, known),
                                                        .columns = room(cols_, unknown)},
                                                       exec);
  const auto share = [&](Axis& axis, Side side) {
    const auto h = in_double(linear.side(other(side)).bias.view(), exec),
               f = in_double(linear.side(side).potential.view(), exec);
    kernels::sparse_softmin({.pairs = axis.pairs(),
                             .h = h.data(),
                             .rest = nullptr,
                             .eps = linear.eps,
                             .out = axis.scale.data(),
                             .shares = axis.shares.data()},
                            exec);
    kernels::each(kernels::MarginalRatioArgs<double>{f.data(), axis.scale.data(), linear.eps,
                                                     axis.scale.data()},
                  f.size(), exec);
    axis.costs = {};
  };
  share(rows_, known);
  share(cols_, unknown);
  const auto carried = [&](const double* ratio) {
    const auto ones = filled(rows_.weight.size(), 1.0, exec);
    return kernels::sum(kernels::WeightedRowsArgs<double>{rows_.weight.view(), nullptr, ratio,
                                                          ones.data(), 1, 0},
                        ones.size(), exec)
        .value[0];
  };
  lost_ = std::max(0.0, 1 - carried(rows_.scale.data()) / carried(linear.side(known).ratio.data()));
}

template <class T>
double SparseSchur<T>::bytes(const Linear<T>& linear) {
  const auto n = static_cast<double>(linear.source.weight.size),
             m = static_cast<double>(linear.target.weight.size);
  constexpr double kEntry = 2 * (2 * sizeof(double) + sizeof(std::int32_t)) + sizeof(std::int64_t) +
                            sizeof(double) + sizeof(T);
  return kEntry * kEntries * (n + m);
}

template <class T>
void SparseSchur<T>::Axis::apply(const double* v, double* out, Exec& exec) const {
  kernels::sparse_apply(
      {.pairs = pairs(), .shares = shares.data(), .scale = scale.data(), .v = v, .out = out}, exec);
}

template <class T>
void SparseSchur<T>::solve(const Buffer<double>& diagonal, const Buffer<double>& r,
                           std::int64_t count, Buffer<double>& w, Exec& exec) const {
  // Enough for an outer iteration, whose passes cost more than what comes of another digit.
  constexpr BlockOptions kInner{1e-2, 200};
  using Power = kernels::RescaleArgs<double>::Power;
  const LinearSide<T>&rows = linear_.side(other(unknown_)), &cols = linear_.side(unknown_);
  const std::int64_t n = rows.weight.size, m = cols.weight.size;
  Buffer<double> z(m, exec.device), met(n, exec.device);
  const BlockProduct product = [&](const Buffer<double>& v, std::int64_t, Buffer<double>& out) {
    kernels::each(
        kernels::RescaleArgs<double>{v.data(), diagonal.data(), Power::inverse_root, 1, z.data()},
        m, exec);
    rows_.apply(z.data(), met.data(), exec);
    kernels::each(kernels::RespondArgs<double>{rows.response.data(), 1, met.data()}, n, exec);
    cols_.apply(met.data(), z.data(), exec);
    kernels::each(
        kernels::SchurProductArgs<double>{cols_.weight.view(), cols.curvature.data(),
                                          diagonal.data(), v.data(), z.data(), 1, out.data()},
        m, exec);
  };
  for (std::int64_t c = 0; c < count; ++c) {
    std::vector<double> unit(count, 0.0);
    unit[c] = 1;
    const auto column = placed(unit, exec);
    Buffer<double> own(m, exec.device);
    kernels::each(kernels::CombineArgs{r.data(), column.data(), count, 1, 0, own.data()}, m, exec);
    auto x = filled(m, 0.0, exec);
    const double size = std::sqrt(gram(own, 1, own, 1, exec)[0]);
    block_cg(
        product, [](Buffer<double>&, std::int64_t) {}, {}, {}, {size}, x, own, kInner, exec);
    kernels::each(
        kernels::CombineArgs{x.data(), column.data(), 1, count, c == 0 ? 0.0 : 1.0, w.data()},
        m * count, exec);
  }
}

template class SparseSchur<float>;
template class SparseSchur<double>;
}  // namespace monge

// Tangents of a lattice whose points stand still: every part of t is a sum over j of a product, so
// that averages along the axes give all of it.
#include "kernels/derivatives.hpp"
#include "monge/core/error.hpp"
#include "ot/arrays.hpp"
#include "ot/lattice.hpp"

namespace monge {
template <class T>
void LatticeSweep<T>::cost_sums(Side rows, const T* h, const T* shift, T* first, T* second,
                                double eps, Exec& exec) const {
  const std::int64_t n = grids_[rows == Side::source ? 0 : 1].size();
  Buffer<double> s(n, exec.device);
  Wanted wanted;
  wanted.costs = wanted.cost_squares = true;
  const auto averages = sweep(rows, h, s.data(), wanted, eps, kernels::Precision::accurate, exec);
  for (const auto& [kind, out] : {std::pair{Kind::cost, first}, {Kind::cost_square, second}})
    kernels::each(kernels::RowSumsArgs<T>{.average = averages.of({kind, -1}),
                                          .shift = shift,
                                          .s = s.data(),
                                          .eps = eps,
                                          .factor = 1,
                                          .adds = false,
                                          .stride = 1,
                                          .out = out},
                  n, exec);
}

template <class T>
void LatticeSweep<T>::tangent(Side rows, const kernels::TangentArgs<T>& args, Exec& exec) const {
  using kernels::Weighting;
  if (args.a || args.b || args.gradient)
    throw NotAvailable("[operator] the points of a lattice stand still: they have no directions");
  const int to = rows == Side::source ? 0 : 1;
  const std::int64_t n = grids_[to].size(), m = grids_[1 - to].size(), count = args.count,
                     width = args.width;
  const auto into = [&](Weighting weighting, int along, MatrixView<const T> v, const Into& out) {
    products(rows, args.h, args.shift, weighting, along, v, out, args.eps, exec);
  };
  const auto columns = [&](const T* v, std::int64_t stride) -> MatrixView<const T> {
    return {v, m, count, count * stride, stride, exec.device};
  };
  /// Sums of the displacement, [n, width].
  const auto displaced = [&](Weighting weighting, bool wanted) {
    Buffer<T> out(wanted ? n * width : 0, exec.device);
    for (int k = 0; wanted && k < width; ++k) into(weighting, k, {}, {out.data() + k, width, 1});
    return out;
  };
  Buffer<T> sums, costs, squares;
  if (args.row && args.sum) {
    sums = Buffer<T>(n, exec.device);
    into(Weighting::plain, -1, {}, {sums.data(), 1, 1});
  }
  if (args.cost || (args.row && args.costs)) {
    costs = Buffer<T>(n, exec.device);
    squares = Buffer<T>(n, exec.device);
    cost_sums(rows, args.h, args.shift, costs.data(), squares.data(), args.eps, exec);
  }
  const auto plain = displaced(Weighting::plain, (args.p && args.sum) || (args.row && args.mean)),
             costly =
                 displaced(Weighting::cost, (args.p && args.costs) || (args.cost && args.mean));
  const auto gather = [&](Weighting weighting, const Buffer<T>& of_row, const Buffer<T>& of_cost,
                          const Buffer<T>& of_pair, T* out) {
    if (!out) return;
    Buffer<T> col(args.col || args.q ? n * count : 0, exec.device);
    if (args.col) into(weighting, -1, columns(args.col, 1), {col.data(), count, 1});
    for (int k = 0; args.q && k < width; ++k)
      into(weighting, k, columns(args.q + k, width), {col.data(), count, 1, args.col || k > 0});
    kernels::each(
        kernels::LatticeTangentArgs<T>{args.row, of_row.data(), col.data(), args.cost,
                                       of_cost.data(), args.p, of_pair.data(), count, width, out},
        n * count, exec);
  };
  gather(Weighting::plain, sums, costs, plain, args.sum);
  gather(Weighting::cost, costs, squares, costly, args.costs);
  if (!args.mean) return;
  Buffer<T> of_col(args.col ? n * count * width : 0, exec.device);
  for (int k = 0; args.col && k < width; ++k)
    into(Weighting::plain, k, columns(args.col, 1), {of_col.data() + k, count * width, width});
  kernels::each(kernels::LatticeMeanArgs<T>{args.row, plain.data(), of_col.data(), args.cost,
                                            costly.data(), count, width, args.mean},
                n * count * width, exec);
}

template void LatticeSweep<float>::cost_sums(Side, const float*, const float*, float*, float*,
                                             double, Exec&) const;
template void LatticeSweep<double>::cost_sums(Side, const double*, const double*, double*, double*,
                                              double, Exec&) const;
template void LatticeSweep<float>::tangent(Side, const kernels::TangentArgs<float>&, Exec&) const;
template void LatticeSweep<double>::tangent(Side, const kernels::TangentArgs<double>&, Exec&) const;
}  // namespace monge

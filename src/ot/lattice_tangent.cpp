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
  const auto averaged = [&](Weighting weighting, const T* v, std::int64_t k) {
    Buffer<T> out(v ? n * k : 0, exec.device);
    if (v)
      apply(rows, args.h, args.shift, weighting, {v, m, k, k, 1, exec.device}, out.data(), args.eps,
            exec);
    return out;
  };
  Buffer<T> sums, costs, squares;
  if (args.row && args.sum) {
    sums = Buffer<T>(n, exec.device);
    apply(rows, args.h, args.shift, Weighting::plain, {}, sums.data(), args.eps, exec);
  }
  if (args.cost || (args.row && args.costs)) {
    costs = Buffer<T>(n, exec.device);
    squares = Buffer<T>(n, exec.device);
    cost_sums(rows, args.h, args.shift, costs.data(), squares.data(), args.eps, exec);
  }
  const std::int64_t q_width = args.q_each ? count * width : width;
  const auto gather = [&](Weighting weighting, const Buffer<T>& of_row, const Buffer<T>& of_cost,
                          T* out) {
    if (!out) return;
    const auto col = averaged(weighting, args.col, count);
    const auto q = averaged(weighting, args.p ? args.q : nullptr, q_width);
    kernels::each(kernels::LatticeTangentArgs<T>{args.row, of_row.data(), col.data(), args.cost,
                                                 of_cost.data(), args.p, q.data(), args.p_each,
                                                 args.q_each, count, width, out},
                  n * count, exec);
  };
  gather(Weighting::plain, sums, costs, args.sum);
  gather(Weighting::cost, costs, squares, args.costs);
  if (!args.mean) return;
  Buffer<T> products(args.col ? m * count * width : 0, exec.device);
  if (args.col)
    kernels::each(kernels::OuterArgs<T>{args.col, args.q, count, width, products.data()},
                  products.size(), exec);
  const auto product = averaged(Weighting::plain, products.data(), count * width),
             q = averaged(Weighting::plain, args.row ? args.q : nullptr, width),
             costly = averaged(Weighting::cost, args.cost ? args.q : nullptr, width);
  kernels::each(kernels::LatticeMeanArgs<T>{args.row, q.data(), product.data(), args.cost,
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

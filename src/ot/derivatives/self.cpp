#include "ot/derivatives/self.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/block_cg.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
namespace {
using Power = kernels::RescaleArgs<double>::Power;

template <class T>
class SelfTerm {
 public:
  SelfTerm(const Linear<T>& linear, std::int64_t count, DerivativeReport& report, Exec& exec)
      : linear_(linear), at_(linear.source), count_(count), report_(report), exec_(exec) {}

  /// x [n, count] with (D + Q) x = right.
  Buffer<double> solve(const Buffer<double>& right, const SolveOptions& options) {
    Buffer<double> r(right.size(), exec_.device), start;
    rescale(right, count_, r);
    start = r.copy(exec_.stream);
    auto x = filled(r.size(), 0.0, exec_);
    const auto squares = gram(r, count_, r, count_, exec_);
    std::vector<double> size(count_);
    for (std::int64_t c = 0; c < count_; ++c) size[c] = std::sqrt(squares[c * count_ + c]);
    const BlockOptions block{std::max(options.tolerance, residual_floor<T>()),
                             options.max_iterations};
    const auto found = block_cg(
        [&](const Buffer<double>& v, std::int64_t k, Buffer<double>& out) { product(v, k, out); },
        [](Buffer<double>&, std::int64_t) {}, {}, {}, size, x, r, block, exec_);
    report_.iterations += found.iterations;
    report_.residual = std::max(report_.residual, found.residual);
    report_.converged = report_.converged && found.converged;
    Buffer<double> out(x.size(), exec_.device);
    rescale(x, count_, out);
    return out;
  }

 private:
  template <class U>
  void rescale(const Buffer<double>& from, std::int64_t count, Buffer<U>& to) const {
    kernels::each(
        kernels::RescaleArgs<U>{from.data(), at_.curvature.data(),
                                kernels::RescaleArgs<U>::Power::inverse_root, count, to.data()},
        to.size(), exec_);
  }

  /// out = v + D^-1/2 Q D^-1/2 v; one pass.
  void product(const Buffer<double>& v, std::int64_t count, Buffer<double>& out) {
    const std::int64_t n = at_.weight.size;
    Buffer<T> z(n * count, exec_.device), met(n * count, exec_.device);
    rescale(v, count, z);
    linear_.apply(Side::source, kernels::Weighting::plain, z.data(), count, met.data(), exec_);
    kernels::each(kernels::SelfProductArgs<T>{at_.weight, at_.curvature.data(), v.data(),
                                              met.data(), count, out.data()},
                  out.size(), exec_);
    ++report_.passes;
  }

  const Linear<T>& linear_;
  const LinearSide<T>& at_;
  std::int64_t count_;
  DerivativeReport& report_;
  Exec& exec_;
};

}  // namespace

template <class T>
Moves<T> solve_self_moves(const Linear<T>& linear, const Directions<T>& along, bool points,
                          const SolveOptions& options, DerivativeReport& report, Exec& exec) {
  const LinearSide<T>& at = linear.source;
  const auto& of = along.source;
  const std::int64_t count = along.count, size = at.weight.size * count;
  const double eps = linear.eps;
  const Buffer<double>* const bound = of.bound.size() > 0 ? &of.bound : nullptr;
  const auto array = [&] { return Buffer<double>(size, exec.device); };
  Moves<T> out;
  out.first = Side::source;

  const auto sums = sweep(linear, along, {.rows = Side::source, .col = bound}, exec);
  ++report.passes;
  Buffer<double> mean = array(), right = array();
  kernels::each(kernels::MeanArgs<T>{sums.sum.data(), at.ratio.data(), count, -1, mean.data()},
                size, exec);
  kernels::each(kernels::SchurRightArgs<T>{at.weight, at.ratio.data(), at.curvature.data(),
                                           at.potential.data(), sums.sum.data(), of.c.data(),
                                           nullptr, eps, count, right.data()},
                size, exec);
  Buffer<double> z = SelfTerm<T>(linear, count, report, exec).solve(right, options);

  // Q z once more, for what bounds and points of weight 0 do, and with it the sums of the points.
  double factor = eps;
  if (points) {
    out.rows = sweep(linear, along,
                     {.rows = Side::source,
                      .scale = eps,
                      .row = &mean,
                      .col = &z,
                      .col_too = bound,
                      .gradient = true},
                     exec);
  } else {
    const auto in_type = rounded<T>(z, exec);
    out.rows.sum = Buffer<T>(size, exec.device);
    linear.apply(Side::source, kernels::Weighting::plain, in_type.data(), count,
                 out.rows.sum.data(), exec);
    factor = 1;
  }
  ++report.passes;
  out.df = array();
  kernels::each(
      kernels::PotentialMoveArgs<T>{at.tau.data(), at.response.data(), mean.data(),
                                    at.potential.data(), of.c.data(), of.bound.data(), nullptr,
                                    out.rows.sum.data(), eps, factor, count, out.df.data()},
      size, exec);
  out.flow_a = array();
  kernels::each(
      kernels::FlowArgs<T>{at.ratio.data(), at.whole_ratio(), at.tau.data(), out.df.data(),
                           mean.data(), at.potential.data(), out.rows.sum.data(), of.c.data(),
                           nullptr, eps, factor, count, out.flow_a.data()},
      size, exec);
  return out;
}

template Moves<float> solve_self_moves(const Linear<float>&, const Directions<float>&, bool,
                                       const SolveOptions&, DerivativeReport&, Exec&);
template Moves<double> solve_self_moves(const Linear<double>&, const Directions<double>&, bool,
                                        const SolveOptions&, DerivativeReport&, Exec&);
}  // namespace monge

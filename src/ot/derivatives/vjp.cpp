// The transpose of jvp(). With Omega = P omega the cotangent of P,
//   omega_ij = p_i + q_j + k C_ij + (y_j - T_i).theta_i / r_i,
//   F = f + Omega 1 / eps,  G = g + Omega^T 1 / eps,  K [lambda; mu] = [F; G],
//   C^ = P (lambda_i + mu_j + k) - Omega / eps:
// gradients in points are pulls of C^, all others sums of it. Quantities of a row are kept over its
// weight (phi = F / a), so that nothing divides by one that is small.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/directions.hpp"
#include "ot/derivatives/level.hpp"
#include "ot/derivatives/schur.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
namespace {
template <class T>
class Adjoint {
 public:
  Adjoint(const Linear<T>& linear, const Cotangent<T>& given, Exec& exec)
      : linear_(linear), count_(given.count), exec_(exec) {
    check_device("derivatives", "the linearization", linear.device, exec);
    if (count_ < 1)
      throw InvalidArgument(fmt::format("[derivatives] count is {}, wanted >= 1", count_), "count");
    read(source_, Side::source, given.f, "f", given.source, "source");
    read(target_, Side::target, given.g, "g", given.target, "target");
    if (!given.transport_cost.empty()) {
      if (static_cast<std::int64_t>(given.transport_cost.size()) != count_)
        throw InvalidArgument(fmt::format("[derivatives] transport_cost has {} values, wanted {}",
                                          given.transport_cost.size(), count_),
                              "transport_cost");
      cost_ = given.transport_cost;
      cost_share_ = placed(cost_, exec);
    }
    if (given.map.data) read_map(given.map);
  }

  /// by_r off the cotangents of the source's marginal.
  void take_off_source(std::vector<double> by) {
    for (double& v : by) v = -v;
    const auto shares = placed(by, exec_);
    kernels::each(kernels::GaugeShiftArgs{shares.data(), count_, source_.marginal.data()},
                  source_.marginal.size(), exec_);
    has_omega_ = true;
  }

  VjpResult<T> run(Wrt wrt, const SolveOptions& options) {
    VjpResult<T> out;
    out.report = begin_report(linear_);
    report_ = &out.report;
    sum_omega();
    gauge();
    solve(options);
    const bool x = has(wrt, Wrt::source), y = has(wrt, Wrt::target),
               scalar = has(wrt, Wrt::epsilon);
    // The eliminated side's multipliers need what the solved one's are to it.
    const Side first = first_, last = other(first_);
    const auto wanted = [&](Side side) { return side == Side::source ? x : y; };
    const auto weighed = [&](Side side) {
      return has(wrt, side == Side::source ? Wrt::source_weights : Wrt::target_weights) ||
             has(wrt, Wrt::penalty);
    };
    sweep(first, wanted(first), scalar);
    finish_first();
    const LinearSide<T>& cols = linear_.side(last);
    const bool blind = cols.zeros + cols.clipped > 0;
    if (wanted(last) || (weighed(last) && blind) || (scalar && cols.clipped > 0))
      sweep(last, wanted(last), false);
    cross(last);
    if (x) out.dx = points(Side::source);
    if (y) out.dy = points(Side::target);
    if (has(wrt, Wrt::source_weights)) out.da = weights(Side::source);
    if (has(wrt, Wrt::target_weights)) out.db = weights(Side::target);
    if (scalar) out.depsilon = epsilon();
    if (has(wrt, Wrt::penalty)) {
      out.drho_a = strength(Side::source);
      out.drho_b = strength(Side::target);
    }
    finish_report(options, out.report);
    return out;
  }

 private:
  struct OfSide {
    Buffer<double> potential, marginal;  // [n, count] cotangents; marginal less what rows take off
    Buffer<double> omega;                // [n, count] sum_j w_ij omega_ij
    Buffer<double> phi;                  // F / a
    Buffer<double> multiplier;           // lambda or mu
    Buffer<double> crossed;              // (P mu)_i / a_i
    Buffer<T> swept;                     // sum_j w_ij (what a sweep had of C^ / P)
    Buffer<T> gradient, costs;
    Buffer<double> total;  // sum_j w_ij (C^_ij / P_ij - k)
  };
  OfSide& of(Side side) { return side == Side::source ? source_ : target_; }
  std::int64_t size(Side side) const { return linear_.side(side).weight.size; }
  Buffer<double> zeros(Side side) { return filled(size(side) * count_, 0.0, exec_); }
  const double* null_or(const Buffer<double>& v) const { return v.size() > 0 ? v.data() : nullptr; }

  Buffer<double> mixed(const Buffer<double>& x, double kx, const Buffer<double>& y, double ky,
                       const Buffer<T>* s = nullptr, double ks = 0) {
    Buffer<double> out(std::max({x.size(), y.size(), s ? s->size() : 0}), exec_.device);
    kernels::each(kernels::CombinationArgs<T>{null_or(x), null_or(y), s ? s->data() : nullptr, kx,
                                              ky, ks, out.data()},
                  out.size(), exec_);
    return out;
  }
  Buffer<double> scaled(const Buffer<double>& x, const Buffer<double>& by, bool divides) {
    Buffer<double> out(x.size(), exec_.device);
    kernels::each(kernels::ScaleArgs{x.data(), by.data(), count_, divides, out.data()}, out.size(),
                  exec_);
    return out;
  }

  Buffer<double> cotangent(MatrixView<const T> from, Side side, const char* name, bool moves) {
    const std::int64_t n = size(side);
    if (!from.data) return zeros(side);
    if (from.rows != count_ || from.cols != n)
      throw InvalidArgument(fmt::format("[derivatives] {} has shape ({}, {}), wanted ({}, {})",
                                        name, from.rows, from.cols, count_, n),
                            name);
    check_device("derivatives", name, from.device, exec_);
    if (moves && linear_.side(side).zeros > 0)
      for (std::int64_t r = 0; r < count_; ++r)
        refuse_zeros(
            kernels::sum(kernels::WeightMoveArgs<T>{from, linear_.side(side).weight, r}, n, exec_)
                .value[1],
            name);
    Buffer<double> out(n * count_, exec_.device);
    kernels::each(kernels::CotangentArgs<T>{from, out.data()}, out.size(), exec_);
    return out;
  }
  void refuse_zeros(double lost, const char* name) const {
    if (lost > 0)
      throw InvalidArgument(
          fmt::format("[derivatives] {} is not 0 at {} points of weight 0, through which nothing "
                      "is differentiated",
                      name, lost),
          name);
  }
  void read(OfSide& to, Side side, MatrixView<const T> potential, const char* potential_name,
            MatrixView<const T> marginal, const char* marginal_name) {
    to.potential = cotangent(potential, side, potential_name, true);
    to.marginal = cotangent(marginal, side, marginal_name, false);
    has_omega_ = has_omega_ || marginal.data;
  }
  void read_map(MatrixView<const T> given) {
    const std::int64_t n = size(Side::source), d = linear_.op->dim();
    if (d == 0) throw NotAvailable("[derivatives] a cost matrix has no images of points");
    if (given.rows != count_ * n || given.cols != d)
      throw InvalidArgument(fmt::format("[derivatives] map has shape ({}, {}), wanted ({}, {})",
                                        given.rows, given.cols, count_ * n, d),
                            "map");
    check_device("derivatives", "map", given.device, exec_);
    images_ = centred_images(linear_, Side::source, exec_);
    Buffer<T> raw(n * count_ * d, exec_.device);
    kernels::each(kernels::DirectionsArgs<T>{given, n, count_, raw.data()}, raw.size(), exec_);
    if (linear_.source.zeros > 0) {
      const Buffer<double> wide = in_double<T>(raw.view(), exec_);
      const Buffer<double> weight = in_double<T>(linear_.source.weight, exec_);
      const MatrixView<const double> turned{wide.data(), count_ * d, n,
                                            1,           count_ * d, exec_.device};
      for (std::int64_t r = 0; r < count_ * d; ++r)
        refuse_zeros(
            kernels::sum(kernels::WeightMoveArgs<double>{turned, weight.view(), r}, n, exec_)
                .value[1],
            "map");
    }
    theta_ = Buffer<T>(raw.size(), exec_.device);
    Buffer<double> off(n * count_, exec_.device);
    kernels::each(
        kernels::ImageCotangentArgs<T>{linear_.source.weight, raw.data(), images_.images.data(),
                                       linear_.source.whole_ratio(), count_, static_cast<int>(d),
                                       theta_.data(), off.data()},
        n * count_, exec_);
    source_.marginal = mixed(source_.marginal, 1, off, -1);
    has_omega_ = true;
  }

  /// Of `rows`: row + col + cost c + theta's bilinear term, each scaled, in one sweep.
  void sweep_into(Side rows, const Buffer<double>& row, const Buffer<double>& col, double omega,
                  bool gradient, bool costs, OfSide& to, Buffer<T>& sum) {
    const std::int64_t n = size(rows), d = linear_.op->dim();
    const auto in_type = [&](const Buffer<double>& v) { return rounded<T>(v, exec_); };
    const Buffer<T> on_rows = in_type(row), on_cols = in_type(col);
    Buffer<T> of_costs;
    if (!cost_.empty()) {
      std::vector<double> share = cost_;
      for (double& v : share) v *= omega;
      const auto wide = placed(share, exec_);
      of_costs = in_type(wide);
    }
    sum = Buffer<T>(n * count_, exec_.device);
    if (gradient) to.gradient = Buffer<T>(n * count_ * linear_.dim, exec_.device);
    if (costs) to.costs = Buffer<T>(n * count_, exec_.device);
    kernels::TangentArgs<T> args{.count = static_cast<int>(count_),
                                 .row = on_rows.data(),
                                 .col = on_cols.data(),
                                 .cost = of_costs.data(),
                                 .sum = sum.data(),
                                 .costs = costs ? to.costs.data() : nullptr,
                                 .gradient = gradient ? to.gradient.data() : nullptr,
                                 .center = linear_.side(rows).center.data()};
    Buffer<T> scaled_theta;
    if (theta_.size() > 0) {
      scaled_theta = theta_.copy(exec_.stream);
      if (omega != 1)
        kernels::each(
            kernels::AddArgs<T>{theta_.data(), static_cast<T>(omega - 1), scaled_theta.data()},
            theta_.size(), exec_);
      args.width = static_cast<int>(d);
      args.p = rows == Side::source ? scaled_theta.data() : images_.values.data();
      args.q = rows == Side::source ? images_.values.data() : scaled_theta.data();
      args.p_each = rows == Side::source;
      args.q_each = rows == Side::target;
    }
    linear_.tangent(rows, args, exec_);
    ++report_->passes;
  }

  void sum_omega() {
    for (const Side side : {Side::source, Side::target}) {
      OfSide& to = of(side);
      if (!has_omega_ && cost_.empty()) {
        to.omega = zeros(side);
      } else {
        Buffer<T> sum;
        sweep_into(side, to.marginal, of(other(side)).marginal, 1, false, false, to, sum);
        to.omega = in_double<T>(sum.view(), exec_);
      }
      const auto per_weight = in_double<T>(linear_.side(side).weight, exec_);
      const auto potential = scaled(to.potential, per_weight, true);
      to.phi = mixed(potential, 1, to.omega, 1 / linear_.eps);
    }
  }

  /// The free constant is not free: potentials stay in their gauge.
  void gauge() {
    gauge_.assign(count_, 0.0);
    if (!linear_.singular) return;
    const auto total = [&](Side side, std::int64_t r) {
      const LinearSide<T>& at = linear_.side(side);
      const auto ones = filled(at.weight.size, 1.0, exec_);
      return kernels::sum(kernels::WeightedRowsArgs<T>{at.weight, nullptr, ones.data(),
                                                       of(side).phi.data(), count_, r},
                          at.weight.size, exec_)
          .value[0];
    };
    const double masses = linear_.source.mass + linear_.target.mass;
    std::vector<double> down;
    for (std::int64_t r = 0; r < count_; ++r) {
      gauge_[r] = (total(Side::source, r) - total(Side::target, r)) / masses;
      down.push_back(-gauge_[r]);
    }
    const auto shift = [&](const std::vector<double>& by, OfSide& to) {
      const auto placed_by = placed(by, exec_);
      kernels::each(kernels::GaugeShiftArgs{placed_by.data(), count_, to.phi.data()}, to.phi.size(),
                    exec_);
    };
    shift(down, source_);
    shift(gauge_, target_);
  }

  void solve(const SolveOptions& options) {
    first_ = size(Side::source) >= size(Side::target) ? Side::source : Side::target;
    const Side last = other(first_);
    const LinearSide<T>&rows = linear_.side(first_), &cols = linear_.side(last);
    Buffer<double> known = zeros(first_), right = zeros(last);
    kernels::each(kernels::MultiplierArgs<T>{rows.weight, rows.response.data(),
                                             of(first_).phi.data(), nullptr, count_, known.data()},
                  known.size(), exec_);
    Buffer<T> crossed(right.size(), exec_.device);
    const auto in_type = rounded<T>(known, exec_);
    linear_.apply(last, kernels::Weighting::plain, in_type.data(), count_, crossed.data(), exec_);
    ++report_->passes;
    kernels::each(
        kernels::AdjointRightArgs<T>{cols.weight, cols.curvature.data(), of(last).phi.data(),
                                     crossed.data(), count_, right.data()},
        right.size(), exec_);
    of(last).multiplier = solve_schur(linear_, last, right, {}, count_, options, *report_, exec_);
  }

  /// C^ / P of `rows` but for constants of the row: the other side's multipliers and - omega / eps,
  /// relative to its mean.
  void sweep(Side rows, bool gradient, bool costs) {
    OfSide &own = of(rows), &opposite = of(other(rows));
    const auto mean = scaled(own.omega, linear_.side(rows).ratio, true);
    const auto row = mixed(mean, 1 / linear_.eps, own.marginal, -1 / linear_.eps);
    const auto col = mixed(opposite.multiplier, 1, opposite.marginal, -1 / linear_.eps);
    sweep_into(rows, row, col, -1 / linear_.eps, gradient, costs, own, own.swept);
  }

  void finish_first() {
    const LinearSide<T>& rows = linear_.side(first_);
    OfSide& own = of(first_);
    own.multiplier = zeros(first_);
    kernels::each(kernels::MultiplierArgs<T>{rows.weight, rows.response.data(), own.phi.data(),
                                             own.swept.data(), count_, own.multiplier.data()},
                  own.multiplier.size(), exec_);
    cross(first_);
  }

  /// What the other side's multipliers are to a row, and the sums of its C^.
  void cross(Side side) {
    const LinearSide<T>& at = linear_.side(side);
    OfSide& own = of(side);
    own.crossed = zeros(side);
    kernels::each(kernels::CrossedArgs<T>{at.weight, at.ratio.data(), at.tau.data(), own.phi.data(),
                                          own.multiplier.data(),
                                          own.swept.size() > 0 ? own.swept.data() : nullptr, count_,
                                          own.crossed.data()},
                  own.crossed.size(), exec_);
    const auto carried = scaled(own.multiplier, at.ratio, false);
    const auto pulled = mixed(own.crossed, 1, carried, 1);
    own.total = mixed(pulled, 1, own.omega, -1 / linear_.eps);
  }

  Buffer<T> points(Side side) {
    const LinearSide<T>& at = linear_.side(side);
    OfSide& own = of(side);
    const std::int64_t n = at.weight.size, d = linear_.dim;
    Buffer<T> out(own.gradient.size(), exec_.device);
    kernels::each(kernels::PointProductArgs<T>{at.weight, own.gradient.data(), at.center.data(),
                                               at.ratio.data(), own.total.data(), nullptr, 1, n,
                                               count_, d, out.data()},
                  out.size(), exec_);
    if (!cost_.empty())  // what costs are by themselves
      kernels::each(kernels::CostPullArgs<T>{at.weight, at.whole_ratio(), at.whole_slope(),
                                             cost_share_.data(), n, d, out.data()},
                    out.size(), exec_);
    if (auto chain = linear_.op->chain(side)) {
      chain->gradient = out.data();
      for (std::int64_t r = 0; r < count_; ++r) {
        kernels::each(*chain, n, exec_);
        chain->gradient += n * d;
      }
    }
    if (side == Side::target && theta_.size() > 0) {
      Buffer<T> carried(out.size(), exec_.device);
      linear_.apply(Side::target, kernels::Weighting::plain, theta_.data(), count_ * d,
                    carried.data(), exec_, /*whole=*/true);
      ++report_->passes;
      kernels::each(kernels::CarriedArgs<T>{at.weight, carried.data(), n, count_, d, out.data()},
                    out.size(), exec_);
    }
    return out;
  }

  Buffer<T> weights(Side side) {
    const LinearSide<T>& at = linear_.side(side);
    OfSide& own = of(side);
    auto out = mixed(own.crossed, -linear_.eps, own.omega, 1);
    if (at.held())
      kernels::each(kernels::HeldPullArgs{at.ratio.data(), at.whole.data(), own.multiplier.data(),
                                          linear_.eps, count_, out.data()},
                    out.size(), exec_);
    std::vector<double> by = gauge_;
    if (side == Side::source)
      for (double& v : by) v = -v;
    const auto placed_by = placed(by, exec_);
    Buffer<T> turned(out.size(), exec_.device);
    kernels::each(kernels::TurnGaugedArgs<T>{out.data(), at.potential.data(), placed_by.data(),
                                             at.weight.size, count_, turned.data()},
                  turned.size(), exec_);
    return turned;
  }

  /// sum C^ u, u = (f + g - C) / eps.
  std::vector<double> epsilon() {
    const auto paired = [&](Side side, std::int64_t r) {
      const LinearSide<T>& at = linear_.side(side);
      const auto f = in_double<T>(at.potential.view(), exec_);
      Buffer<double> product = scaled(of(side).total, f, false);
      const auto ones = filled(at.weight.size, 1.0, exec_);
      return kernels::sum(kernels::WeightedRowsArgs<T>{at.weight, nullptr, ones.data(),
                                                       product.data(), count_, r},
                          at.weight.size, exec_)
          .value[0];
    };
    // The sweep's costs lack what constants of a row add: (total - swept) / ratio times its cost.
    const Side side = first_;
    const LinearSide<T>& at = linear_.side(side);
    OfSide& own = of(side);
    const auto lacking = mixed(own.total, 1, {}, 0, &own.swept, -1);
    const auto mean = scaled(lacking, at.ratio, true);
    const auto cost = in_double<T>(at.cost.view(), exec_);
    std::vector<double> out;
    for (std::int64_t r = 0; r < count_; ++r) {
      const double costs =
          kernels::sum(kernels::WeightedRowsArgs<T>{at.weight, own.costs.data(), cost.data(),
                                                    mean.data(), count_, r},
                       at.weight.size, exec_)
              .value[0];
      out.push_back((paired(Side::source, r) + paired(Side::target, r) - costs) / linear_.eps);
    }
    return out;
  }

  std::vector<double> strength(Side side) {
    using Kind = kernels::Penalty::Kind;
    const LinearSide<T>& at = linear_.side(side);
    OfSide& own = of(side);
    std::vector<double> out(count_, 0.0);
    if (at.penalty.kind != Kind::kl && at.penalty.kind != Kind::tv) return out;
    Buffer<double> values = zeros(side);
    kernels::each(
        kernels::StrengthArgs<T>{at.whole_ratio(), at.tau.data(), own.phi.data(),
                                 own.multiplier.data(), own.crossed.data(), at.potential.data(),
                                 at.penalty, linear_.eps, count_, values.data()},
        values.size(), exec_);
    const auto ones = filled(at.weight.size, 1.0, exec_);
    for (std::int64_t r = 0; r < count_; ++r)
      out[r] = kernels::sum(kernels::WeightedRowsArgs<T>{at.weight, nullptr, ones.data(),
                                                         values.data(), count_, r},
                            at.weight.size, exec_)
                   .value[0];
    return out;
  }

  const Linear<T>& linear_;
  std::int64_t count_;
  Exec& exec_;
  DerivativeReport* report_ = nullptr;
  OfSide source_, target_;
  std::vector<double> cost_;  // k of each direction, or empty
  Buffer<double> cost_share_;
  CentredImages<T> images_;
  Buffer<T> theta_;  // [n, count, d] over the masses of the rows
  bool has_omega_ = false;
  std::vector<double> gauge_;
  Side first_ = Side::source;
};

/// <cotangent, moves> of every direction, on the host.
template <class T>
std::vector<double> paired(const Cotangent<T>& cotangent, const JvpResult<T>& moves, Exec& exec) {
  std::vector<double> out(cotangent.count, 0.0);
  const auto add = [&](MatrixView<const T> given, const Buffer<T>& move) {
    if (!given.data) return;
    const auto of = on_host(given, exec);
    const auto to = move.to(Device{}, exec.stream);
    for (std::int64_t e = 0; e < of.size(); ++e)
      out[e / to.size()] += static_cast<double>(of[e]) * to[e % to.size()];
  };
  add(cotangent.f, moves.df);
  add(cotangent.g, moves.dg);
  add(cotangent.source, moves.source);
  add(cotangent.target, moves.target);
  add(cotangent.map, moves.map);
  for (std::size_t r = 0; r < cotangent.transport_cost.size(); ++r)
    out[r] += cotangent.transport_cost[r] * moves.transport_cost[0];
  return out;
}
}  // namespace

// With a total mass what moves is J t + J_l dl, dl = (dmass - <1, dp>) / of_level, dp = how the
// source's marginal moves with t: the level is gone when <cotangent, J_l> / of_level is taken off
// the cotangent of that marginal.
template <class T>
VjpResult<T> vjp(const Linearization<T>& at, const Cotangent<T>& cotangent, Wrt wrt,
                 const SolveOptions& options, Exec& exec) {
  const Linear<T>& linear = at.linear();
  if (has(wrt, Wrt::source | Wrt::target)) check_moving_points(linear);
  if (has(wrt, Wrt::cost))
    throw NotAvailable("[derivatives] cotangents of the entries of a cost matrix are not formed");
  Adjoint<T> adjoint(linear, cotangent, exec);
  if (!linear.fixed_mass) return adjoint.run(wrt, options);
  SolveOptions each = options;
  each.strict = false;  // of the whole, below
  const auto level = level_jvp(at, each, exec);
  auto dmass = paired(cotangent, level, exec);
  const double of_level = mass_moves(level.source, 1, exec)[0];
  check_level(of_level);
  for (double& v : dmass) v /= of_level;
  adjoint.take_off_source(dmass);
  auto out = adjoint.run(wrt, each);
  out.dmass = std::move(dmass);
  merge(out.report, level.report);
  finish_report(options, out.report);
  return out;
}

template VjpResult<float> vjp(const Linearization<float>&, const Cotangent<float>&, Wrt,
                              const SolveOptions&, Exec&);
template VjpResult<double> vjp(const Linearization<double>&, const Cotangent<double>&, Wrt,
                               const SolveOptions&, Exec&);
}  // namespace monge

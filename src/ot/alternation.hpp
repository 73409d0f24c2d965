// The iteration itself: two sides updated in turn, and what each pair of potentials is worth.
#pragma once
#include <cstdint>

#include "kernels/update.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "ot/bounds.hpp"
#include "ot/operator.hpp"
#include "ot/split_pair.hpp"

namespace monge {
/// State of one solve at one epsilon after another. An iteration is
///   f = prox(softmin(g))     on the leading side,
///   t = softmin(f)           which also measures the pair (f, g): two passes and no more,
///   g = prox(t)              on the following side, then the translation or the mass step.
/// The pair that is checked and returned is (f, g) before g moves: its leading marginal is
/// exact after a plain half-step, its following residual is known from t.
template <class T>
class Alternation {
 public:
  Alternation(const Problem<T>& problem, Operator<T>& op, bool translate, Exec& exec);

  void start(const Start<T>& start, Exec& exec);
  void set_epsilon(double eps) {
    eps_ = eps;
    lead_.has_bias = follow_.has_bias = lead_.absorbed = follow_.absorbed = false;
    absorbed_before_ = -1;
  }
  double epsilon() const { return eps_; }
  /// Of a planted operator: the share of the transported mass that its sweeps may lose.
  void truncate(double share) { share_ = share; }

  /// f = f + omega (prox(softmin(g)) - f); a relaxed step that lowers the dual is replaced by the
  /// plain one.
  void lead(double omega, Exec& exec);
  /// t = softmin(f): afterwards check() is known. `image`, where not null, is where follow_into()
  /// would write.
  void sweep_following(Exec& exec, double* image = nullptr);
  /// g = g + omega (prox(t) - g), then translation or mass step.
  void follow(double omega, Exec& exec);

  /// Two Balanced sides, whose f and g may exchange a constant that nothing sees.
  bool balanced() const {
    constexpr auto kBalanced = kernels::Penalty::Kind::balanced;
    return lead_.penalty.kind == kBalanced && follow_.penalty.kind == kBalanced;
  }
  /// Whether follow() is a half-step and no more.
  bool follows_alone() const { return !level_.size() && !translates() && !bounds_; }
  /// Then: what follow(1) would make of g, which stays.
  void follow_into(double* image, Exec& exec);

  /// The pair (f, g) between sweep_following() and follow().
  struct Check {
    double residual_a, residual_b, mass, marginal_error, dual, gap;
    double dual_a, dual_b;  // sum a conjugate(f) and sum b conjugate(g)
    double mass_shift;      // what both potentials gain to meet the total mass, and
    double level;           // the level with it; 0 where there is none
    double truncation;      // what the marginals may have lost to a mask, over the mass
    bool absorbed;          // both sweeps read a kernel that does not round scores as they do
    bool finite;
  };
  Check check(Exec& exec);

  /// Copies the pair of `check` (with its mass shift) out, in the order source, target.
  void copy_pair(const Check& check, SplitPair<T>& to, Exec& exec) const;
  /// Between two iterations or sweep_following() and follow(): has the operator absorb the pair,
  /// where `passes` more at this epsilon repay it and none that it keeps is near enough; `rough` as
  /// the operator has it.
  void absorb(double passes, std::int64_t budget, bool rough, Exec& exec);

  /// The k best of each row of a side, from the sweep that was its softmin (kernels/top_k.hpp).
  struct TopLists {
    int k = 0;
    Buffer<std::int64_t> columns;
    Buffer<T> weights;
    Buffer<T> h, shift;  // that they were found by
  };
  /// lead(1) and sweep_following(), with the best entries of every row; afterwards check() is
  /// known.
  void visit(int k, TopLists& lead, TopLists& follow, Exec& exec);
  /// The following potential, and about what the two sweeps to come will give.
  void set_following(const double* g, const double* lead_softmin, const double* follow_softmin,
                     Exec& exec);

  std::int64_t passes() const { return passes_; }
  std::int64_t absorbed() const { return absorbed_; }  // passes that read a kernel

  struct Half {
    Side side;
    VectorView<const T> weight;
    double mass = 0;
    kernels::Penalty penalty;
    // Arrays share a Buffer: on a GPU making and freeing one costs as much as a small sweep.
    Buffer<double> memory;
    double *h, *softmin, *log_weight, *potential;  // [padded(n)], [n] each

    kernels::MovedSide<T> moved() { return {potential, softmin, weight, mass, penalty}; }
    BoundedSide<T> bounded;    // its lines with lower bounds
    bool has_softmin = false;  // an earlier softmin is a shift for the next, and
    bool has_shift = false;    // a start about what the first will be
    bool has_bias = false;     // h is that of the potential
    bool absorbed = false;     // the softmin was read from a kernel
  };
  const Half& leading() const { return lead_; }
  const Half& following() const { return follow_; }
  /// The following potential, for whoever moves it beyond its own steps.
  double* moved() {
    follow_.has_bias = false;
    return follow_.potential;
  }
  /// The same for one who writes the bias of it as well.
  kernels::BiasArgs<double> moved_with_bias() {
    follow_.has_bias = true;
    return {follow_.potential, follow_.log_weight, follow_.weight.size, eps_, follow_.h};
  }
  /// It becomes g again.
  void put_back(const double* g, Exec& exec) {
    copy(moved(), exec.device, g, exec.device, follow_.weight.size * std::int64_t{sizeof(double)},
         exec.stream);
  }
  /// Whether a free level moves with the potentials: then the following one alone is no state.
  bool has_level() const { return level_.size() > 0; }
  const Operator<T>& op() const { return op_; }
  /// h and potential of a side for the verbs that take them in T, each rounded once.
  struct InType {
    Buffer<T> owned;  // of float
    const T *h, *potential;
  };
  InType in_type(const Half& half, Exec& exec) const;
  /// Sweeps that another verb has made.
  void swept(Exec& exec, std::int64_t count = 1) { exec.state.passes = passes_ += count; }

 private:
  void need_bias(Half& half, Exec& exec);
  void sweep(Half& half, Half& from, Exec& exec, const kernels::HalfStepArgs<T>* step = nullptr);
  void mask(const Half& half, Exec& exec);
  void sweep(Half& half, Half& from, int k, TopLists& lists, Exec& exec);
  kernels::HalfStepArgs<T> step_of(const Half& half, double omega, bool moves) const;
  kernels::HalfStepArgs<T> step_into(double* image) const;
  void update(Half& half, double omega, bool moves, Exec& exec);
  bool translates() const;
  kernels::MeasureArgs<T> measured(const Half& half) const;
  double bound_gain(Exec& exec) const;
  Half make_half(const Problem<T>& problem, Side side, Exec& exec) const;

  Operator<T>& op_;
  const BoundEntries* bounds_;  // null: none
  bool translate_;
  bool cold_ = true;          // no start: the first potentials are 0
  bool leads_alone_ = false;  // a start of the leading side: the following one comes of it
  double eps_ = 0;
  double total_mass_ = 0;
  Buffer<double> level_;  // [1] of a total mass with both sides capped, where the data are
  Half lead_, follow_;
  std::int64_t passes_ = 0, absorbed_ = 0;
  std::int64_t absorbed_before_ = -1;       // the last kernel; -1: there was none
  double share_ = 0, mass_ = 0, lost_ = 0;  // of a planted operator; lost_ is that of the pair
};
}  // namespace monge

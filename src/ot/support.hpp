// The support phase: at small epsilon a few entries of each row and column carry nearly all of the
// plan. Newton solves on those at O(n k) a step, the rest held fixed (restricted.hpp); a visit, two
// full passes with their top_k, then measures the true residual and renews support and remainders.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "ot/restricted.hpp"

namespace monge {
struct SupportOutcome {
  bool ended = false;             // a visit was told to be the last
  bool costly = false;            // steps cost more than passes: another phase would, too
  int visits = 0;                 // each two full passes
  std::int64_t sparse_steps = 0;  // responses and products on the support, each about 2 n k pairs
  int k = 0;
  double lost = 0;  // share of the plan outside the support, at the last visit
  std::string why;  // it ended, or left
};

template <class T>
class SupportPhase {
 public:
  using Check = typename Alternation<T>::Check;

  static constexpr int kFirst = 32, kMost = 128;  // entries of a row

  /// On the pair of `alternation`; `budget`: bytes that the support may take.
  SupportPhase(Alternation<T>& alternation, double tolerance, std::int64_t budget, Exec& exec);

  /// From the epsilon of the alternation down to `target`. `visited` is told of every visit, at
  /// whatever epsilon, and ends the phase by returning true. The alternation is left between
  /// sweep_following() and follow(), at the last pair visited.
  /// `first`: entries of a row to begin with.
  SupportOutcome run(double target, const std::function<bool(const Check&)>& visited,
                     int first = kFirst);

 private:
  void respond(Buffer<double>& g, double eps);
  NewtonReport solve(Buffer<double>& g, double eps, double tolerance);
  double follow_path(Buffer<double>& g, double from, double to);
  void keep_feasible(Buffer<double>& g);
  /// g is what the next visit looks at.
  void visit_next(Buffer<double>& g);
  /// It looks at summit_ + stride_ way_.
  void stride();
  bool shorten();
  double passes_of_step() const;
  double steps_left() const;

  Alternation<T>& alternation_;
  const double tolerance_;
  const int most_;  // entries of a row that the budget allows
  Exec& exec_;
  Restricted<T> model_;
  Newton<Restricted<T>> newton_;
  typename Alternation<T>::TopLists rows_, columns_;
  Buffer<double> before_, trial_;  // of the path in epsilon: the point before the last, the next
  Buffer<double> summit_, way_;    // of a climb: the highest point known, and a step
  double stride_ = 0;              // steps from the summit to the visit; 0: there is no climb
  int shorter_ = 0;                // how often it was halved
  SupportOutcome outcome_;
  double passes_ = 0;  // over all pairs, that steps on the support come to
};
}  // namespace monge

// The following half-step, mixed with those before it (anderson.hpp) and, where its slow modes are
// smooth, corrected by a coarse basis (coarse.hpp). A mix that lowered the dual is undone.
#pragma once
#include <limits>
#include <optional>

#include "ot/anderson.hpp"
#include "ot/coarse.hpp"

namespace monge {
template <class T>
class Mixing {
 public:
  using Check = typename Alternation<T>::Check;

  Mixing(const Problem<T>& problem, Alternation<T>& alternation, Exec& exec);

  bool active() const { return mixes_; }
  void begin() { mixes_ = true; }
  /// Plain steps again, and nothing is remembered.
  void end();

  /// Whether mixes could be corrected that are not yet, and no correction has failed too often.
  bool may_correct() const;
  /// From the pair in hand, between sweep_following() and follow(); where points are few or of many
  /// dimensions there is none.
  void correct();
  /// The basis, of the last correct(); null: there is none in use.
  const Coarse<T>* coarse() const { return corrects_ ? &*coarse_ : nullptr; }

  /// sweep_following(), and with it what follow() needs to know of the plain step, so that a check
  /// and it are waited for at once. g stays.
  void sweep();
  void follow(double omega);
  /// After sweep_following(): whether the last mix lowered the dual, beyond its rounding. Then g is
  /// what a plain step had made of it.
  bool undone(const Check& check);

 private:
  bool looks_ahead() const;
  void step();
  void forget();

  const Problem<T>& problem_;
  Alternation<T>& alternation_;
  Exec& exec_;
  Anderson<T> history_;
  std::optional<Coarse<T>> coarse_;
  double* image_ = nullptr;              // of g, in the history
  const double* plain_ = nullptr;        // the last mix made of it; null: nothing was mixed
  Buffer<double> before_, uncorrected_;  // g, and its image, where step() or a correction moves it
  double dual_ = -std::numeric_limits<double>::infinity();  // of the pair that was mixed from
  int undone_ = 0;
  bool mixes_ = false, corrects_ = false;
  bool ahead_ = false;  // the history has a step that follow() is to take
};
}  // namespace monge

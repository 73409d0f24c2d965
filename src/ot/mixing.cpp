#include "ot/mixing.hpp"

#include <cmath>
#include <variant>

#include "ot/arrays.hpp"

namespace monge {
namespace {
constexpr int kUndone = 2;  // mixes after which a correction is no good

/// Two balanced masses that differ in their rounding: f and g drift apart for ever.
template <class T>
double drift(const Alternation<T>& alternation) {
  const auto &lead = alternation.leading(), &follow = alternation.following();
  return alternation.balanced() ? alternation.epsilon() * std::log(follow.mass / lead.mass) : 0;
}
}  // namespace

template <class T>
Mixing<T>::Mixing(const Problem<T>& problem, Alternation<T>& alternation, Exec& exec)
    : problem_(problem),
      alternation_(alternation),
      exec_(exec),
      history_(alternation.following().weight, alternation.following().penalty) {}

template <class T>
void Mixing<T>::end() {
  mixes_ = corrects_ = false;
  undone_ = 0;
  forget();
  dual_ = -std::numeric_limits<double>::infinity();
}

template <class T>
bool Mixing<T>::may_correct() const {
  return mixes_ && !corrects_ && undone_ <= kUndone;
}

template <class T>
void Mixing<T>::correct() {
  const auto* cloud = std::get_if<PointCloud<T>>(&problem_.geometry());
  const auto& side = alternation_.following();
  if (!cloud || cloud->x.cols > Coarse<T>::kDimension || side.weight.size < Coarse<T>::kLeastPoints)
    return;
  if (!coarse_)
    coarse_.emplace(side.side == Side::source ? cloud->x : cloud->y, side.weight, exec_);
  coarse_->build(alternation_, exec_);
  forget();  // of another map
  corrects_ = true;
}

template <class T>
void Mixing<T>::forget() {
  history_.forget();
  plain_ = nullptr;
  ahead_ = false;
}

template <class T>
bool Mixing<T>::looks_ahead() const {
  return mixes_ && !corrects_ && alternation_.follows_alone();
}

template <class T>
void Mixing<T>::sweep() {
  if (!looks_ahead()) return alternation_.sweep_following(exec_);
  if (ahead_) forget();  // a step that was never taken
  image_ = history_.image(exec_);
  alternation_.sweep_following(exec_, image_);
  history_.remember(alternation_.following().potential, drift(alternation_), exec_);
  ahead_ = true;
}

// The plain step into image_. Where it moves more than g, or is corrected, g first becomes it.
template <class T>
void Mixing<T>::step() {
  const auto& side = alternation_.following();
  const VectorView<const double> g{side.potential, side.weight.size, 1, exec_.device};
  image_ = history_.image(exec_);
  if (looks_ahead()) {
    alternation_.follow_into(image_, exec_);
    return history_.remember(g.data, drift(alternation_), exec_);
  }
  assign<double>(before_, g, exec_);
  if (corrects_) coarse_->before(alternation_, exec_);
  alternation_.follow(1, exec_);
  if (corrects_) {
    assign<double>(uncorrected_, g, exec_);
    coarse_->after(alternation_.moved(), side.penalty, exec_);
  }
  copy(image_, exec_.device, g.data, exec_.device, g.size * std::int64_t{sizeof(double)},
       exec_.stream);
  history_.remember(before_.data(), drift(alternation_), exec_);
}

template <class T>
void Mixing<T>::follow(double omega) {
  if (!mixes_) return alternation_.follow(omega, exec_);
  if (!ahead_) {
    step();
    synchronize(exec_.device, exec_.stream);
  }
  ahead_ = false;
  double* const g = alternation_.moved();
  const bool mixed = history_.mix(g, alternation_.moved_with_bias(), exec_);
  if (mixed) {
    plain_ = corrects_ ? uncorrected_.data() : image_;
  } else {
    alternation_.put_back(image_, exec_);
    forget();
  }
}

template <class T>
bool Mixing<T>::undone(const Check& check) {
  const double u = alternation_.op().is_rough() ? std::numeric_limits<float>::epsilon()
                                                : std::numeric_limits<T>::epsilon();
  const double rounding = 8 * u * (std::abs(dual_) + alternation_.epsilon() * check.mass);
  if (mixes_ && plain_ && !(check.finite && check.dual >= dual_ - rounding)) {
    alternation_.put_back(plain_, exec_);
    forget();
    if (++undone_ > kUndone) corrects_ = false;
    return true;
  }
  dual_ = check.dual;
  return false;
}

template class Mixing<float>;
template class Mixing<double>;
}  // namespace monge

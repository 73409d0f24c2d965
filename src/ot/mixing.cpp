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
  const auto balanced = kernels::Penalty::Kind::balanced;
  return lead.penalty.kind == balanced && follow.penalty.kind == balanced
             ? alternation.epsilon() * std::log(follow.mass / lead.mass)
             : 0;
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
  history_.forget();
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
  history_.forget();  // of another map
  corrects_ = true;
}

template <class T>
void Mixing<T>::follow(double omega) {
  if (!mixes_) return alternation_.follow(omega, exec_);
  history_.before(alternation_.following().potential, exec_);
  if (corrects_) coarse_->before(alternation_, exec_);
  alternation_.follow(1, exec_);
  const auto& side = alternation_.following();
  assign<double>(plain_, {side.potential, side.weight.size, 1, exec_.device}, exec_);
  if (corrects_) coarse_->after(alternation_.moved(), side.penalty, exec_);
  history_.after(alternation_.moved(), drift(alternation_), exec_);
}

template <class T>
bool Mixing<T>::undone(const Check& check) {
  const double u = alternation_.op().is_rough() ? std::numeric_limits<float>::epsilon()
                                                : std::numeric_limits<T>::epsilon();
  const double rounding = 8 * u * (std::abs(dual_) + alternation_.epsilon() * check.mass);
  if (mixes_ && !history_.empty() && !(check.finite && check.dual >= dual_ - rounding)) {
    alternation_.put_back(plain_, exec_);
    history_.forget();
    if (++undone_ > kUndone) corrects_ = false;
    return true;
  }
  dual_ = check.dual;
  return false;
}

template class Mixing<float>;
template class Mixing<double>;
}  // namespace monge

#include "ot/anderson.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/entries.hpp"

namespace monge {
namespace {
// Two vectors of double a column and point: fewer where that would outweigh the points.
constexpr std::int64_t kManyPoints = std::int64_t{1} << 18;
constexpr int kShortHistory = 8;
// Of the Gram matrix with a diagonal of ones: residuals that nearly agree must not be told apart by
// their rounding.
constexpr double kRidge = 1e-12;

/// b becomes x of (G + ridge) x = b, k of them, G symmetric with a diagonal of ones, by Cholesky
/// factorisation in its place.
void solve(double* g, double* b, int k) {
  double inverse[kernels::kHistory];  // of the diagonal
  for (int i = 0; i < k; ++i) {
    double* const row = g + i * k;
    row[i] += kRidge;
    for (int j = 0; j <= i; ++j) {
      double sum = row[j];
      for (int l = 0; l < j; ++l) sum -= row[l] * g[j * k + l];
      if (j < i)
        row[j] = sum * inverse[j];
      else
        inverse[i] = 1 / std::sqrt(std::max(sum, kRidge));
    }
  }
  for (int i = 0; i < k; ++i) {
    for (int l = 0; l < i; ++l) b[i] -= g[i * k + l] * b[l];
    b[i] *= inverse[i];
  }
  for (int i = k; i-- > 0;) {
    for (int l = i + 1; l < k; ++l) b[i] -= g[l * k + i] * b[l];
    b[i] *= inverse[i];
  }
}
}  // namespace

template <class T>
double* Anderson<T>::image(Exec& exec) {
  const std::int64_t n = weight_.size;
  if (window_ == 0) {
    window_ = n > kManyPoints ? kShortHistory : kernels::kHistory;
    images_ = Buffer<double>(window_ * n, exec.device);
    residuals_ = Buffer<double>(window_ * n, exec.device);
    gram_.resize(static_cast<std::size_t>(window_) * window_);
  }
  ++steps_;
  return images_.data() + newest() * n;
}

template <class T>
void Anderson<T>::remember(const double* g, double drift, Exec& exec) {
  const std::int64_t n = weight_.size;
  dots_ = kernels::sum_later(kernels::MovedArgs<T>{weight_, g, images_.data() + newest() * n, drift,
                                                   residuals_.data(), n, newest(), count()},
                             n, exec);
}

// Of the residuals r_c those that make |sum alpha_c r_c| least with sum alpha_c = 1, from their
// Gram matrix scaled to a diagonal of ones: lengths differ by orders of magnitude. False: none are
// known.
template <class T>
bool Anderson<T>::find(double* alpha) const {
  const int k = count();
  double scaled[kernels::kHistory * kernels::kHistory], inverse[kernels::kHistory];
  for (int c = 0; c < k; ++c) alpha[c] = inverse[c] = 1 / std::sqrt(gram_[c * window_ + c]);
  for (int c = 0; c < k; ++c)
    for (int e = 0; e < k; ++e)
      scaled[c * k + e] = gram_[c * window_ + e] * inverse[c] * inverse[e];
  solve(scaled, alpha, k);
  double sum = 0;
  for (int c = 0; c < k; ++c) sum += alpha[c] *= inverse[c];
  for (int c = 0; c < k; ++c) alpha[c] /= sum;
  return std::all_of(alpha, alpha + k, [](double a) { return std::isfinite(a); });
}

template <class T>
bool Anderson<T>::mix(double* g, const kernels::BiasArgs<double>& bias, Exec& exec) {
  for (int c = 0; c < count(); ++c)
    gram_[c * window_ + newest()] = gram_[newest() * window_ + c] = dots_->value[c];
  kernels::MixArgs args{images_.data(), weight_.size, count(), {}, penalty_, g, bias};
  if (!find(args.coefficient)) {
    forget();
    return false;
  }
  kernels::each(args, kernels::padded(bias.n), exec);
  return true;
}

template class Anderson<float>;
template class Anderson<double>;
}  // namespace monge

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

/// x of (G + ridge) x = b, G symmetric with a diagonal of ones, by Cholesky factorisation.
std::vector<double> solved(std::vector<double> g, std::vector<double> b) {
  const std::size_t k = b.size();
  for (std::size_t i = 0; i < k; ++i) {
    g[i * k + i] += kRidge;
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = g[i * k + j];
      for (std::size_t l = 0; l < j; ++l) sum -= g[i * k + l] * g[j * k + l];
      g[i * k + j] = i == j ? std::sqrt(std::max(sum, kRidge)) : sum / g[j * k + j];
    }
  }
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t l = 0; l < i; ++l) b[i] -= g[i * k + l] * b[l];
    b[i] /= g[i * k + i];
  }
  for (std::size_t i = k; i-- > 0;) {
    for (std::size_t l = i + 1; l < k; ++l) b[i] -= g[l * k + i] * b[l];
    b[i] /= g[i * k + i];
  }
  return b;
}
}  // namespace

template <class T>
void Anderson<T>::before(const double* g, Exec& exec) {
  const std::int64_t n = weight_.size;
  if (window_ == 0) {
    window_ = n > kManyPoints ? kShortHistory : kernels::kHistory;
    images_ = Buffer<double>(window_ * n, exec.device);
    residuals_ = Buffer<double>(window_ * n, exec.device);
    gram_.resize(static_cast<std::size_t>(window_) * window_);
  }
  ++steps_;
  copy(residuals_.data() + newest() * n, exec.device, g, exec.device,
       n * std::int64_t{sizeof(double)}, exec.stream);
}

template <class T>
void Anderson<T>::remember(Exec& exec) {
  const std::int64_t n = weight_.size;
  const auto dots = kernels::sum(
      kernels::HistoryDotsArgs{residuals_.data(), residuals_.data() + newest() * n, n, count()}, n,
      exec);
  for (int c = 0; c < count(); ++c)
    gram_[c * window_ + newest()] = gram_[newest() * window_ + c] = dots.value[c];
}

// Of the residuals r_c those that make |sum alpha_c r_c| least with sum alpha_c = 1, from their
// Gram matrix scaled to a diagonal of ones: lengths differ by orders of magnitude. Empty: none are
// known.
template <class T>
std::vector<double> Anderson<T>::coefficients() const {
  const std::size_t k = count();
  std::vector<double> scaled(k * k), inverse(k);
  for (std::size_t c = 0; c < k; ++c) inverse[c] = 1 / std::sqrt(gram_[c * window_ + c]);
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t e = 0; e < k; ++e)
      scaled[c * k + e] = gram_[c * window_ + e] * inverse[c] * inverse[e];
  std::vector<double> alpha = solved(std::move(scaled), inverse);
  double sum = 0;
  for (std::size_t c = 0; c < k; ++c) sum += alpha[c] *= inverse[c];
  for (double& a : alpha) a /= sum;
  const bool known =
      std::all_of(alpha.begin(), alpha.end(), [](double a) { return std::isfinite(a); });
  return known ? alpha : std::vector<double>{};
}

template <class T>
void Anderson<T>::after(double* g, Exec& exec) {
  const std::int64_t n = weight_.size;
  kernels::each(kernels::MovedArgs<T>{weight_, g, residuals_.data() + newest() * n,
                                      images_.data() + newest() * n},
                n, exec);
  remember(exec);
  const std::vector<double> alpha = coefficients();
  if (alpha.empty()) return forget();
  kernels::MixArgs mix{images_.data(), n, count(), {}, penalty_, g};
  std::copy(alpha.begin(), alpha.end(), mix.coefficient);
  kernels::each(mix, n, exec);
}

template class Anderson<float>;
template class Anderson<double>;
}  // namespace monge

#include "ot/derivatives/cholesky.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/dense.hpp"

namespace monge {
namespace {
constexpr std::int64_t kPanel = 64;
}

bool cholesky(std::vector<double>& s, std::int64_t n, double least, Exec& exec) {
  for (std::int64_t k = 0; k < n; k += kPanel) {
    const std::int64_t width = std::min(kPanel, n - k);
    double* const panel = &s[k * n + k];  // rows k .. k + width, columns from k on
    kernels::add_product({.a = &s[k],
                          .b = &s[k],
                          .c = panel,
                          .rows = width,
                          .cols = n - k,
                          .depth = k,
                          .a_stride = n,
                          .b_stride = n,
                          .c_stride = n,
                          .factor = -1},
                         exec);
    for (std::int64_t i = 0; i < width; ++i) {
      double* const row = panel + i * n;
      for (std::int64_t l = 0; l < i; ++l) {
        const double factor = panel[l * n + i];
        for (std::int64_t j = i; j < n - k; ++j) row[j] -= factor * panel[l * n + j];
      }
      if (!(row[i] >= least)) return false;
      const double inverse = 1 / std::sqrt(row[i]);
      for (std::int64_t j = i; j < n - k; ++j) row[j] *= inverse;
    }
  }
  return true;
}

void solve_transposed(const std::vector<double>& u, std::int64_t n, std::vector<double>& z,
                      std::int64_t cols, Exec& exec) {
  std::vector<double> inverse(kPanel * kPanel), panel(kPanel * cols);
  for (std::int64_t k = 0; k < n; k += kPanel) {
    const std::int64_t width = std::min(kPanel, n - k);
    kernels::add_product({.a = &u[k],
                          .b = z.data(),
                          .c = &z[k * cols],
                          .rows = width,
                          .cols = cols,
                          .depth = k,
                          .a_stride = n,
                          .b_stride = cols,
                          .c_stride = cols,
                          .factor = -1},
                         exec);
    // Z_k = (U_kk^-1)^T times what is left, so that all of it is a product.
    std::fill(inverse.begin(), inverse.end(), 0.0);
    for (std::int64_t j = 0; j < width; ++j)
      for (std::int64_t i = j; i >= 0; --i) {
        double sum = i == j ? 1 : 0;
        for (std::int64_t l = i + 1; l <= j; ++l)
          sum -= u[(k + i) * n + k + l] * inverse[l * kPanel + j];
        inverse[i * kPanel + j] = sum / u[(k + i) * n + k + i];
      }
    std::copy_n(&z[k * cols], width * cols, panel.begin());
    std::fill_n(&z[k * cols], width * cols, 0.0);
    kernels::add_product({.a = inverse.data(),
                          .b = panel.data(),
                          .c = &z[k * cols],
                          .rows = width,
                          .cols = cols,
                          .depth = width,
                          .a_stride = kPanel,
                          .b_stride = cols,
                          .c_stride = cols},
                         exec);
  }
}

std::vector<std::int64_t> independent_rows(std::vector<double> s, std::int64_t n, double least) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  // Row i of U at step i; entries of pivots and of rows still to come, in the order of the rows.
  std::vector<double> left(n), u;
  for (std::int64_t i = 0; i < n; ++i) left[i] = s[i * n + i];
  const auto at = [&](std::int64_t i, std::int64_t j) {
    return i <= j ? s[i * n + j] : s[j * n + i];
  };
  std::int64_t rank = 0;
  for (; rank < n; ++rank) {
    const auto best =
        std::max_element(order.begin() + rank, order.end(),
                         [&](std::int64_t i, std::int64_t j) { return left[i] < left[j]; });
    std::swap(order[rank], *best);
    const std::int64_t p = order[rank];
    if (!(left[p] > least)) break;
    u.resize((rank + 1) * n, 0.0);
    double* const row = &u[rank * n];
    const double root = std::sqrt(left[p]);
    for (std::int64_t q = rank + 1; q < n; ++q) {
      const std::int64_t j = order[q];
      double sum = at(p, j);
      for (std::int64_t l = 0; l < rank; ++l) sum -= u[l * n + p] * u[l * n + j];
      row[j] = sum / root;
      left[j] -= row[j] * row[j];
    }
  }
  order.resize(rank);
  std::sort(order.begin(), order.end());
  return order;
}
}  // namespace monge

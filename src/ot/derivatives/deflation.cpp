#include "ot/derivatives/deflation.hpp"

#include <cmath>
#include <utility>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
/// out += sign x matrix, [n, inner] by [inner, cols].
void add_product(const Buffer<double>& x, SmallMatrix matrix, std::int64_t inner, std::int64_t cols,
                 double sign, Buffer<double>& out, Exec& exec) {
  for (double& v : matrix) v *= sign;
  const auto small = placed(matrix, exec);
  kernels::each(kernels::CombineArgs{x.data(), small.data(), inner, cols, 1, out.data()},
                out.size(), exec);
}

/// a [k, k] b [k, cols]
SmallMatrix times(const SmallMatrix& a, const SmallMatrix& b, std::int64_t k, std::int64_t cols) {
  SmallMatrix out(k * cols, 0.0);
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t l = 0; l < k; ++l)
      for (std::int64_t c = 0; c < cols; ++c) out[i * cols + c] += a[i * k + l] * b[l * cols + c];
  return out;
}
}  // namespace

Deflation::Deflation(Buffer<double> basis, std::int64_t columns, const BlockProduct& product,
                     const BlockProjection& project, double rounding, Exec& exec)
    : columns(columns), z(std::move(basis)), az(z.size(), exec.device) {
  const std::int64_t k = columns;
  project(z, k);
  const auto squares = gram(z, k, z, k, exec);
  // Z = Q V L^-1/2 of its Gram matrix: an orthonormal basis of what is independent.
  const SmallMatrix root = spectral(squares, k, [](double value, double largest) {
    return value > 1e-10 * largest ? 1 / std::sqrt(value) : 0.0;
  });
  Buffer<double> orthonormal(z.size(), exec.device);
  kernels::each(kernels::FillArgs<double>{0, orthonormal.data()}, orthonormal.size(), exec);
  add_product(z, root, k, k, 1, orthonormal, exec);
  z = std::move(orthonormal);
  product(z, k, az);
  project(az, k);
  SmallMatrix seen = gram(z, k, az, k, exec);
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      seen[i * k + j] = seen[j * k + i] = (seen[i * k + j] + seen[j * k + i]) / 2;
  double least = 1;
  inverse = spectral(std::move(seen), k, [&](double value, double largest) {
    if (!(value > rounding * largest)) return 0.0;
    least = std::min(least, value);
    return 1 / value;
  });
  gap = least;
}

void Deflation::start(Buffer<double>& x, Buffer<double>& r, std::int64_t count, Exec& exec) const {
  const auto share = times(inverse, gram(z, columns, r, count, exec), columns, count);
  add_product(z, share, columns, count, 1, x, exec);
  add_product(az, share, columns, count, -1, r, exec);
}

void Deflation::turn(Buffer<double>& directions, std::int64_t count, Exec& exec) const {
  const auto share = times(inverse, gram(az, columns, directions, count, exec), columns, count);
  add_product(z, share, columns, count, -1, directions, exec);
}
}  // namespace monge

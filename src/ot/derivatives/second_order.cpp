#include "monge/ot/second_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/block_cg.hpp"
#include "ot/derivatives/linear.hpp"
#include "ot/plan_parts.hpp"
#include "ot/small_matrix.hpp"

namespace monge {
namespace {
using Vector = Buffer<double>;

double dot(const Vector& x, const Vector& y, Exec& exec) { return gram(x, 1, y, 1, exec)[0]; }

/// Of the tridiagonal matrix that conjugate gradients build from their steps and the ratios of
/// squared residuals, whose eigenvalues are Ritz values.
double condition_of(const std::vector<double>& steps, const std::vector<double>& ratios) {
  const auto k = static_cast<std::int64_t>(steps.size());
  SmallMatrix matrix(k * k, 0.0);
  for (std::int64_t i = 0; i < k; ++i) {
    matrix[i * k + i] = 1 / steps[i] + (i > 0 ? ratios[i - 1] / steps[i - 1] : 0);
    if (i + 1 < k)
      matrix[i * k + i + 1] = matrix[(i + 1) * k + i] = std::sqrt(ratios[i]) / steps[i];
  }
  double least = std::numeric_limits<double>::infinity(), most = 0;
  spectral(std::move(matrix), k, [&](double value, double largest) {
    least = std::min(least, value);
    most = largest;
    return 0.0;
  });
  return k > 0 ? most / least : 1;
}

/// The t > 0 at which |z + t p| = radius, from the products of both.
double to_boundary(double zz, double zp, double pp, double radius) {
  const double left = std::max(radius * radius - zz, 0.0);
  const double root = std::sqrt(zp * zp + pp * left);
  return zp > 0 ? left / (zp + root) : (root - zp) / pp;
}
}  // namespace

template <class T>
InverseResult<T> inverse_hvp(const Linearization<T>& at, Side side, MatrixView<const T> right,
                             const InverseOptions& options, Exec& exec) {
  const std::int64_t n = at.linear().side(side).weight.size, d = at.dim();
  if (right.rows != n || right.cols != d)
    throw InvalidArgument(fmt::format("[inverse_hvp] right has shape ({}, {}), wanted ({}, {})",
                                      right.rows, right.cols, n, d),
                          "right");
  check_device("inverse_hvp", "right", right.device, exec);
  if (!(options.radius > 0))
    throw InvalidArgument(fmt::format("[inverse_hvp] radius is {}, wanted > 0", options.radius),
                          "radius");
  const bool source = side == Side::source;
  const Wrt wrt = source ? Wrt::source : Wrt::target;
  InverseResult<T> out;
  InverseReport& report = out.report;
  const auto product = [&](const Vector& p) {
    const auto direction = rounded<T>(p, exec);
    Tangent<T> along;
    (source ? along.dx : along.dy) = MatrixView<const T>(direction.data(), n, d, d, 1, exec.device);
    auto found = hvp(at, along, wrt, options.inner, exec);
    report.passes += found.report.passes;
    const Buffer<T>& image = source ? found.dx : found.dy;
    return in_double(image.view(), exec);
  };

  Vector r = [&] {
    const auto given = gathered(right, exec);
    return in_double(given.view(), exec);
  }();
  Vector z = filled(r.size(), 0.0, exec), p = r.copy(exec.stream);
  std::vector<double> steps, ratios;
  double square = dot(r, r, exec);
  const double enough = options.tolerance * options.tolerance * square, first = square;
  while (square > enough && report.iterations < options.max_iterations) {
    const Vector image = product(p);
    ++report.iterations;
    const double curvature = dot(p, image, exec);
    report.negative_curvature = !(curvature > 0);
    double step = report.negative_curvature ? 0 : square / curvature;
    if (std::isfinite(options.radius)) {
      const double zz = dot(z, z, exec), zp = dot(z, p, exec), pp = dot(p, p, exec);
      const double most = to_boundary(zz, zp, pp, options.radius);
      report.boundary = report.negative_curvature || step >= most;
      if (report.boundary) step = most;
    } else if (report.negative_curvature && steps.empty()) {
      step = 1;  // z = right
    }
    add(z, step, p, exec);
    if (report.negative_curvature || report.boundary) break;
    add(r, -step, image, exec);
    steps.push_back(step);
    const double next = dot(r, r, exec);
    ratios.push_back(next / square);
    square = next;
    kernels::each(kernels::TurnDirectionArgs{r.data(), ratios.back(), p.data()}, p.size(), exec);
  }
  report.residual = first > 0 ? std::sqrt(square / first) : 0;
  report.converged = square <= enough;
  report.condition = condition_of(steps, ratios);
  out.z = rounded<T>(z, exec);
  return out;
}

template <class T>
std::vector<double> parameter_hessian(const Linearization<T>& at, Side side,
                                      MatrixView<const T> directions, const SolveOptions& options,
                                      Exec& exec) {
  const std::int64_t n = at.linear().side(side).weight.size, d = at.dim();
  if (d == 0 || directions.rows < n || directions.rows % n != 0 || directions.cols != d)
    throw InvalidArgument(
        fmt::format("[parameter_hessian] directions have shape ({}, {}), wanted (k {}, {})",
                    directions.rows, directions.cols, n, d),
        "directions");
  const std::int64_t k = directions.rows / n, length = n * d;
  const bool source = side == Side::source;
  Tangent<T> along{.count = static_cast<int>(k)};
  (source ? along.dx : along.dy) = directions;
  const auto found = hvp(at, along, source ? Wrt::source : Wrt::target, options, exec);
  const auto moves = on_host(directions, exec);
  const auto images = (source ? found.dx : found.dy).to(Device{}, exec.stream);
  std::vector<double> out(k * k, 0.0);
  for (std::int64_t a = 0; a < k; ++a)
    for (std::int64_t b = 0; b < k; ++b)
      for (std::int64_t e = 0; e < length; ++e)
        out[a * k + b] += static_cast<double>(moves[a * length + e]) * images[b * length + e];
  for (std::int64_t a = 0; a < k; ++a)
    for (std::int64_t b = 0; b < a; ++b)
      out[a * k + b] = out[b * k + a] = (out[a * k + b] + out[b * k + a]) / 2;
  return out;
}

std::vector<double> newton_direction(const std::vector<double>& hessian,
                                     const std::vector<double>& gradient, double floor) {
  const auto k = static_cast<std::int64_t>(gradient.size());
  if (static_cast<std::int64_t>(hessian.size()) != k * k)
    throw InvalidArgument(fmt::format("[newton_direction] a gradient of {} values goes with a "
                                      "Hessian of {}, and {} were given",
                                      k, k * k, hessian.size()),
                          "hessian");
  if (!(floor > 0))
    throw InvalidArgument(fmt::format("[newton_direction] floor is {}, wanted > 0", floor),
                          "floor");
  // |H| is the root of H^2; what squaring loses lies 1e-8 below the largest eigenvalue.
  const SmallMatrix inverse = spectral(product(hessian, hessian, k), k, [=](double value, double) {
    return 1 / std::max(std::sqrt(value), floor);
  });
  std::vector<double> out(k, 0.0);
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t j = 0; j < k; ++j) out[i] -= inverse[i * k + j] * gradient[j];
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                \
  template InverseResult<T> inverse_hvp(const Linearization<T>&, Side, MatrixView<const T>, \
                                        const InverseOptions&, Exec&);                      \
  template std::vector<double> parameter_hessian(const Linearization<T>&, Side,             \
                                                 MatrixView<const T>, const SolveOptions&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge

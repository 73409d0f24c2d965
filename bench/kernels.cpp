// Time, pairs per second, share of this machine's multiply-add peak and error of each kernel, over
// sizes and dimensions:
//   bench_kernels [--quick] [--threads T] [--kernel NAME] [--dim D] [--size N]
// `/peak` is pairs per second over the peak in lanes; times d it is the share that the products of
// coordinates alone would take. The error is that of out / eps on sampled rows, root mean square.
#include "peak.hpp"

#if HWY_ONCE
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cpu/parallel.hpp"
#include "monge/core/random.hpp"
#include "monge/ot/problem.hpp"
#include "ot/operator.hpp"

namespace monge::bench {
namespace {
struct Options {
  bool quick = false;
  int threads = 0, dim = 0;
  std::int64_t size = 0;
  std::string kernel;
  double budget() const { return quick ? 0.2 : 1.5; }  // seconds a repeat; more pairs: fewer rows
};

/// Uniform points of the unit cube, n sources and m targets, h and the shift of a solve at work.
template <class T>
struct Case {
  Buffer<T> x, y, h, out;
  Buffer<double> shift;
  std::int64_t n, m;
  int dim;
  double eps;
  std::optional<Problem<T>> problem;
  std::optional<Operator<T>> op;

  Case(std::int64_t n, std::int64_t m, int dim)
      : x(n * dim),
        y(m * dim),
        h(kernels::padded(m), -INFINITY),
        out(n),
        shift(n),
        n(n),
        m(m),
        dim(dim),
        eps(dim / 60.0) {
    std::uint64_t draw = 0;
    for (auto* points : {&x, &y})
      for (T& value : *points) value = static_cast<T>(philox_uniform(1, dim, draw++));
    for (std::int64_t j = 0; j < m; ++j) h[j] = static_cast<T>(-eps * philox_uniform(2, dim, j));
    problem.emplace(PointCloud<T>{{x.data(), n, dim}, {y.data(), m, dim}}, VectorView<const T>{},
                    VectorView<const T>{}, Balanced{}, Balanced{});
    op.emplace(*problem);
  }
};

/// A kernel: what it is called, one run of it, and its error on some rows.
template <class T>
struct Kernel {
  std::string name;
  std::function<void(Case<T>&, Exec&)> run;
  std::function<double(const Case<T>&)> error;
};

template <class T>
double softmin_error(const Case<T>& in) {
  using Real = std::conditional_t<sizeof(T) == 4, double, long double>;
  constexpr std::int64_t kRows = 24;
  double sum = 0;
  for (std::int64_t s = 0; s < kRows; ++s) {
    const std::int64_t i = s * in.n / kRows;
    std::vector<Real> scores(in.m);
    Real top = -INFINITY, total = 0;
    for (std::int64_t j = 0; j < in.m; ++j) {
      Real cost = 0;
      for (int k = 0; k < in.dim; ++k) {
        const Real u = static_cast<Real>(in.x[i * in.dim + k]) - in.y[j * in.dim + k];
        cost += u * u;
      }
      scores[j] = (in.h[j] - cost) / static_cast<Real>(in.eps);
      top = std::max(top, scores[j]);
    }
    for (const Real score : scores) total += std::exp(score - top);
    const double error =
        static_cast<double>(in.shift[i] / static_cast<Real>(in.eps) + top + std::log(total));
    sum += error * error;
  }
  return std::sqrt(sum / kRows);
}

template <class T>
std::vector<Kernel<T>> all_kernels() {
  return {{"softmin",
           [](Case<T>& in, Exec& exec) {
             in.op->softmin(Side::source, in.h.data(), in.shift.data(), in.shift.data(), in.eps,
                            exec);
           },
           softmin_error<T>}};
}

template <class T>
void measure(const Options& options, std::int64_t size, int dim, double peak) {
  const char* const type = sizeof(T) == 4 ? "float" : "double";
  // Rows that the budget allows at half the peak, whole blocks of them.
  const double pair_cost = (dim + 14.0) / (peak / 2);
  std::int64_t n = size;
  const double rows = options.budget() / (pair_cost * static_cast<double>(size));
  if (rows < static_cast<double>(n))
    n = std::max<std::int64_t>(128, static_cast<std::int64_t>(rows) / 64 * 64);
  Case<T> in(n, size, dim);
  Exec exec;
  exec.threads = options.threads;
  in.op->softmin(Side::source, in.h.data(), nullptr, in.shift.data(), in.eps, exec);
  for (const auto& kernel : all_kernels<T>()) {
    if (!options.kernel.empty() && kernel.name != options.kernel) continue;
    kernel.run(in, exec);
    double best = INFINITY, spent = 0;
    int repeats = 0;
    while (repeats < 5 || (spent < options.budget() && repeats < 200)) {
      const double start = seconds();
      kernel.run(in, exec);
      const double time = seconds() - start;
      best = std::min(best, time);
      spent += time;
      ++repeats;
      if (repeats >= 3 && spent > 4 * options.budget()) break;
    }
    const double rate = static_cast<double>(n) * static_cast<double>(size) / best;
    std::printf("%-8s %-6s %7lld%s %4d %10.3f %10.3e %8.4f %7.1f%% %9.1e\n", kernel.name.c_str(),
                type, static_cast<long long>(size), n < size ? "*" : " ", dim,
                1e3 * best * static_cast<double>(size) / static_cast<double>(n), rate, rate / peak,
                100 * rate * dim / peak, kernel.error(in));
    std::fflush(stdout);
  }
}

int run(const Options& options) {
  Exec exec;
  exec.threads = options.threads;
  const int threads = monge::cpu::thread_count(exec);
  const double peak = fma_peak<float>(threads), peak64 = fma_peak<double>(threads);
  std::printf("target %s, %d threads, multiply-add peak %.3e float and %.3e double lanes/s\n",
              monge::cpu::target_name(), threads, peak, peak64);
  std::printf("%-8s %-6s %8s %4s %10s %10s %8s %8s %9s\n", "kernel", "type", "n = m", "d", "ms",
              "pairs/s", "/peak", "d /peak", "error");
  for (const std::int64_t size : {1000, 10000, 100000})
    for (const int dim : {1, 2, 3, 8, 64, 512}) {
      if (options.size && options.size != size) continue;
      if (options.dim && options.dim != dim) continue;
      measure<float>(options, size, dim, peak);
      measure<double>(options, size, dim, peak64);
    }
  std::printf("* fewer rows than columns: the time of all rows is extrapolated\n");
  return 0;
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  monge::bench::Options options;
  for (int at = 1; at < count; ++at) {
    const std::string word = words[at];
    const auto value = [&] { return at + 1 < count ? words[++at] : ""; };
    if (word == "--quick")
      options.quick = true;
    else if (word == "--threads")
      options.threads = std::atoi(value());
    else if (word == "--kernel")
      options.kernel = value();
    else if (word == "--dim")
      options.dim = std::atoi(value());
    else if (word == "--size")
      options.size = std::atoll(value());
    else
      return std::fprintf(stderr, "bench_kernels: unknown option %s\n", words[at]), 2;
  }
  return monge::bench::run(options);
}
#endif

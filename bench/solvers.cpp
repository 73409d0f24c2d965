// Time, passes and pairs per second of whole solves, from the arrays to the result:
// bench_solvers --help.
// Uniform points of the unit cube with random weights, epsilon = 0.05 of the mean cost, tolerance
// 1e-6 in double and 1e-4 in float. `/peak` is pairs per second over the multiply-add peak in
// lanes; `L1` the marginal error of the returned pair, evaluated in double whatever the type. At
// n = 100 000 (*) the solve stops after four iterations, unconverged. The divergence makes three
// solves; the gradient is that of a plan that is there.
#include "peak.hpp"

#include <cmath>
#include <cstdio>
#include <string>

#include "monge/core/random.hpp"
#include "monge/monge.hpp"
#include "options.hpp"

namespace monge::bench {
namespace {
template <class T>
struct Data {
  Buffer<T> x, y, a, b;
  std::int64_t n;
  int dim;
  double eps;

  Data(std::int64_t n, int dim) : x(n * dim), y(n * dim), a(n), b(n), n(n), dim(dim) {
    std::uint64_t draw = 0;
    const auto uniform = [&] { return philox_uniform(3, dim, draw++); };
    for (auto* points : {&x, &y})
      for (T& value : *points) value = static_cast<T>(uniform());
    for (auto* weights : {&a, &b}) {
      double sum = 0;
      for (T& value : *weights) sum += value = static_cast<T>(0.5 + uniform());
      for (T& value : *weights) value = static_cast<T>(value / sum);
    }
    eps = 0.05 * dim / 6;  // the mean of (u - v)^2 is 1/6 for uniform u and v
  }

  Measure<T> source() const { return {{x.data(), n, dim}, a.view()}; }
  Measure<T> target() const { return {{y.data(), n, dim}, b.view()}; }
  Problem<T> problem(const Marginal& marginal) const {
    ProblemOptions options;
    options.mass_tolerance = 1e-5;
    return {PointCloud<T>{source().points, target().points},
            a.view(),
            b.view(),
            marginal,
            marginal,
            options};
  }
};

template <class T>
SinkhornOptions options_of(const Data<T>& in) {
  SinkhornOptions options;
  options.epsilon = in.eps;
  options.tolerance = sizeof(T) == 4 ? 1e-4 : 1e-6;
  if (in.n >= 100000) options.max_iterations = 4;
  if (in.n >= 100000) options.annealing = Annealing::off;
  return options;
}

template <class T>
class Table {
 public:
  Table(Options& options, double peak) : options_(options), exec_(options.exec), peak_(peak) {}

  void measure(std::int64_t n, int dim) {
    const Data<T> in(n, dim);
    const double pairs = static_cast<double>(n) * static_cast<double>(n);
    for (const Marginal& marginal : {Marginal{Balanced{}}, Marginal{KL{in.dim / 6.0}}}) {
      const bool balanced = std::holds_alternative<Balanced>(marginal);
      if (!options_.wants(balanced ? "balanced" : "KL")) continue;
      SinkhornResult<T> result;
      const double time =
          best([&] { result = sinkhorn(in.problem(marginal), options_of(in), exec_); });
      const auto& report = result.report;
      row(balanced ? "balanced" : "KL", in, time, report.passes,
          pairs * static_cast<double>(report.passes), balanced ? residual(in, result) : NAN);
    }
    if (options_.wants("gradient")) {
      const auto problem = in.problem(Balanced{});
      const Plan<T> plan(problem, sinkhorn(problem, options_of(in), exec_));
      row("gradient", in, best([&] { gradient(plan, exec_); }), 0, 0, NAN);
    }
    if (n >= 100000 || !options_.wants("divergence")) return;
    std::int64_t passes = 0;
    const double time = best([&] {
      DivergenceOptions options;
      static_cast<SinkhornOptions&>(options) = options_of(in);
      options.mass_tolerance = 1e-5;
      const auto result = divergence(in.source(), in.target(), options, exec_);
      passes = result.ab.report.passes + result.aa.report.passes + result.bb.report.passes;
    });
    row("divergence", in, time, passes, pairs * static_cast<double>(passes), NAN);
  }

 private:
  template <class Run>
  double best(const Run& run) const {
    double fastest = std::numeric_limits<double>::infinity(), spent = 0;
    for (int repeat = 0; repeat < (options_.quick ? 1 : 5) && spent < 10; ++repeat) {
      const double start = seconds();
      run();
      const double time = seconds() - start;
      fastest = std::min(fastest, time);
      spent += time;
    }
    return fastest;
  }

  // |P 1 - a| + |P^T 1 - b| in double, over the mass.
  double residual(const Data<T>& in, const SinkhornResult<T>& result) {
    Data<double> exact(in.n, in.dim);
    Buffer<double> f(in.n), g(in.n);
    const auto copy = [](const auto& from, auto& to) {
      std::copy(from.begin(), from.end(), to.begin());
    };
    copy(in.x, exact.x), copy(in.y, exact.y), copy(in.a, exact.a), copy(in.b, exact.b);
    copy(result.f, f), copy(result.g, g);
    const auto problem = exact.problem(Balanced{});
    const Plan<double> plan(problem, in.eps, f.view(), g.view());
    double error = 0;
    for (const Side side : {Side::source, Side::target}) {
      const auto marginal = plan.marginal(side, exec_);
      const auto& weights = side == Side::source ? exact.a : exact.b;
      for (std::int64_t i = 0; i < in.n; ++i) error += std::abs(marginal[i] - weights[i]);
    }
    return error;
  }

  void row(const char* name, const Data<T>& in, double time, std::int64_t passes, double pairs,
           double error) {
    std::printf("%-10s %-6s %7lld%s %4d %9.4f", name, sizeof(T) == 4 ? "float" : "double",
                static_cast<long long>(in.n), in.n >= 100000 ? "*" : " ", in.dim, time);
    if (passes > 0)
      std::printf(" %6lld %10.3e %8.4f", static_cast<long long>(passes), pairs / time,
                  pairs / time / peak_);
    else
      std::printf(" %6s %10s %8s", "", "", "");
    if (!std::isnan(error)) std::printf(" %9.1e", error);
    std::printf("\n");
    std::fflush(stdout);
  }

  Options& options_;
  Exec& exec_;
  const double peak_;
};

void run(Options& options) {
  const Machine machine = monge::bench::machine(options.exec);
  std::printf("%s\n", machine.text.c_str());
  std::printf("%-10s %-6s %8s %4s %9s %6s %10s %8s %9s\n", "solver", "type", "n = m", "d", "s",
              "passes", "pairs/s", "/peak", "L1");
  Table<float> floats(options, machine.f32);
  Table<double> doubles(options, machine.f64);
  for (const std::int64_t size : options.sizes_or_default())
    for (const int dim : options.dims) {
      if (size * dim > 8000000) {
        std::printf("n = m = %lld, d = %d left out: minutes a pass\n", static_cast<long long>(size),
                    dim);
        continue;
      }
      if (options.wants<float>()) floats.measure(size, dim);
      if (options.wants<double>()) doubles.measure(size, dim);
    }
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  CLI::App app("Time, passes and rate of whole solves", "bench_solvers");
  monge::bench::Options options;
  monge::bench::add_cases(app, options, {"balanced", "KL", "gradient", "divergence"});
  return monge::bench::parse_and_run(app, count, words, [&] { monge::bench::run(options); });
}

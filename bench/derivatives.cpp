// Second derivatives: Hessian products against the solve before them, block products of several
// directions, and dense Hessians. bench_derivatives --help. Times are of the processors of this
// process (CPU) or elapsed (a GPU), the median of --repeat runs; errors are relative, against
// products at a residual of 1e-13.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/monge.hpp"
#include "options.hpp"

namespace monge::bench {
namespace {
struct Case {
  std::int64_t n;
  int dim;
  double epsilon;
  bool normal = false;  // standard normal points, else uniform in the unit cube
  bool plain = false;   // solved by plain iterations
};

template <class T>
Buffer<T> uniform(std::int64_t count, std::uint64_t stream, Device device, double low = 0) {
  Buffer<T> out(count);
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = static_cast<T>(low + (1 - low) * philox_uniform(1, stream, i));
  return std::move(out).to(device);
}

/// By Box and Muller.
template <class T>
Buffer<T> points(const Case& c, std::uint64_t stream, Device device) {
  if (!c.normal) return uniform<T>(c.n * c.dim, stream, device);
  Buffer<T> out(c.n * c.dim);
  for (std::int64_t e = 0; e < out.size(); ++e)
    out[e] = static_cast<T>(std::sqrt(-2 * std::log(philox_uniform(1, stream, 2 * e))) *
                            std::cos(2 * std::numbers::pi * philox_uniform(1, stream, 2 * e + 1)));
  return std::move(out).to(device);
}

/// Median seconds of `run`: of the processors, else elapsed.
double seconds(const std::function<void()>& run, int repeat, const Exec& exec) {
  std::vector<double> times;
  for (int k = 0; k < repeat; ++k) {
    synchronize(exec.device, exec.stream);
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t spent = std::clock();
    run();
    synchronize(exec.device, exec.stream);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    times.push_back(exec.device.is_cuda()
                        ? passed.count()
                        : static_cast<double>(std::clock() - spent) / CLOCKS_PER_SEC);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double relative_error(const Buffer<double>& got, const Buffer<double>& want) {
  double off = 0, size = 0;
  for (std::int64_t e = 0; e < want.size(); ++e) {
    off += std::pow(got[e] - want[e], 2);
    size += want[e] * want[e];
  }
  return std::sqrt(off / size);
}
Buffer<double> on_host(const Buffer<float>& values) {
  const auto here = values.to(Device{});
  Buffer<double> out(here.size());
  std::copy(here.begin(), here.end(), out.begin());
  return out;
}
Buffer<double> on_host(const Buffer<double>& values) { return values.to(Device{}); }

template <class T>
struct Solved {
  Buffer<T> x, y;
  Problem<T> problem;
  SinkhornResult<T> result;
  double solve;

  Solved(const Case& c, Exec& exec, int repeat)
      : x(points<T>(c, 0, exec.device)),
        y(points<T>(c, 1, exec.device)),
        problem(PointCloud<T>{{x.data(), c.n, c.dim, c.dim, 1, exec.device},
                              {y.data(), c.n, c.dim, c.dim, 1, exec.device}},
                {}, {}, Balanced{}, Balanced{}) {
    SinkhornOptions options;
    options.epsilon = c.epsilon;
    options.tolerance = sizeof(T) == 4 ? 1e-6 : 1e-10;
    options.max_iterations = 100000;
    if (c.plain) options.acceleration = Acceleration::none, options.annealing = Annealing::off;
    solve = seconds([&] { result = sinkhorn(problem, options, exec); }, repeat, exec);
  }
};

template <class T>
void products(const Case& c, int count, const SolveOptions& options, Exec& exec, int repeat) {
  const Solved<T> s(c, exec, repeat > 1 ? 1 : repeat);
  const Plan<T> plan(s.problem, s.result);
  const auto at = linearize(plan, exec);
  const double linear = seconds([&] { linearize(plan, exec); }, repeat, exec);
  const auto v = uniform<T>(count * c.n * c.dim, 2, exec.device, -1);
  Tangent<T> along{.count = count};
  along.dx = {v.data(), count * c.n, c.dim, c.dim, 1, exec.device};
  HvpResult<T> got;
  const double time =
      seconds([&] { got = hvp(at, along, Wrt::source, options, exec); }, repeat, exec);
  const double first =
      seconds([&] { hvp(linearize(plan, exec), along, Wrt::source, options, exec); }, repeat, exec);
  const auto exact = hvp(at, along, Wrt::source, {.tolerance = 1e-13}, exec);
  std::printf(
      "hvp %-7s n %7lld d %3d eps %-6g count %2d | %9.2f ms (linearize %.2f, with the first "
      "product %.2f)  solve / hvp %6.1f | "
      "%4d "
      "iterations %5d passes  residual %.1e  gap %.1e  lost %.1e  error %.1e\n",
      sizeof(T) == 4 ? "float" : "double", static_cast<long long>(c.n), c.dim, c.epsilon, count,
      1e3 * time, 1e3 * linear, 1e3 * first, s.solve / time, got.report.iterations,
      got.report.passes, got.report.residual, got.report.gap, got.report.lost,
      relative_error(on_host(got.dx), on_host(exact.dx)));
  std::fflush(stdout);
}

void dense(const Case& c, Exec& exec, int repeat) {
  const Solved<double> s(c, exec, 1);
  const auto at = linearize(Plan<double>(s.problem, s.result), exec);
  HessianResult<double> got;
  const auto begin = std::chrono::steady_clock::now();
  const double spent = seconds([&] { got = hessian(at, Side::source, {}, exec); }, repeat, exec);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  // The row identity: sum_k H[i, s, k, t] = 2 / n delta_st.
  const auto h = got.value.to(Device{});
  double off = 0;
  for (std::int64_t e = 0; e < c.n * c.dim; ++e)
    for (int t = 0; t < c.dim; ++t) {
      double sum = e % c.dim == t ? -2.0 / static_cast<double>(c.n) : 0;
      for (std::int64_t k = 0; k < c.n; ++k) sum += h[(e * c.n + k) * c.dim + t];
      off = std::max(off, std::abs(sum));
    }
  std::printf(
      "hessian double n %5lld d %d eps %-6g | %8.2f ms (elapsed %8.2f)  row identity %.1e\n",
      static_cast<long long>(c.n), c.dim, c.epsilon, 1e3 * spent, 1e3 * passed.count() / repeat,
      off);
  std::fflush(stdout);
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  using namespace monge::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app("Hessian products and dense Hessians", "bench_derivatives");
  std::vector<std::string> rows{"hvp", "block", "hessian"};
  std::vector<std::int64_t> sizes{1024, 4096};
  std::vector<int> dims{2, 3};
  std::vector<double> epsilons{0.1, 0.01};
  int repeat = 5;
  bool normal = false, plain = false;
  monge::SolveOptions options;
  const std::map<std::string, monge::Preconditioner> preconditioners{
      {"automatic", monge::Preconditioner::automatic},
      {"diagonal", monge::Preconditioner::diagonal},
      {"two_level", monge::Preconditioner::two_level},
      {"support", monge::Preconditioner::support}};
  monge::Exec exec;
  app.add_option("--rows", rows, "hvp, block, hessian (default all)")->delimiter(',');
  app.add_option("--n", sizes, "n = m of products (default 1024,4096)")->delimiter(',');
  app.add_option("--d", dims, "Dimensions (default 2,3)")->delimiter(',');
  app.add_option("--epsilon", epsilons, "In units of the squared side (default .1,.01)")
      ->delimiter(',');
  app.add_option("--tolerance", options.tolerance, "Of products (default 1e-8)");
  app.add_option("--preconditioner", options.preconditioner, "Of products (default automatic)")
      ->transform(CLI::CheckedTransformer(preconditioners));
  app.add_option("--repeat", repeat, "Runs of which the median is taken (default 5)");
  app.add_flag("--normal", normal, "Standard normal points instead of the unit cube");
  app.add_flag("--plain", plain, "Solves by plain iterations, against which products are measured");
  add_device(app, exec);
  app.add_option("--threads", exec.threads, "0 (default): what the machine grants this process");
  return parse_and_run(app, count, words, [&] {
    const auto wants = [&](const char* row) {
      return std::find(rows.begin(), rows.end(), row) != rows.end();
    };
    for (const std::int64_t n : sizes)
      for (const int d : dims)
        for (const double eps : epsilons) {
          const Case c{n, d, eps, normal, plain};
          if (wants("hvp")) products<float>(c, 1, options, exec, repeat);
          if (wants("hvp")) products<double>(c, 1, options, exec, repeat);
          if (wants("block")) products<float>(c, 10, options, exec, repeat);
          if (wants("block")) products<double>(c, 10, options, exec, repeat);
        }
    for (const std::int64_t n : {100, 400, 800})
      if (wants("hessian")) dense({n, 2, 0.05}, exec, repeat);
  });
}

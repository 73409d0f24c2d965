// Passes over all pairs that each method needs to a tolerance, in double, and with --repeat the
// time of a whole solve: bench_passes --help. Tables: `classic`, 800 points of a square and a 24 x
// 24 lattice; `small`, clouds of which small epsilons ask much; `mixed`, clouds of d = 1 to 64,
// balanced and not, whose problems are numbered so that thresholds can be fitted on the even ones
// and judged on the odd ones. Costs of the first two are scaled to a maximum of 1; epsilon of the
// third is a multiple of the mean cost. ! means that the tolerance was not reached. What a
// subsample takes counts by its share of the pairs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <string>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/monge.hpp"
#include "options.hpp"

namespace monge::bench {
namespace {
class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  double uniform() { return philox_uniform(seed_, 0, next_++); }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t seed_, next_ = 0;
};

struct Clouds {
  std::int64_t n, dim;
  std::vector<double> x, y, a, b;

  std::pair<double, double> mean_and_largest_cost() const {
    double sum = 0, largest = 0;
    std::vector<double> cost(n), of_axis(n * dim);
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t k = 0; k < dim; ++k) of_axis[k * n + j] = y[j * dim + k];
    for (std::int64_t i = 0; i < n; ++i) {
      std::fill(cost.begin(), cost.end(), 0.0);
      for (std::int64_t k = 0; k < dim; ++k)
        for (std::int64_t j = 0; j < n; ++j) {
          const double step = x[i * dim + k] - of_axis[k * n + j];
          cost[j] += step * step;
        }
      for (const double c : cost) {
        sum += c;
        largest = std::max(largest, c);
      }
    }
    return {sum / static_cast<double>(n * n), largest};
  }
};

std::vector<double> weights(std::int64_t n, Random& random, double mass = 1) {
  std::vector<double> out(n);
  double sum = 0;
  for (double& w : out) sum += w = 0.5 + random.uniform();
  for (double& w : out) w *= mass / sum;
  return out;
}

template <class Draw>
std::vector<double> points(std::int64_t n, std::int64_t dim, const Draw& draw) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < dim; ++k) out.push_back(draw(i, k));
  return out;
}

Clouds square(std::int64_t n) {
  Random random(0);
  const std::vector<double> uniform(n, 1 / static_cast<double>(n));
  auto x = points(n, 2, [&](auto, auto) { return random.uniform(); });
  auto y = points(n, 2, [&](auto, auto) { return 0.7 * random.uniform() + 0.2; });
  return {n, 2, std::move(x), std::move(y), uniform, uniform};
}

Clouds lattice() {
  constexpr int kSide = 24;
  Clouds out{kSide * kSide, 2, {}, {}, {}, {}};
  const auto bump = [](double x, double y, double cx, double cy, double s) {
    return std::exp(-((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (2 * s * s)) + 1e-3;
  };
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < kSide; ++j) {
      const double x = i / (kSide - 1.0), y = j / (kSide - 1.0);
      out.x.insert(out.x.end(), {x, y});
      out.a.push_back(bump(x, y, 0.3, 0.3, 0.12));
      out.b.push_back(bump(x, y, 0.65, 0.6, 0.08) + bump(x, y, 0.3, 0.75, 0.06) / 2);
    }
  out.y = out.x;
  for (auto* w : {&out.a, &out.b}) {
    double sum = 0;
    for (const double v : *w) sum += v;
    for (double& v : *w) v /= sum;
  }
  return out;
}

Clouds cube(std::int64_t n, std::int64_t dim, std::uint64_t seed, double mass = 1) {
  Random random(seed);
  auto x = points(n, dim, [&](auto, auto) { return random.uniform(); });
  auto a = weights(n, random, mass);
  auto y = points(n, dim, [&](auto, auto) { return std::pow(random.uniform(), 1.5); });
  auto b = weights(n, random);
  return {n, dim, std::move(x), std::move(y), std::move(a), std::move(b)};
}

Clouds gauss(std::int64_t n, std::int64_t dim, std::uint64_t seed, double mass = 1) {
  Random random(seed);
  auto x = points(n, dim, [&](auto, auto) { return random.normal(); });
  auto a = weights(n, random, mass);
  auto y = points(n, dim, [&](auto, auto) { return 0.7 * random.normal() + 0.3; });
  auto b = weights(n, random);
  return {n, dim, std::move(x), std::move(y), std::move(a), std::move(b)};
}

Clouds clusters(std::int64_t n, std::int64_t dim, std::uint64_t seed, double mass = 1) {
  constexpr std::int64_t kClusters = 8;
  Random random(seed);
  const auto centres = points(kClusters, dim, [&](auto, auto) { return 0.6 * random.normal(); });
  auto x = points(n, dim, [&](std::int64_t i, std::int64_t k) {
    return centres[i % kClusters * dim + k] + 0.08 * random.normal();
  });
  auto a = weights(n, random, mass);
  auto y = points(n, dim, [&](std::int64_t i, std::int64_t k) {
    return 0.08 * random.normal() - centres[i % kClusters * dim + (k + 1) % dim];
  });
  auto b = weights(n, random);
  return {n, dim, std::move(x), std::move(y), std::move(a), std::move(b)};
}

struct Case {
  std::string name;
  const Clouds& clouds;
  Marginal source, target;
  double eps;
};

class Table {
 public:
  Table(Exec& exec, std::vector<std::string> methods, int max_iterations, double tolerance,
        bool phases, std::string only, int repeat)
      : exec_(exec),
        methods_(std::move(methods)),
        only_(std::move(only)),
        max_iterations_(max_iterations),
        tolerance_(tolerance),
        phases_(phases),
        repeat_(repeat) {}

  /// Whether any row whose name begins so may be asked for.
  bool wants(const std::string& name) const {
    return only_.empty() || only_.find(name) != std::string::npos ||
           name.find(only_) != std::string::npos || only_.find("eps") == 0;
  }
  void header(const char* name) const {
    std::printf("%-34s", name);
    for (const auto& method : methods_) std::printf(" %15s", method.c_str());
    std::printf("\n");
  }

  void row(const Case& c) {
    if (c.name.find(only_) == std::string::npos) return;
    const Clouds& in = c.clouds;
    const auto placed = [&](const std::vector<double>& values) {
      Buffer<double> out(static_cast<std::int64_t>(values.size()), exec_.device);
      copy(out.data(), exec_.device, values.data(), Device{},
           out.size() * std::int64_t{sizeof(double)});
      return out;
    };
    const auto x = placed(in.x), y = placed(in.y), a = placed(in.a), b = placed(in.b);
    const auto points = [&](const Buffer<double>& from) -> MatrixView<const double> {
      return {from.data(), in.n, in.dim, in.dim, 1, exec_.device};
    };
    const Problem<double> problem(PointCloud<double>{points(x), points(y)}, a.view(), b.view(),
                                  c.source, c.target, {{}, 1e-9, nullptr});
    std::printf("%-34s", c.name.c_str());
    std::string told;
    for (const auto& method : methods_) {
      SinkhornOptions options;
      options.epsilon = c.eps;
      options.tolerance = tolerance_;
      options.max_iterations = max_iterations_;
      options.acceleration = parse_acceleration(method);
      const auto result = sinkhorn(problem, options, exec_);
      if (repeat_ > 0) told += timed(method, [&] { sinkhorn(problem, options, exec_); });
      double passes = 0;
      for (const auto& phase : result.report.phases) {
        passes += phase.passes;
        if (!phases_) continue;
        char line[256];
        std::snprintf(line, sizeof line, "    %s: %s %.1f passes, %lld steps (%s)\n",
                      method.c_str(), phase.name.c_str(), phase.passes,
                      static_cast<long long>(phase.steps), phase.why.c_str());
        told += line;
      }
      if (result.report.converged)
        std::printf(" %15.0f", std::ceil(passes));
      else
        std::printf(" %6.0f!%8.1e", std::ceil(passes), result.report.marginal_error);
      std::fflush(stdout);
    }
    std::printf("\n");
    std::printf("%s", told.c_str());
  }

 private:
  template <class Solve>
  std::string timed(const std::string& method, const Solve& solve) const {
    std::vector<double> times;
    for (int r = 0; r < repeat_; ++r) {
      const auto start = std::chrono::steady_clock::now();
      solve();
      times.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
              .count());
    }
    std::sort(times.begin(), times.end());
    char line[128];
    std::snprintf(line, sizeof line, "    %s: %.2f ms (%.2f to %.2f)\n", method.c_str(),
                  times[times.size() / 2], times.front(), times.back());
    return line;
  }

  Exec& exec_;
  std::vector<std::string> methods_;
  std::string only_;
  int max_iterations_;
  double tolerance_;
  bool phases_;
  int repeat_;
};

std::string named(const std::string& name, double eps, const char* kind = "") {
  char text[64];
  std::snprintf(text, sizeof text, "%s %s eps %.0e", name.c_str(), kind, eps);
  return text;
}

void classic(Table& table) {
  table.header("eps / largest cost");
  const Clouds both[] = {square(800), lattice()};
  for (const Clouds& in : both)
    for (const double eps : {1e-2, 1e-3, 1e-4})
      table.row({named(&in == both ? "points" : "lattice", eps), in, Balanced{}, Balanced{},
                 eps * in.mean_and_largest_cost().second});
}

void small(Table& table, std::int64_t n, std::uint64_t seed) {
  table.header("eps / largest cost");
  const std::pair<const char*, Clouds> all[] = {{"cube3d", cube(n, 3, seed)},
                                                {"clusters3d", clusters(n, 3, seed)},
                                                {"gauss16d", gauss(n, 16, seed)},
                                                {"gauss64d", gauss(n, 64, seed)}};
  for (const auto& [name, in] : all) {
    if (!table.wants(name)) continue;
    const double largest = in.mean_and_largest_cost().second;
    for (const double eps : {1e-2, 1e-3, 1e-4, 1e-5})
      table.row({named(name, eps), in, Balanced{}, Balanced{}, eps * largest});
  }
}

void mixed(Table& table, std::int64_t n, int parity) {
  table.header("eps / mean cost");
  int number = 0;
  const double eps[] = {1, 0.1, 0.01, 1e-3, 1e-4};
  const char* const kinds[] = {"balanced", "kl", "semi", "tv"};
  for (const std::int64_t dim : {1, 2, 3, 8, 16, 64})
    for (int e = 0; e < 5; ++e)
      for (int k = 0; k < 2; ++k) {
        const int kind = (static_cast<int>(dim) + e + k) % 2 == 0 ? 0 : 1 + (e + k) % 3;
        const std::uint64_t seed = 100 + number;
        if (number++ % 2 != parity) continue;
        const double mass = kind == 0 ? 1 : 1.3;
        const Clouds in = number % 3 == 0   ? cube(n, dim, seed, mass)
                          : number % 3 == 1 ? gauss(n, dim, seed, mass)
                                            : clusters(n, dim, seed, mass);
        const double mean = in.mean_and_largest_cost().first;
        const Marginal kl = KL{0.3 * mean}, tv = TV{0.7 * mean}, hard = Balanced{};
        const Marginal source = kind == 0 ? hard : kind == 3 ? tv : kl;
        const Marginal target = kind == 1 ? kl : kind == 3 ? tv : hard;
        table.row(
            {named(std::to_string(number - 1) + " d " + std::to_string(dim), eps[e], kinds[kind]),
             in, source, target, eps[e] * mean});
      }
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  using namespace monge::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app("Passes over all pairs that each method needs", "bench_passes");
  std::vector<std::string> tables{"classic", "small", "mixed"};
  std::vector<std::string> methods{"none", "over_relaxation", "anderson", "newton", "automatic"};
  std::int64_t n = 1024;
  std::uint64_t seed = 1;
  int max_iterations = 2000, repeat = 0;
  double tolerance = 1e-6;
  std::string half = "both", only;
  bool phases = false;
  monge::Exec exec;
  app.add_option("--table", tables, "classic, small, mixed (default all)")->delimiter(',');
  app.add_option("--method", methods, "Accelerations by name (default all)")->delimiter(',');
  app.add_option("--n", n, "Points of each side of small and mixed (default 1024)");
  app.add_option("--seed", seed, "Of the clouds of small (default 1)");
  app.add_option("--max-iterations", max_iterations, "Of each solve (default 2000)");
  app.add_option("--tolerance", tolerance, "L1 marginal error (default 1e-6)");
  app.add_option("--half", half, "Of mixed: even, odd or both (default)")
      ->check(CLI::IsMember({"even", "odd", "both"}));
  app.add_option("--only", only, "Rows whose name has this in it");
  app.add_flag("--phases", phases, "What ran in each solve");
  app.add_option("--repeat", repeat, "Times each solve so often once more (default 0)");
  add_device(app, exec);
  app.add_option("--threads", exec.threads, "0 (default): what the machine grants this process");
  return parse_and_run(app, count, words, [&] {
    Table table(exec, methods, max_iterations, tolerance, phases, only, repeat);
    for (const std::string& name : tables) {
      if (name == "classic") classic(table);
      if (name == "small") small(table, n, seed);
      if (name == "mixed" && half != "odd") mixed(table, n, 0);
      if (name == "mixed" && half != "even") mixed(table, n, 1);
    }
  });
}

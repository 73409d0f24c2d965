// Solves between images: passes and seconds from zero and from coarser lattices, and what entries
// of the plan cost: bench_lattices --help. `hills`: bumps over a floor on the full canvas;
// `shapes`: uniform silhouettes, the rest masked. The longer side has length 1.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "monge/monge.hpp"
#include "options.hpp"

namespace monge::bench {
namespace {
struct Images {
  Grid grid;
  std::vector<double> a, b;
};

/// value(x, y) of the pixels, x along the rows' side of length `height`; of the wanted sum.
template <class Value>
std::vector<double> image(const Grid& grid, double mass, const Value& value) {
  std::vector<double> out;
  double sum = 0;
  for (std::int64_t i = 0; i < grid.shape[0]; ++i)
    for (std::int64_t j = 0; j < grid.shape[1]; ++j) {
      out.push_back(value(static_cast<double>(i) * grid.spacing[0],
                          static_cast<double>(j) * grid.spacing[1]));
      sum += out.back();
    }
  for (double& w : out) w *= mass / sum;
  return out;
}

Images images(const std::vector<std::int64_t>& shape, bool hills, double mass) {
  Images out;
  out.grid.dim = 2;
  const double pixel = 1 / static_cast<double>(std::max(shape[0], shape[1]));
  for (int k = 0; k < 2; ++k) {
    out.grid.shape[k] = shape[k];
    out.grid.spacing[k] = pixel;
  }
  const double height = static_cast<double>(shape[0]) * pixel,
               width = static_cast<double>(shape[1]) * pixel;
  const auto bump = [&](double x, double y, double cx, double cy, double s) {
    const double u = x - cx * height, v = y - cy * width;
    return std::exp(-(u * u + v * v) / (2 * s * s));
  };
  const auto within = [&](double x, double y, double cx, double cy, double rx, double ry) {
    const double u = (x - cx * height) / rx, v = (y - cy * width) / ry;
    return u * u + v * v < 1 + 0.3 * std::sin(3 * std::atan2(v, u));
  };
  if (hills) {
    out.a = image(out.grid, 1, [&](double x, double y) {
      return bump(x, y, .3, .3, .1) + .4 * bump(x, y, .6, .55, .05) + 1e-3;
    });
    out.b = image(out.grid, mass, [&](double x, double y) {
      return bump(x, y, .65, .6, .08) + .5 * bump(x, y, .3, .75, .06) + 1e-3;
    });
  } else {
    out.a = image(out.grid, 1,
                  [&](double x, double y) { return within(x, y, .45, .4, .15, .28) ? 1.0 : 0.0; });
    out.b = image(out.grid, mass, [&](double x, double y) {
      return within(x, y, .55, .6, .13, .3) || within(x, y, .3, .2, .06, .1) ? 1.0 : 0.0;
    });
  }
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <class T>
void row(const char* name, const Images& in, const Marginal& side, SinkhornOptions options,
         bool entries, Exec& exec) {
  const auto placed = [&](const std::vector<double>& from) {
    Buffer<T> out(static_cast<std::int64_t>(from.size()));
    std::transform(from.begin(), from.end(), out.begin(), [](double w) { return T(w); });
    return std::move(out).to(exec.device);
  };
  const auto a = placed(in.a), b = placed(in.b);
  const Problem<T> problem(Lattice<T>{in.grid, in.grid, SquaredEuclidean{}, {}, exec.device},
                           a.view(), b.view(), side, side, {{}, 1e-5, nullptr, {}});
  std::printf("%-18s %-7s %8.0e", name, sizeof(T) == 4 ? "float" : "double", options.epsilon);
  SinkhornResult<T> last;
  for (const auto initializer : {Initializer::zero, Initializer::coarse}) {
    options.initializer = initializer;
    const auto begin = std::chrono::steady_clock::now();
    auto result = sinkhorn(problem, options, exec);
    const double seconds = seconds_since(begin);
    double passes = 0;
    for (const auto& phase : result.report.phases) passes += phase.passes;
    std::printf("  %7.0f %7.3f%c", passes, seconds, result.report.converged ? ' ' : '!');
    last = std::move(result);
  }
  if (entries) {
    const Plan<T> plan(problem, last);
    const auto timed = [&](const auto& call) {
      const auto begin = std::chrono::steady_clock::now();
      call();
      std::printf(" %8.3f", seconds_since(begin));
    };
    timed([&] { plan.top_k(10, exec); });
    timed([&] { plan.draw_pairs(1000000, 0, exec); });
    timed([&] { plan.moments(Side::source, exec); });
  }
  std::printf("\n");
  std::fflush(stdout);
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  using namespace monge::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app("Solves between images from zero and from coarser lattices", "bench_lattices");
  std::vector<std::int64_t> shape{256, 576};
  std::vector<double> epsilons{1e-3, 1e-4, 1e-5};
  std::vector<std::string> types{"float", "double"};
  double tolerance = 1e-4;
  bool entries = false;
  monge::Exec exec;
  app.add_option("--shape", shape, "Pixels (default 256,576)")->delimiter(',')->expected(2);
  app.add_option("--epsilon", epsilons, "Default 1e-3,1e-4,1e-5")->delimiter(',');
  app.add_option("--type", types, "float, double (default both)")
      ->delimiter(',')
      ->check(CLI::IsMember({"float", "double"}));
  app.add_option("--tolerance", tolerance, "L1 marginal error (default 1e-4)");
  app.add_flag("--entries", entries, "Seconds of top_k(10), 10^6 drawn pairs and moments");
  app.add_option("--threads", exec.threads, "0 (default): what the machine grants this process");
  add_device(app, exec);
  return parse_and_run(app, count, words, [&] {
    std::printf("%-18s %-7s %8s  %16s  %16s%s\n", "", "", "epsilon", "zero: passes, s",
                "coarse: passes, s", entries ? "    top_k    draws  moments" : "");
    for (const bool hills : {true, false})
      for (const bool balanced : {true, false}) {
        const Images in = images(shape, hills, balanced ? 1 : 1.2);
        const monge::Marginal side =
            balanced ? monge::Marginal(monge::Balanced{}) : monge::Marginal(monge::KL{0.1});
        const std::string name =
            std::string(hills ? "hills" : "shapes") + (balanced ? " balanced" : " kl");
        monge::SinkhornOptions options;
        options.tolerance = tolerance;
        for (const double epsilon : epsilons) {
          options.epsilon = epsilon;
          for (const auto& type : types) {
            if (type == "float") row<float>(name.c_str(), in, side, options, entries, exec);
            if (type == "double") row<double>(name.c_str(), in, side, options, entries, exec);
          }
        }
      }
  });
}

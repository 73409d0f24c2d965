// Many problems in one call against one call after the other: bench_batch --help.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "monge/ot/batch.hpp"
#include "options.hpp"

namespace monge::bench {
namespace {
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Clouds {
  std::vector<Buffer<float>> memory;
  std::vector<ProblemArgs<float>> pairs;

  /// Points of the unit cube, in the square as blobs: the second of a pair is the first, moved.
  Clouds(int count, std::int64_t points, std::int64_t dim, bool ragged, Device device) {
    memory.reserve(2 * count);
    std::mt19937_64 random(1);
    std::uniform_real_distribution<float> uniform;
    const auto cloud = [&](float x0, std::int64_t size) {
      std::vector<float> host(size * dim);
      for (float& x : host) x = 0.8f * uniform(random) + x0;
      const auto& made = memory.emplace_back(size * dim, device);
      copy(memory.back().data(), device, host.data(), Device{},
           size * dim * std::int64_t{sizeof(float)});
      return MatrixView<const float>(made.data(), size, dim, dim, 1, device);
    };
    for (int i = 0; i < count; ++i) {
      const auto size = [&] {
        return ragged ? points * 3 / 4 + static_cast<std::int64_t>(uniform(random) * points / 2)
                      : points;
      };
      const auto x = cloud(0, size()), y = cloud(0.1f * uniform(random), size());
      pairs.push_back({PointCloud<float>{x, y}, {}, {}});
    }
  }
};

/// The best of `runs` calls after one that warms.
template <class Call>
double best_of(int runs, const Call& call) {
  call();
  double best = 1e300;
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    call();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

void pairs(int count, std::int64_t points, double epsilon, double tolerance, Exec& exec) {
  Clouds clouds(count, points, 2, true, exec.device);
  for (auto& pair : clouds.pairs) pair.marginal_a = pair.marginal_b = KL{0.05};
  SinkhornOptions options;
  options.epsilon = epsilon;
  options.tolerance = tolerance;
  options.max_iterations = 3000;
  std::vector<SinkhornResult<float>> results;
  double making = 0;
  const double all = best_of(1, [&] {
    const auto start = Clock::now();
    const auto problems = monge::problems<float>(clouds.pairs, exec);
    making = seconds_since(start);
    std::vector<BatchEntry<float>> entries;
    for (const auto& problem : problems) entries.push_back({&problem, options});
    results = sinkhorn<float>(entries, exec);
  });
  double passes = 0, pairs_swept = 0;
  int converged = 0;
  for (const auto& result : results) {
    passes += static_cast<double>(result.report.passes);
    pairs_swept += static_cast<double>(result.report.passes) *
                   static_cast<double>(result.f.size()) * static_cast<double>(result.g.size());
    converged += result.report.converged;
  }
  const int sample = std::min(count, 5);
  const double alone = best_of(1, [&] {
    for (int i = 0; i < sample; ++i) {
      const auto& p = clouds.pairs[i];
      const Problem<float> problem(p.geometry, p.a, p.b, p.marginal_a, p.marginal_b);
      sinkhorn(problem, options, exec);
    }
  });
  std::printf(
      "pairs: %d of about %ld points, epsilon %g: %.3f s in all (problems %.4f s), %.0f "
      "passes each, %d converged, %.0f G pairs/s; one alone %.4f s\n",
      count, static_cast<long>(points), epsilon, all, making, passes / count, converged,
      pairs_swept / all / 1e9, alone / sample);
}

void debiased(int count, std::int64_t points, std::int64_t dim, bool gradients, Exec& exec) {
  const Clouds clouds(count, points, dim, false, exec.device);
  std::vector<DivergenceEntry<float>> entries;
  for (const auto& pair : clouds.pairs) {
    const auto& cloud = std::get<PointCloud<float>>(pair.geometry);
    DivergenceOptions options;
    options.epsilon = 0.25;
    options.max_iterations = 10;
    options.tolerance = 1e-30;
    options.annealing = Annealing::off;
    options.acceleration = Acceleration::none;
    options.gradients = gradients;
    entries.push_back({{cloud.x, {}}, {cloud.y, {}}, options});
  }
  const double all = best_of(10, [&] { divergence<float>(entries, exec); });
  const double alone = best_of(3, [&] {
    for (const auto& [source, target, options] : entries) divergence(source, target, options, exec);
  });
  std::printf(
      "debiased: %d of %ld points, d = %ld, 10 iterations%s: %.3f ms in all, %.3f ms one "
      "after the other\n",
      count, static_cast<long>(points), static_cast<long>(dim), gradients ? " and gradients" : "",
      1e3 * all, 1e3 * alone);
}

void small(int count, std::int64_t points, std::int64_t dim, Exec& exec) {
  const Clouds clouds(count, points, dim, false, exec.device);
  SinkhornOptions options;
  options.epsilon = 0.1;
  options.tolerance = 1e-4;
  const double all = best_of(2, [&] {
    const auto problems = monge::problems<float>(clouds.pairs, exec);
    std::vector<BatchEntry<float>> entries;
    for (const auto& problem : problems) entries.push_back({&problem, options});
    sinkhorn<float>(entries, exec);
  });
  std::printf("small: %d of %ld points, d = %ld: %.1f ms in all\n", count,
              static_cast<long>(points), static_cast<long>(dim), 1e3 * all);
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  using namespace monge::bench;  // NOLINT(google-build-using-namespace): its main
  CLI::App app("Times batches on one device, in float");
  monge::Exec exec;
  int entries = 313;
  std::int64_t points = 3000;
  double epsilon = 1e-4, tolerance = 1e-3;
  add_device(app, exec);
  app.add_option("--entries", entries, "Pairs (default 313)")->check(CLI::Range(1, 1000000));
  app.add_option("--n", points, "About the points of each (default 3000)")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--epsilon", epsilon, "Of the pairs (default 1e-4)");
  app.add_option("--tolerance", tolerance, "Of the pairs (default 1e-3)");
  std::vector<std::string> only;
  app.add_option("--only", only, "pairs, debiased, small (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember({"pairs", "debiased", "small"}));
  const auto wants = [&](const char* row) {
    return only.empty() || std::find(only.begin(), only.end(), row) != only.end();
  };
  return parse_and_run(app, count, words, [&] {
    if (wants("pairs")) pairs(entries, points, epsilon, tolerance, exec);
    if (wants("debiased")) {
      debiased(64, 256, 16, false, exec);
      debiased(64, 256, 16, true, exec);
    }
    if (wants("small")) small(10000, 64, 16, exec);
  });
}

#include "monge/ot/batch.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <numeric>
#include <thread>
#include <vector>

#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;
using testing::refusal;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Exec with_threads(int threads) {
  Exec exec;
  exec.threads = threads;
  return exec;
}

template <class T>
bool same(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

bool same(const SinkhornReport& a, const SinkhornReport& b) {
  const auto equal = [](const SinkhornCheck& p, const SinkhornCheck& q) {
    return p.iterations == q.iterations && p.passes == q.passes && p.epsilon == q.epsilon &&
           p.marginal_error == q.marginal_error && p.dual_value == q.dual_value &&
           p.transported_mass == q.transported_mass;
  };
  return a.status == b.status && equal(a, b) && a.absorbed == b.absorbed &&
         std::equal(a.trace.begin(), a.trace.end(), b.trace.begin(), b.trace.end(), equal);
}

template <class T>
bool same(const SinkhornResult<T>& a, const SinkhornResult<T>& b) {
  return same(a.f, b.f) && same(a.g, b.g) && same(a.report, b.report);
}

/// Shapes, dimensions, costs, marginals, epsilon, masses and starts that differ from entry to
/// entry; one is slow, one large enough for an absorbed kernel.
template <class T>
struct Ragged {
  std::vector<Clouds<T>> clouds;
  std::vector<std::vector<T>> starts;
  std::vector<ProblemArgs<T>> args;
  std::vector<SinkhornOptions> options;
  std::vector<Problem<T>> made;

  explicit Ragged(int count) {
    const Cost costs[] = {SquaredEuclidean{}, Euclidean{}, Power{1.5}, Cosine{}};
    const std::int64_t dims[] = {2, 3, 7, 16};
    clouds.reserve(count);
    starts.reserve(count);
    for (int i = 0; i < count; ++i) {
      const std::int64_t n = 1 + 37 * i % 130, m = 1 + 53 * i % 110;
      clouds.push_back(random_clouds<T>(i == 5 ? 600 : n, m, dims[i % 4], i, 1, i % 3 ? 1 : 0.7));
      const auto& c = clouds.back();
      ProblemArgs<T> args{PointCloud<T>{c.source(), c.target(), costs[i / 4 % 4]},
                          c.source_weights(), c.target_weights()};
      SinkhornOptions how;
      how.epsilon = i == 9 ? 1e-3 : 0.05 * (1 + i % 3);
      how.tolerance = sizeof(T) == 4 ? 1e-5 : 1e-9;
      how.max_iterations = 3000;
      if (i % 3 == 0) args.marginal_a = KL{1}, args.marginal_b = KL{2};
      if (i % 6 == 4) {
        args.options.total_mass = 0.5;
        args.marginal_a = args.marginal_b = TV{kInfinity};
      }
      starts.emplace_back(i % 5 == 2 ? m : 0, T(0.1));
      this->args.push_back(args);
      options.push_back(how);
    }
    Exec exec;
    made = problems<T>(this->args, exec);
  }

  BatchEntry<T> entry(std::size_t i) const {
    const auto size = static_cast<std::int64_t>(starts[i].size());
    return {&made[i], options[i], {{}, {starts[i].data(), size}}};
  }
  std::vector<SinkhornResult<T>> solve(const std::vector<std::size_t>& which, int threads) const {
    std::vector<BatchEntry<T>> entries;
    for (const std::size_t i : which) entries.push_back(entry(i));
    Exec exec = with_threads(threads);
    return sinkhorn<T>(entries, exec);
  }
};

template <class T>
class Batches : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Batches, Scalars);

// A1 of batches: any order and split; fast entries beside a slow one.
TYPED_TEST(Batches, AreTheirEntriesAloneInAnyOrderAndSplit) {
  using T = TypeParam;
  const Ragged<T> ragged(64);
  std::vector<SinkhornResult<T>> alone;
  for (std::size_t i = 0; i < ragged.args.size(); ++i) {
    const auto& p = ragged.args[i];
    const Problem<T> problem(p.geometry, p.a, p.b, p.marginal_a, p.marginal_b, p.options);
    Exec exec = with_threads(2);
    alone.push_back(sinkhorn(problem, ragged.options[i], exec, ragged.entry(i).start));
  }
  std::vector<std::size_t> order(alone.size());
  std::iota(order.begin(), order.end(), 0);
  for (const int threads : {1, 2, 3}) {
    const auto all = ragged.solve(order, threads);
    for (std::size_t at = 0; at < order.size(); ++at)
      EXPECT_TRUE(same(all[at], alone[order[at]])) << order[at];
    std::reverse(order.begin() + threads, order.end());
  }
  for (const std::vector<std::size_t>& part :
       {std::vector<std::size_t>(order.begin(), order.begin() + 7),
        std::vector<std::size_t>(order.begin() + 7, order.end())}) {
    const auto some = ragged.solve(part, 2);
    for (std::size_t at = 0; at < part.size(); ++at)
      EXPECT_TRUE(same(some[at], alone[part[at]])) << part[at];
  }
}

TYPED_TEST(Batches, LeaveFastEntriesAsTheyAreBesideASlowOne) {
  using T = TypeParam;
  const Ragged<T> ragged(8);
  const auto fast = ragged.solve({0, 1, 2, 3}, 2);
  std::vector<BatchEntry<T>> entries{ragged.entry(0), ragged.entry(1), ragged.entry(7),
                                     ragged.entry(2), ragged.entry(3)};
  entries[2].options.epsilon = 1e-4;
  entries[2].options.tolerance = 1e-14;
  entries[2].options.acceleration = Acceleration::none;
  Exec exec = with_threads(2);
  const auto mixed = sinkhorn<T>(entries, exec);
  EXPECT_FALSE(mixed[2].report.converged);
  EXPECT_GT(mixed[2].report.passes, 10 * fast[0].report.passes);
  for (const auto& [at, i] : {std::pair{0, 0}, {1, 1}, {3, 2}, {4, 3}})
    EXPECT_TRUE(same(mixed[at], fast[i])) << i;
}

TYPED_TEST(Batches, OfDivergencesAreTheirEntriesAlone) {
  using T = TypeParam;
  std::vector<Clouds<T>> clouds;
  std::vector<DivergenceEntry<T>> entries;
  for (int i = 0; i < 9; ++i)
    clouds.push_back(random_clouds<T>(5 + 11 * i, 40 - 3 * i, 3, i, 1, 1));
  for (const auto& c : clouds) {
    DivergenceOptions how;
    how.epsilon = 0.02 * static_cast<double>(1 + entries.size() % 3);
    how.gradients = true;
    if (entries.size() % 2) how.marginal_a = how.marginal_b = KL{1};
    entries.push_back({{c.source(), c.source_weights()}, {c.target(), c.target_weights()}, how});
  }
  Exec exec = with_threads(2);
  const auto all = divergence<T>(entries, exec);
  ASSERT_EQ(all.size(), entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto alone = divergence(entries[i].source, entries[i].target, entries[i].options, exec);
    EXPECT_EQ(all[i].value, alone.value);
    EXPECT_TRUE(same(all[i].ab, alone.ab) && same(all[i].bb, alone.bb));
    EXPECT_TRUE(same(all[i].dx, alone.dx) && same(all[i].db, alone.db));
  }
}

TEST(Batch, GoesOnInDoubleFromEachResultInFloat) {
  const Ragged<float> ragged(6);
  const Ragged<double> wide(6);
  const auto begun = ragged.solve({0, 1, 2}, 2);
  std::vector<BatchEntry<double>> entries;
  std::vector<const SinkhornResult<float>*> from;
  for (std::size_t i = 0; i < begun.size(); ++i) {
    entries.push_back({&wide.made[i], wide.options[i]});
    from.push_back(&begun[i]);
  }
  Exec exec = with_threads(2);
  const auto all = sinkhorn(entries, from, exec);
  for (std::size_t i = 0; i < begun.size(); ++i)
    EXPECT_TRUE(same(all[i], sinkhorn(wide.made[i], wide.options[i], exec, begun[i]))) << i;
  from.pop_back();
  EXPECT_TRUE(refusal([&] { sinkhorn(entries, from, exec); }).says("2 results to go on from"));
}

TEST(Batch, OfNothingIsNothing) {
  Exec exec;
  EXPECT_TRUE(problems<double>({}, exec).empty());
  EXPECT_TRUE(sinkhorn<double>(std::span<const BatchEntry<double>>(), exec).empty());
  EXPECT_TRUE(divergence<float>(std::span<const DivergenceEntry<float>>(), exec).empty());
}

TEST(Batch, NamesTheFirstEntryThatIsMalformed) {
  Ragged<double> ragged(32);
  std::vector<double> negative(ragged.clouds[20].n, -1), bad(ragged.clouds[30].n, -1);
  ragged.args[20].a = {negative.data(), ragged.clouds[20].n};
  ragged.args[30].a = {bad.data(), ragged.clouds[30].n};
  for (const int threads : {1, 2}) {
    Exec exec = with_threads(threads);
    const auto said = refusal([&] { problems<double>(ragged.args, exec); });
    EXPECT_TRUE(said.says("[batch] entry 20: [problem] a[0] is -1")) << said.message;
    EXPECT_EQ(said.argument, "a");
    EXPECT_EQ(said.index, 20);
  }
}

TEST(Batch, ChecksEveryOptionBeforeTheFirstSolve) {
  const Ragged<double> ragged(8);
  std::vector<BatchEntry<double>> entries;
  for (std::size_t i = 0; i < 8; ++i) entries.push_back(ragged.entry(i));
  std::atomic<int> checks{0};
  entries[0].options.on_check = [&](const SinkhornReport&) { return ++checks > 0; };
  entries[6].options.epsilon = 0;
  Exec exec = with_threads(2);
  const auto said = refusal([&] { sinkhorn<double>(entries, exec); });
  EXPECT_TRUE(said.says("[batch] entry 6: [sinkhorn] epsilon is 0")) << said.message;
  EXPECT_EQ(said.index, 6);
  EXPECT_EQ(checks, 0);
}

TEST(Batch, AsksItsCallbacksOneAtATime) {
  const Ragged<double> ragged(48);
  std::vector<BatchEntry<double>> entries;
  std::atomic<int> inside{0}, most{0};
  int checks = 0, stopped = 0;
  for (std::size_t i = 0; i < 48; ++i) {
    entries.push_back(ragged.entry(i));
    entries.back().options.on_check = [&, i](const SinkhornReport&) {
      most = std::max<int>(most, ++inside);
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      ++checks;
      --inside;
      return i != 7;
    };
  }
  Exec exec = with_threads(3);
  const auto results = sinkhorn<double>(entries, exec);
  EXPECT_EQ(most, 1);
  EXPECT_GT(checks, 48);
  for (const auto& result : results) stopped += result.report.status == Status::stopped;
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(results[7].report.status, Status::stopped);
}

// The calling thread has nothing left to do while another is at a slow entry: it still asks.
TEST(Batch, StopsWithinASecondWhereverItsThreadsAre) {
  const auto quick = random_clouds<double>(40, 40, 3, 1, 1, 1),
             slow = random_clouds<double>(300, 300, 3, 2, 1, 1);
  std::vector<Problem<double>> made;
  for (int i = 0; i < 3; ++i) made.push_back(slow.problem(Balanced{}, Balanced{}));
  made.push_back(quick.problem(Balanced{}, Balanced{}));
  std::vector<BatchEntry<double>> entries;
  for (const auto& problem : made) {
    SinkhornOptions how;
    how.epsilon = 1e-7;
    how.tolerance = 1e-15;
    how.max_iterations = 1 << 30;
    how.acceleration = Acceleration::none;
    entries.push_back({&problem, how});
  }
  entries.back().options.epsilon = 0.5;
  for (const bool by_hook : {true, false}) {
    for (const std::size_t first : {std::size_t{0}, std::size_t{2}}) {
      std::atomic<bool> stop{false};
      Exec exec = with_threads(2);
      const auto begin = std::chrono::steady_clock::now();
      const auto late = [&] {
        return std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(300);
      };
      exec.stop = &stop;
      std::thread clock([&] {
        if (by_hook) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        stop = true;
      });
      if (by_hook)
        exec.progress = [&](const Progress& at) {
          EXPECT_EQ(at.entries, static_cast<std::int64_t>(entries.size() - first));
          EXPECT_LT(at.entries_done, at.entries);
          return !late();
        };
      EXPECT_THROW(sinkhorn<double>(std::span(entries).subspan(first), exec), Interrupted);
      clock.join();
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
    }
  }
}

TEST(Batch, AndSinglesRunAtOnceFromManyThreads) {
  const Ragged<double> ragged(24);
  std::vector<std::size_t> all(24);
  std::iota(all.begin(), all.end(), 0);
  const auto want = ragged.solve(all, 1);
  std::atomic<int> equal{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller)
    callers.emplace_back([&, caller] {
      std::vector<SinkhornResult<double>> got;
      if (caller % 2 == 0) {
        got = ragged.solve(all, 2);
      } else {
        Exec exec = with_threads(2);
        for (const std::size_t i : all)
          got.push_back(sinkhorn(ragged.made[i], ragged.options[i], exec, ragged.entry(i).start));
      }
      for (const std::size_t i : all) equal += same(got[i], want[i]);
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(equal, 6 * 24);
}

TEST(Batch, RunsInsideACallersParallelRegion) {
  const Ragged<double> ragged(8);
  const auto outside = ragged.solve({0, 1, 2, 3}, 2);
  std::atomic<int> equal{0};
#pragma omp parallel num_threads(2)
  {
    const auto inside = ragged.solve({0, 1, 2, 3}, 0);
    for (std::size_t i = 0; i < inside.size(); ++i) equal += same(inside[i], outside[i]);
  }
  EXPECT_EQ(equal, 8);
}
}  // namespace
}  // namespace monge

// Batches on a GPU, where the kernels of all entries are launched together: the same bits as alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "monge/ot/batch.hpp"
#include "support/devices.hpp"
#include "support/problems.hpp"

#ifdef MONGE_WITH_CUDA
#include "cuda/toolkit.hpp"
#endif

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;

template <class T>
class BatchOnDevice : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BatchOnDevice, Scalars);

Exec exec_there() {
  Exec exec;
  exec.device = testing::current_device();
  return exec;
}

template <class T>
Buffer<T> there(const std::vector<T>& values) {
  Buffer<T> out(std::ssize(values), testing::current_device());
  copy(out.data(), out.device(), values.data(), Device{}, out.size() * std::int64_t{sizeof(T)});
  return out;
}

/// A result on the host, all of it.
template <class T>
struct Bits {
  std::vector<T> f, g;
  std::vector<double> numbers;

  explicit Bits(const SinkhornResult<T>& result) {
    const auto host_f = result.f.to(Device{}), host_g = result.g.to(Device{});
    f.assign(host_f.begin(), host_f.end());
    g.assign(host_g.begin(), host_g.end());
    const SinkhornReport& r = result.report;
    numbers = {static_cast<double>(r.status),
               static_cast<double>(r.passes),
               r.marginal_error,
               r.dual_value,
               r.transported_mass,
               r.duality_gap,
               r.mass_level,
               r.omega};
    for (const SinkhornCheck& check : r.trace)
      numbers.insert(numbers.end(), {static_cast<double>(check.iterations), check.epsilon,
                                     check.marginal_error, check.dual_value});
  }
  // Bits: a gap that is not a number is the same as itself.
  friend bool operator==(const Bits& a, const Bits& b) {
    const auto same = [](const auto& u, const auto& v) {
      return u.size() == v.size() &&
             (u.empty() || std::memcmp(u.data(), v.data(), u.size() * sizeof(u[0])) == 0);
    };
    return same(a.f, b.f) && same(a.g, b.g) && same(a.numbers, b.numbers);
  }
};

/// Problems on the current device that differ in all that they may.
template <class T>
struct Ragged {
  std::vector<Buffer<T>> memory;
  std::vector<ProblemArgs<T>> args;
  std::vector<SinkhornOptions> options;
  std::vector<Problem<T>> problems;

  explicit Ragged(int count) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const Cost costs[] = {
        SquaredEuclidean{}, HalfSquaredEuclidean{}, Euclidean{}, Power{1.5}, Cosine{}, Dot{}};
    const std::int64_t dims[] = {2, 3, 16, 1, 4, 7, 70};
    const auto keep = [&](const std::vector<T>& values) -> const Buffer<T>& {
      return memory.emplace_back(there(values));
    };
    memory.reserve(5 * count);
    for (int i = 0; i < count; ++i) {
      const std::int64_t n = i == 3 ? 1500 : 1 + 37 * i % 331, m = i == 5 ? 2100 : 1 + 53 * i % 301,
                         d = dims[i % 7];
      const Clouds<T> c = random_clouds<T>(n, m, d, i, 1, i % 3 == 0 ? 0.7 : 1);
      const auto& x = keep(c.x);
      const auto& y = keep(c.y);
      const auto& a = keep(c.a);
      const auto& b = keep(c.b);
      const Device device = testing::current_device();
      ProblemArgs<T> one{
          PointCloud<T>{
              {x.data(), n, d, d, 1, device}, {y.data(), m, d, d, 1, device}, costs[i / 2 % 6]},
          a.view(), b.view()};
      if (i % 8 == 6) {  // of rows, or of columns
        const auto values = c.costs();
        const auto& matrix = keep(std::vector<T>(values.begin(), values.end()));
        if (i % 16 == 6)
          one.geometry = CostMatrix<T>{{matrix.data(), n, m, m, 1, device}};
        else
          std::swap(one.a, one.b),
              one.geometry = CostMatrix<T>{{matrix.data(), m, n, 1, m, device}};
      }
      if (i % 3 == 0) one.marginal_a = KL{1}, one.marginal_b = i % 2 ? Marginal{KL{2}} : TV{1};
      if (i % 6 == 4) {
        one.options.total_mass = 0.5;
        one.marginal_a = one.marginal_b = TV{kInfinity};
      }
      if (i % 4 == 1) one.a = {};
      SinkhornOptions how;
      how.epsilon = i % 5 == 2 ? 3e-3 : 0.05 * (1 + i % 3);
      how.tolerance = sizeof(T) == 4 ? 1e-5 : 1e-9;
      how.max_iterations = 300;
      how.check_every = 1 + i % 11;
      if (i % 7 == 3) how.annealing = Annealing::off;
      if (sizeof(T) == 8 && i % 5 == 0) how.precision = Precision::mixed;
      options.push_back(how);
      args.push_back(one);
    }
    Exec exec = exec_there();
    problems = monge::problems<T>(args, exec);
  }

  SinkhornResult<T> alone(std::size_t i) const {
    Exec exec = exec_there();
    return sinkhorn(problems[i], options[i], exec);
  }
  std::vector<SinkhornResult<T>> batch(const std::vector<std::size_t>& which) const {
    std::vector<BatchEntry<T>> entries;
    for (const std::size_t i : which) entries.push_back({&problems[i], options[i]});
    Exec exec = exec_there();
    return sinkhorn<T>(entries, exec);
  }
};

// A1 of batches.
TYPED_TEST(BatchOnDevice, IsItsEntriesAloneInAnyOrderAndSplit) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    const Ragged<T> ragged(70);
    std::vector<Bits<T>> alone;
    for (std::size_t i = 0; i < ragged.args.size(); ++i) {
      const auto& p = ragged.args[i];
      const Problem<T> problem(p.geometry, p.a, p.b, p.marginal_a, p.marginal_b, p.options);
      Exec exec = exec_there();
      alone.emplace_back(sinkhorn(problem, ragged.options[i], exec));
    }
    std::vector<std::size_t> order(alone.size());
    std::iota(order.begin(), order.end(), 0);
    const auto agree = [&](const std::vector<std::size_t>& which) {
      const auto results = ragged.batch(which);
      for (std::size_t e = 0; e < which.size(); ++e)
        EXPECT_EQ(Bits<T>(results[e]), alone[which[e]]) << "entry " << which[e];
    };
    agree(order);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    agree({order.begin(), order.begin() + 30});
    agree({order.begin() + 30, order.end()});
    agree({7});
  });
}

TYPED_TEST(BatchOnDevice, DivergencesAreThoseAlone) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    std::vector<Buffer<T>> memory;
    memory.reserve(100);
    std::vector<DivergenceEntry<T>> entries;
    const Device device = testing::current_device();
    for (int i = 0; i < 12; ++i) {
      const std::int64_t n = 40 + 31 * i, m = 300 - 17 * i, d = i % 2 ? 3 : 16;
      const auto c = random_clouds<T>(n, m, d, i, 1, 1);
      const auto measure = [&](const std::vector<T>& points, const std::vector<T>& weights,
                               std::int64_t count) {
        const auto& p = memory.emplace_back(there(points));
        const auto& w = memory.emplace_back(there(weights));
        return Measure<T>{{p.data(), count, d, d, 1, device}, w.view()};
      };
      DivergenceOptions options;
      options.epsilon = 0.1;
      options.max_iterations = 50;
      options.tolerance = 1e-4;
      options.gradients = i % 3 == 0;
      if (i % 4 == 1) options.marginal_a = KL{1}, options.marginal_b = KL{0.5};
      entries.push_back({measure(c.x, c.a, n), measure(c.y, c.b, m), options});
    }
    Exec exec = exec_there();
    const auto together = divergence<T>(entries, exec);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto alone = divergence(entries[i].source, entries[i].target, entries[i].options, exec);
      EXPECT_EQ(together[i].value, alone.value) << i;
      EXPECT_EQ(Bits<T>(together[i].ab), Bits<T>(alone.ab)) << i;
      EXPECT_EQ(Bits<T>(together[i].aa), Bits<T>(alone.aa)) << i;
      EXPECT_EQ(Bits<T>(together[i].bb), Bits<T>(alone.bb)) << i;
      const auto dx = together[i].dx.to(Device{}), want = alone.dx.to(Device{});
      EXPECT_TRUE(std::equal(dx.begin(), dx.end(), want.begin(), want.end())) << i;
    }
  });
}

// Mixes and Newton steps of a few small entries side by side: small enough for
// compute-sanitizer's racecheck.
TYPED_TEST(BatchOnDevice, AFewThatAccelerateAreThoseAlone) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    std::vector<Buffer<T>> memory;
    std::vector<Problem<T>> problems;
    std::vector<SinkhornOptions> options;
    memory.reserve(6);
    const Device device = testing::current_device();
    const Acceleration accelerations[] = {Acceleration::automatic, Acceleration::anderson,
                                          Acceleration::newton};
    for (int i = 0; i < 3; ++i) {
      const std::int64_t d = i == 1 ? 16 : 2;
      const auto c = random_clouds<T>(40 + 20 * i, 70 - 10 * i, d, i, 1, 1);
      const auto& x = memory.emplace_back(there(c.x));
      const auto& y = memory.emplace_back(there(c.y));
      const Marginal marginal = i == 1 ? Marginal{KL{1}} : Marginal{Balanced{}};
      problems.emplace_back(
          PointCloud<T>{{x.data(), c.n, d, d, 1, device}, {y.data(), c.m, d, d, 1, device}},
          VectorView<const T>{}, VectorView<const T>{}, marginal, marginal);
      SinkhornOptions how;
      how.epsilon = 0.02;
      how.annealing = Annealing::off;
      how.acceleration = accelerations[i];
      how.tolerance = 1e-5;
      how.max_iterations = 25;
      how.check_every = 5;
      options.push_back(how);
    }
    std::vector<BatchEntry<T>> entries;
    for (std::size_t i = 0; i < problems.size(); ++i) entries.push_back({&problems[i], options[i]});
    Exec exec = exec_there();
    const auto together = sinkhorn<T>(entries, exec);
    for (std::size_t i = 0; i < problems.size(); ++i) {
      EXPECT_EQ(Bits<T>(together[i]), Bits<T>(sinkhorn(problems[i], options[i], exec))) << i;
      EXPECT_LT(together[i].report.marginal_error, 1e-2) << i;
    }
  });
}

#ifdef MONGE_WITH_CUDA
// However many entries there are, a sweep is as many launches as that of one; and between two
// checks all of them are one, where chains are.
TYPED_TEST(BatchOnDevice, LaunchesAsOftenAsOneEntry) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    for (const std::int64_t d : {2, 16}) {
      std::vector<Buffer<T>> memory;
      memory.reserve(300);
      std::vector<Problem<T>> problems;
      const Device device = testing::current_device();
      for (int i = 0; i < 65; ++i) {
        const auto c = random_clouds<T>(100 + i, 150 - i, d, i, 1, 1);
        const auto& x = memory.emplace_back(there(c.x));
        const auto& y = memory.emplace_back(there(c.y));
        problems.emplace_back(
            PointCloud<T>{{x.data(), c.n, d, d, 1, device}, {y.data(), c.m, d, d, 1, device}},
            VectorView<const T>{}, VectorView<const T>{}, Balanced{}, Balanced{});
      }
      SinkhornOptions options;
      options.epsilon = 0.1;
      options.annealing = Annealing::off;
      options.acceleration = Acceleration::none;
      options.tolerance = 1e-30;
      options.max_iterations = 40;
      options.kernel_cache = 0;  // a kernel is absorbed by itself
      const auto launches = [&](std::size_t count) {
        std::vector<BatchEntry<T>> entries;
        for (std::size_t i = 0; i < count; ++i) entries.push_back({&problems[i], options});
        Exec exec = exec_there();
        exec.threads = 1;  // each has launches of its own
        const std::int64_t before = cuda::launches();
        sinkhorn<T>(entries, exec);
        return cuda::launches() - before;
      };
      const std::int64_t one = launches(1), many = launches(65);
      if (cuda::has_chains(device.index)) {
        EXPECT_LT(one, 40);
      } else {  // two sweeps, of which one steps, and a step that a check comes before
        EXPECT_GT(one, 3 * 40);
        EXPECT_LT(one, 5 * 40);  // with what comes before the first
      }
      // Another entry may keep a check that this one does not.
      EXPECT_LE(many, one + 40);
    }
  });
}
#endif

TYPED_TEST(BatchOnDevice, ResultsOutliveTheBatchAndItsMemoryGoes) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    const Ragged<T> ragged(20);
    std::vector<std::size_t> all(20);
    std::iota(all.begin(), all.end(), 0);
    auto kept = ragged.batch(all);
    const Bits<T> want(kept[11]);
    {
      const auto one = std::move(kept[11]);
      kept.clear();
      for (int again = 0; again < 3; ++again) ragged.batch(all);
      EXPECT_EQ(Bits<T>(one), want);
    }
  });
}

TYPED_TEST(BatchOnDevice, PartsAreStacked) {
  using T = TypeParam;
  testing::on_every_device([] {
    std::vector<Buffer<T>> parts;
    std::vector<T> want;
    for (int part = 0; part < 40; ++part) {
      const auto values = testing::random_vector<T>(37, 5, part);
      parts.push_back(there(values));
      want.insert(want.end(), values.begin(), values.end());
    }
    std::vector<const Buffer<T>*> all;
    for (const auto& part : parts) all.push_back(&part);
    Exec exec = exec_there();
    const auto got = stacked<T>(all, exec).to(Device{});
    EXPECT_EQ(std::vector<T>(got.begin(), got.end()), want);
    EXPECT_EQ(stacked<T>({}, exec).size(), 0);
    const auto longer = there(std::vector<T>(38, T(1)));
    all.push_back(&longer);
    EXPECT_THROW(stacked<T>(all, exec), InvalidArgument);
  });
}

TYPED_TEST(BatchOnDevice, StopsAndNamesTheEntryThatFails) {
  using T = TypeParam;
  testing::on_every_gpu([] {
    Ragged<T> ragged(20);
    std::vector<BatchEntry<T>> entries;
    for (std::size_t i = 0; i < 20; ++i)
      entries.push_back({&ragged.problems[i], ragged.options[i]});
    Exec exec = exec_there();
    std::atomic<bool> stop{false};
    exec.stop = &stop;
    int checks = 0;
    for (auto& entry : entries)
      entry.options.on_check = [&](const SinkhornReport&) {
        if (++checks == 30) stop = true;
        return true;
      };
    EXPECT_THROW(sinkhorn<T>(entries, exec), Interrupted);
    EXPECT_LT(checks, 60);
    stop = false;

    ragged.args[13].b = ragged.args[12].b;
    const auto refusal = testing::refusal([&] { problems<T>(ragged.args, exec); });
    EXPECT_EQ(refusal.index, 13);
    // And the next call works.
    for (auto& entry : entries) entry.options.on_check = nullptr;
    EXPECT_EQ(sinkhorn<T>(entries, exec).size(), 20U);
  });
}
}  // namespace
}  // namespace monge

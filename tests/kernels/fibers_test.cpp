#include "kernels/fibers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "monge/core/error.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using kernels::FiberTask;

/// Counts, and fails where it is told to.
struct Host : kernels::FiberHost {
  int begun = 0, ended = 0, flushes = 0, waits = 0, most = 0;
  int fails_at = -1;  // wait of that number

  std::unique_ptr<kernels::FiberState> begin() override {
    most = std::max(most, ++begun - ended);
    return std::make_unique<kernels::FiberState>();
  }
  void end(std::unique_ptr<kernels::FiberState>) override { ++ended; }
  void flush() override { ++flushes; }
  void wait() override {
    if (waits++ == fails_at) throw Interrupted();
  }
};

std::vector<FiberTask> tasks(int count, double work = 1) {
  std::vector<FiberTask> out;
  for (int i = 0; i < count; ++i) out.push_back({i, work});
  return out;
}
constexpr double kAnyWork = 1e300;

TEST(Fibers, WaitOnceForAllThatAreParked) {
  Host host;
  std::vector<int> steps(100, 0);
  kernels::run_fibers(
      tasks(100), kAnyWork,
      [&](std::int64_t i) {
        EXPECT_TRUE(kernels::fiber_state());
        for (int step = 0; step < static_cast<int>(1 + i % 7); ++step) {
          kernels::park(true);
          ++steps[i];
        }
      },
      &host);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(steps[i], 1 + i % 7);
  EXPECT_EQ(host.waits, 7);
  EXPECT_EQ(host.begun, 100);
  EXPECT_EQ(host.ended, 100);
  EXPECT_FALSE(kernels::in_fiber());
}

TEST(Fibers, ThoseThatOnlyFlushGoOnBeforeAnyWait) {
  Host host;
  int waits_seen = -1;
  kernels::run_fibers(
      tasks(2), kAnyWork,
      [&](std::int64_t i) {
        if (i == 0) return kernels::park(true);
        for (int step = 0; step < 3; ++step) kernels::park(false);
        waits_seen = host.waits;
      },
      &host);
  EXPECT_EQ(waits_seen, 0);
  EXPECT_EQ(host.waits, 1);
}

TEST(Fibers, LiveAsManyAsTheirWorkAndNumberAllow) {
  const auto most = [](int count, double work, double most_work) {
    Host host;
    kernels::run_fibers(
        tasks(count, work), most_work, [](std::int64_t) { kernels::park(true); }, &host);
    EXPECT_EQ(host.ended, count);
    return host.most;
  };
  EXPECT_EQ(most(10, 1, 3.5), 3);
  EXPECT_EQ(most(10, 5, 3.5), 1);  // one is always served
  EXPECT_EQ(most(3000, 0, 1), kernels::kMostFibers);
}

TEST(Fibers, AnExceptionEndsTheOthersWhereTheyPark) {
  Host host;
  int unwound = 0, finished = 0;
  struct Count {
    int& to;
    ~Count() { ++to; }
  };
  const auto run = [&] {
    kernels::run_fibers(
        tasks(20), 10,
        [&](std::int64_t i) {
          const Count count{unwound};
          kernels::park(true);
          if (i == 3) throw std::runtime_error("three");
          kernels::park(true);
          ++finished;
        },
        &host);
  };
  try {
    run();
    ADD_FAILURE() << "no exception";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), std::string("three"));
  }
  EXPECT_EQ(unwound, 10);  // the others never began
  EXPECT_EQ(finished, 0);
  EXPECT_EQ(host.begun, host.ended);
}

TEST(Fibers, AHostThatFailsEndsAll) {
  Host host;
  host.fails_at = 2;
  int waits = 0;
  EXPECT_THROW(kernels::run_fibers(
                   tasks(5), kAnyWork,
                   [&](std::int64_t) {
                     for (;;) {
                       kernels::park(true);
                       ++waits;
                     }
                   },
                   &host),
               Interrupted);
  EXPECT_EQ(waits, 10);
  EXPECT_EQ(host.ended, 5);
}

TEST(Fibers, OneMayStartOthersAndGetsTheirException) {
  Host host;
  std::vector<int> sums(4);
  std::vector<std::string> errors(4);
  kernels::run_fibers(
      tasks(4), kAnyWork,
      [&](std::int64_t i) {
        try {
          kernels::run_fibers(
              tasks(3), 0,
              [&](std::int64_t j) {
                kernels::park(true);
                if (i == 2 && j == 1) throw std::runtime_error("inner");
                kernels::park(true);
                sums[i] += static_cast<int>(j) + 1;
              },
              nullptr);
        } catch (const std::runtime_error& error) {
          errors[i] = error.what();
        }
      },
      &host);
  EXPECT_EQ(sums, (std::vector<int>{6, 6, 0, 6}));
  EXPECT_EQ(errors, (std::vector<std::string>{"", "", "inner", ""}));
  EXPECT_EQ(host.waits, 2);
}

TEST(Fibers, CallsOnTheCallersStackMayDoAllThatTheCallerMay) {
  Host host, inner_host;
  int inner = 0;
  kernels::run_fibers(
      tasks(2), kAnyWork,
      [&](std::int64_t) {
        kernels::on_callers_stack([&] {
          EXPECT_FALSE(kernels::in_fiber());
          volatile char room[2 << 20];  // more than a fiber has
          room[0] = 1;
          EXPECT_EQ(room[0], 1);
          kernels::run_fibers(
              tasks(3), kAnyWork,
              [&](std::int64_t) {
                kernels::park(true);
                ++inner;
              },
              &inner_host);
        });
        EXPECT_THROW(kernels::on_callers_stack([] { throw std::runtime_error("call"); }),
                     std::runtime_error);
        EXPECT_TRUE(kernels::in_fiber());
      },
      &host);
  EXPECT_EQ(inner, 6);
}

// Whole solves that take turns at every check.
TEST(Fibers, SolvesThatTakeTurnsAreThoseAlone) {
  std::vector<testing::Clouds<double>> clouds;
  for (int i = 0; i < 6; ++i)
    clouds.push_back(testing::random_clouds<double>(20 + 17 * i, 70 - 9 * i, 2, 5 + i, 1, 1));
  std::vector<std::vector<double>> alone(clouds.size()), together(clouds.size());
  const auto solve = [&](std::int64_t i, bool parks) {
    const auto& c = clouds[i];
    const auto problem = c.problem(Balanced{}, Balanced{});
    SinkhornOptions options;
    options.epsilon = 0.01 * static_cast<double>(1 + i);
    options.check_every = 1 + static_cast<int>(i);
    if (parks)
      options.on_check = [](const SinkhornReport&) {
        kernels::park(true);
        return true;
      };
    Exec exec;
    const auto result = sinkhorn(problem, options, exec);
    EXPECT_TRUE(result.report.converged);
    (parks ? together : alone)[i].assign(result.f.begin(), result.f.end());
  };
  for (std::int64_t i = 0; i < std::ssize(clouds); ++i) solve(i, false);
  Host host;
  kernels::run_fibers(
      tasks(static_cast<int>(clouds.size())), kAnyWork, [&](std::int64_t i) { solve(i, true); },
      &host);
  EXPECT_GT(host.waits, 3);
  EXPECT_EQ(together, alone);
}
}  // namespace
}  // namespace monge

#include "cpu/parallel.hpp"

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "monge/core/error.hpp"

namespace monge {
namespace {
using cpu::parallel_for;
using cpu::thread_count;

Exec with_threads(int threads) {
  Exec exec;
  exec.threads = threads;
  return exec;
}

TEST(ParallelFor, RunsEachBlockOnceOnAKnownThread) {
  for (const int threads : {1, 2, 5}) {
    for (const int blocks : {0, 1, 2, 100}) {
      Exec exec = with_threads(threads);
      std::vector<std::atomic<int>> runs(blocks);
      std::atomic<bool> in_range{true};
      parallel_for(blocks, exec, [&](std::int64_t block, int thread) {
        ++runs[block];
        if (thread < 0 || thread >= threads) in_range = false;
      });
      EXPECT_TRUE(in_range);
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ParallelFor, RethrowsAnExceptionOfABody) {
  for (const int threads : {1, 3}) {
    Exec exec = with_threads(threads);
    const auto body = [](std::int64_t block, int) {
      if (block == 7) throw InvalidArgument("[test] block 7", "block", 7);
    };
    try {
      parallel_for(100, exec, body);
      FAIL() << "no exception";
    } catch (const InvalidArgument& error) {
      EXPECT_EQ(error.index(), 7);
    }
    EXPECT_NO_THROW(parallel_for(100, exec, [](std::int64_t, int) {}));  // the pool is intact
  }
}

TEST(ParallelFor, StopsBetweenBlocks) {
  for (const int threads : {1, 2}) {
    Exec exec = with_threads(threads);
    std::atomic<bool> stop{false};
    exec.stop = &stop;
    std::atomic<int> runs{0};
    const auto body = [&](std::int64_t block, int) {
      ++runs;
      if (block == 3) stop = true;
    };
    EXPECT_THROW(parallel_for(1000, exec, body), Interrupted);
    EXPECT_LT(runs, 1000);
    EXPECT_THROW(parallel_for(1, exec, body), Interrupted);  // still asked to
    stop = false;
    EXPECT_NO_THROW(parallel_for(1, exec, [](std::int64_t, int) {}));
  }
}

// Each block takes 20 ms of work, so a hook that is called at most every 0.1 s must be called.
TEST(ParallelFor, ProgressIsReportedAndMayStop) {
  using Clock = std::chrono::steady_clock;
  const auto body = [](std::int64_t, int) {
    for (const auto start = Clock::now(); Clock::now() - start < std::chrono::milliseconds(20);) {
    }
  };
  Exec exec = with_threads(1);
  std::vector<double> fractions;
  exec.progress = [&](const Progress& state) {
    fractions.push_back(state.pass_fraction);
    return true;
  };
  parallel_for(15, exec, body);
  ASSERT_FALSE(fractions.empty());
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  for (const double fraction : fractions) EXPECT_TRUE(fraction >= 0 && fraction <= 1) << fraction;
  exec.progress = [](const Progress&) { return false; };
  EXPECT_THROW(parallel_for(15, exec, body), Interrupted);
}

TEST(ThreadCount, AsAskedAndOneInsideAParallelRegion) {
  EXPECT_EQ(thread_count(with_threads(3)), 3);
  EXPECT_GE(thread_count(with_threads(0)), 1);
  std::atomic<int> most{0};
#pragma omp parallel num_threads(2)
  if (const int count = thread_count(with_threads(3)); count > most) most = count;
  EXPECT_EQ(most, 1);
}

// A child after fork() has no pool: it must run on its one thread instead of waiting for ever.
TEST(ParallelFor, WorksInAForkedChild) {
  Exec exec = with_threads(2);
  parallel_for(10, exec, [](std::int64_t, int) {});  // the pool exists in the parent
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);  // a hang ends here, and as a failure
    std::atomic<int> runs{0};
    parallel_for(10, exec, [&](std::int64_t, int thread) { runs += thread == 0; });
    _exit(runs == 10 && thread_count(exec) == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(thread_count(exec), 2);  // the parent keeps its threads
}
}  // namespace
}  // namespace monge

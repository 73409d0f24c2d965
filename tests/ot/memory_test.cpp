// G3: nothing of size n x m exists. A solve runs in a fresh process whose data segment may grow by
// what is promised and no more.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
namespace {
constexpr std::int64_t kSources = 1'000'000, kTargets = 4'000, kMebibyte = 1 << 20;
constexpr int kDimension = 3;

// Bytes of private writable memory, as RLIMIT_DATA counts them.
std::int64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmData:", 0) == 0) return std::strtoll(line.c_str() + 7, nullptr, 10) * 1024;
  return 0;
}

// Exits with 0 when one iteration fits `allowed` bytes above its inputs.
[[noreturn]] void solve_within(std::int64_t allowed) {
  std::vector<float> x(kSources * kDimension), y(kTargets * kDimension);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(philox_uniform(1, 0, k));
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = static_cast<float>(philox_uniform(1, 1, k));
  const std::vector<float> a(kSources, 1e-6F), b(kTargets, 2.5e-4F);
  const auto limit = static_cast<rlim_t>(data_bytes() + allowed);
  const rlimit bounds{limit, limit};
  if (setrlimit(RLIMIT_DATA, &bounds) != 0) std::_Exit(3);
  try {
    const Problem<float> problem(
        PointCloud<float>{{x.data(), kSources, kDimension}, {y.data(), kTargets, kDimension}},
        {a.data(), kSources}, {b.data(), kTargets}, KL{1}, KL{1});
    SinkhornOptions options;
    options.epsilon = 0.01;
    options.max_iterations = 1;
    Exec exec;
    exec.threads = 1;
    sinkhorn(problem, options, exec);
  } catch (const OutOfMemory& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(2);
  }
  std::_Exit(0);
}

TEST(MemorySlow, StaysWithinThePromisedValuesAPoint) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's own memory is not the library's";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // (d + 8) values a point and 16 MiB; n m values would be 16 GB.
  const std::int64_t promised =
      (kDimension + 8) * static_cast<std::int64_t>(sizeof(float)) * (kSources + kTargets) +
      16 * kMebibyte;
  EXPECT_EXIT(solve_within(promised), ::testing::ExitedWithCode(0), "");
  // The limit acts: without room for the packed points there is a clear error.
  EXPECT_EXIT(solve_within(8 * kMebibyte), ::testing::ExitedWithCode(2), "no memory for");
}
}  // namespace
}  // namespace monge

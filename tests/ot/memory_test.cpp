// G3: nothing of size n x m exists beyond kernel_cache. A solve runs in a fresh process whose data
// segment may grow by what is promised and no more.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "support/data_limit.hpp"
#include "support/devices.hpp"

#ifdef MONGE_WITH_CUDA
#include "cuda/toolkit.hpp"
#endif

namespace monge {
namespace {
constexpr std::int64_t kSources = 1'000'000, kTargets = 4'000, kMebibyte = 1 << 20;
constexpr int kDimension = 3;
constexpr std::int64_t kSide = 4'000, kKernelBytes = kSide * kSide * 4;
constexpr int kManyDimensions = 64;  // where a kernel repays itself

// Exits with 0 when one iteration fits `allowed` bytes above its inputs.
[[noreturn]] void solve_within(std::int64_t allowed) {
  std::vector<float> x(kSources * kDimension), y(kTargets * kDimension);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(philox_uniform(1, 0, k));
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = static_cast<float>(philox_uniform(1, 1, k));
  const std::vector<float> a(kSources, 1e-6F), b(kTargets, 2.5e-4F);
  testing::exit_within(allowed, [&] {
    const Problem<float> problem(
        PointCloud<float>{{x.data(), kSources, kDimension}, {y.data(), kTargets, kDimension}},
        {a.data(), kSources}, {b.data(), kTargets}, KL{1}, KL{1});
    SinkhornOptions options;
    options.epsilon = 0.01;
    options.max_iterations = 1;
    options.kernel_cache = 0;
    Exec exec;
    exec.threads = 1;
    sinkhorn(problem, options, exec);
    return 0;
  });
}

// Exits with 0 when a solve whose kernel takes `bytes` fits `allowed` bytes above its inputs, and 4
// where it did not keep what it was granted.
[[noreturn]] void solve_with_kernel(std::int64_t granted, std::int64_t allowed) {
  std::vector<float> x(kSide * kManyDimensions), y(kSide * kManyDimensions);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(philox_uniform(1, 0, k));
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = static_cast<float>(philox_uniform(1, 1, k));
  testing::exit_within(allowed, [&] {
    const Problem<float> problem(PointCloud<float>{{x.data(), kSide, kManyDimensions},
                                                   {y.data(), kSide, kManyDimensions},
                                                   SquaredEuclidean{}},
                                 {}, {}, Balanced{}, Balanced{});
    SinkhornOptions options;
    options.epsilon = 0.5;
    options.tolerance = 1e-12;
    options.max_iterations = 1000;
    options.kernel_cache = granted;
    // What a history, a support and a subsample take is theirs (docs/numerics.md).
    options.acceleration = Acceleration::none;
    options.initializer = Initializer::zero;
    options.on_check = [&](const SinkhornReport& report) { return report.iterations < 40; };
    Exec exec;
    exec.threads = 1;
    const bool kept = sinkhorn(problem, options, exec).report.absorbed > 0;
    return kept == (granted >= kKernelBytes) ? 0 : 4;
  });
}

#ifdef MONGE_WITH_CUDA
// A cost for each of 10^12 pairs would take 4 TB.
TEST(MemorySlow, AMillionByAMillionOnAGpu) {
  testing::on_every_gpu([] {
    const Device device = testing::current_device();
    constexpr std::int64_t kPerPoint = 128;
    const auto cloud = [&](std::uint64_t stream) {
      Buffer<float> points(kSources * kDimension);
      for (std::int64_t k = 0; k < points.size(); ++k)
        points[k] = static_cast<float>(philox_uniform(1, stream, static_cast<std::uint64_t>(k)));
      return points.to(device);
    };
    const Buffer<float> x = cloud(0), y = cloud(1);
    const auto view = [&](const Buffer<float>& points) {
      return MatrixView<const float>{points.data(), kSources, kDimension, kDimension, 1, device};
    };
    const std::int64_t before = cuda::memory_use(device.index).now;
    const Problem<float> problem(PointCloud<float>{view(x), view(y)}, {}, {}, KL{1}, KL{1});
    SinkhornOptions options;
    options.epsilon = 0.01;
    options.max_iterations = 1;
    options.kernel_cache = 0;
    Exec exec;
    exec.device = device;
    EXPECT_EQ(sinkhorn(problem, options, exec).report.iterations, 1);
    EXPECT_LT(cuda::memory_use(device.index).high - before,
              2 * kSources * kPerPoint + 64 * kMebibyte);
  });
}
#endif

TEST(MemorySlow, AKernelStaysWithinItsBudget) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's own memory is not the library's";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // Values and 16 MiB as below, and the points once more in double while the kernel is formed.
  const std::int64_t beside = 2 * kSide *
                                  ((kManyDimensions + 8) * std::int64_t{sizeof(float)} +
                                   (kManyDimensions + 1) * std::int64_t{sizeof(double)}) +
                              16 * kMebibyte;
  EXPECT_EXIT(solve_with_kernel(kKernelBytes, kKernelBytes + beside), ::testing::ExitedWithCode(0),
              "");
  EXPECT_EXIT(solve_with_kernel(kKernelBytes - 1, beside), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(solve_with_kernel(kKernelBytes, beside), ::testing::ExitedWithCode(2),
              "no memory for");
}

// Exits with 0 when two iterations between images of side^2 fit `allowed` bytes above their masses.
[[noreturn]] void solve_images_within(std::int64_t side, std::int64_t allowed) {
  setenv("OMP_NUM_THREADS", "1", 1);  // stacks of threads would count
  std::vector<float> a(side * side), b(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    a[k] = static_cast<float>(philox_uniform(1, 0, k)) / static_cast<float>(a.size());
    b[k] = static_cast<float>(philox_uniform(1, 1, k)) / static_cast<float>(a.size());
  }
  testing::exit_within(allowed, [&] {
    Grid grid;
    grid.dim = 2;
    grid.shape = {side, side, 1};
    grid.spacing.fill(1 / static_cast<double>(side));
    const Problem<float> problem(Lattice<float>{grid, grid}, {a.data(), side * side},
                                 {b.data(), side * side}, KL{1}, KL{1});
    SinkhornOptions options;
    options.epsilon = 1e-4;
    options.annealing = Annealing::off;
    options.max_iterations = 2;
    Exec exec;
    exec.threads = 1;
    sinkhorn(problem, options, exec);
    return 0;
  });
}

// Of 16 values a point, potentials, softmins, logarithms, biases, the kept pair and an array
// between two axes; one entry for each pair of an axis alone would be 4 GiB.
TEST(MemorySlow, ALatticeTakesAFewValuesAPoint) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's own memory is not the library's";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr std::int64_t kImage = 1024;
  const std::int64_t promised = 2 * kImage * kImage * 16 * std::int64_t{sizeof(float)};
  EXPECT_EXIT(solve_images_within(kImage, promised), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(solve_images_within(kImage, promised / 8), ::testing::ExitedWithCode(2),
              "no memory for");
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

// How tests run a kernel: shapes that break tilings, outputs that start poisoned, every
// instruction set of the machine.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/target.hpp"
#include "monge/core/exec.hpp"
#include "support/devices.hpp"

namespace monge::testing {
struct Shape {
  std::int64_t n, m;
  int dim;
};

/// One less, equal and one more than the units of the kernels: panels of 16, tiles of 8 rows,
/// blocks of 64 rows and 256 columns.
inline std::vector<Shape> awkward_shapes() {
  return {{1, 1, 1},   {1, 17, 3},   {15, 16, 2}, {16, 15, 4},   {17, 255, 3},
          {9, 257, 5}, {65, 256, 1}, {255, 1, 2}, {18, 1000, 3}, {257, 17, 17}};
}

/// What outputs hold before a call: a kernel that forgets to write an entry is found out.
template <class T>
T poison() {
  if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::quiet_NaN();
  return static_cast<T>(-77);
}

/// run(threads) gives the same bits for every number of threads, and on a GPU every time.
template <class Run>
void expect_same_on_any_threads(const Run& run) {
  const auto one = run(1);
  for (const int threads : {2, 8}) EXPECT_TRUE(run(threads) == one) << threads << " threads";
  on_every_gpu([&] { EXPECT_TRUE(run(1) == run(1)); });
}

/// Runs `test` once per instruction set and GPU that this machine and this build have.
template <class Test>
void on_every_target(const Test& test) {
  const char* const before = std::getenv("MONGE_TARGET");
  const std::string restored = before ? before : "";
  for (const std::string& target : cpu::runnable_targets()) {
    SCOPED_TRACE(target);
    setenv("MONGE_TARGET", target.c_str(), 1);
    test();
  }
  before ? setenv("MONGE_TARGET", restored.c_str(), 1) : unsetenv("MONGE_TARGET");
  on_every_gpu(test);
}
}  // namespace monge::testing

#include "monge/core/exec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace monge {
namespace {
TEST(Workspace, OnlyGrows) {
  Workspace workspace;
  std::byte* const large = workspace.reserve(1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large) % 64, 0u);
  EXPECT_EQ(workspace.reserve(10), large);
  EXPECT_EQ(workspace.reserve(1000), large);
  std::byte* const larger = workspace.reserve(100000);
  for (int i = 0; i < 100000; ++i) larger[i] = std::byte{1};  // the sanitizer looks at the bounds
}

TEST(Exec, RunsOnTheProcessorAndIsNotAskedToStopByDefault) {
  const Exec exec;
  EXPECT_EQ(exec.device, Device{});
  EXPECT_EQ(exec.stream, nullptr);
  EXPECT_EQ(exec.threads, 0);
  EXPECT_EQ(exec.stop, nullptr);
  EXPECT_FALSE(exec.progress);
  EXPECT_EQ(exec.state.passes, 0);
  EXPECT_TRUE(std::isnan(exec.state.marginal_error));  // no check has been made
}
}  // namespace
}  // namespace monge

#include "cpu/target.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "cpu/target_pin.hpp"
#include "monge/core/error.hpp"
#include "support/on_targets.hpp"

namespace monge {
TEST(Target, BestIsTheDefaultAndEachCanBeNamed) {
  const auto names = cpu::runnable_targets();
  ASSERT_FALSE(names.empty());
  {
    const testing::TargetScope scope("");
    EXPECT_EQ(cpu::target_name(), names.front());
  }
  for (const std::string& name : names) {
    const testing::TargetScope scope(name);
    EXPECT_EQ(cpu::target_name(), name);
  }
}

TEST(Target, APinnedOneStaysOnItsThread) {
  const std::string last = cpu::runnable_targets().back();
  const testing::TargetScope scope("");
  const std::string before = cpu::target_name();
  {
    const cpu::TargetPin pin;
    const testing::TargetScope inner(last);
    EXPECT_EQ(cpu::target_name(), before);
    std::string elsewhere;
    std::thread([&] { elsewhere = cpu::target_name(); }).join();
    EXPECT_EQ(elsewhere, last);
    const cpu::TargetPin again;
  }
  const testing::TargetScope inner(last);
  EXPECT_EQ(cpu::target_name(), last);
}

TEST(Target, UnknownNameIsRefusedWithWhatRunsHere) {
  const testing::TargetScope scope("avx9000");
  try {
    cpu::current_target();
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.argument(), "MONGE_TARGET");
    const std::string message = error.what();
    EXPECT_NE(message.find("avx9000"), std::string::npos);
    for (const std::string& name : cpu::runnable_targets())
      EXPECT_NE(message.find(name), std::string::npos);
  }
}

TEST(Target, OneThatThisMachineLacksIsRefused) {
  const auto names = cpu::runnable_targets();
  for (const char* name : {"avx512", "avx2", "sse4", "sse2", "native"}) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const testing::TargetScope scope(name);
    EXPECT_THROW(cpu::current_target(), InvalidArgument) << name;
  }
}
}  // namespace monge

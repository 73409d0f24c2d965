#include "monge/info.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

namespace monge {
TEST(Info, NamesTheVersionAndTheCommit) {
  const Info info = monge::info();
  EXPECT_TRUE(std::regex_match(info.version, std::regex(R"(\d+\.\d+\.\d+)"))) << info.version;
  EXPECT_TRUE(std::regex_match(info.commit, std::regex(R"([0-9a-f]{12}\+?|unknown)")))
      << info.commit;
  EXPECT_EQ(std::ranges::count(info.instruction_sets, info.instruction_set), 1);
  ASSERT_FALSE(info.devices.empty());
  EXPECT_EQ(info.devices.front(), "cpu");
}
}  // namespace monge

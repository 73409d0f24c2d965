#include "monge/info.hpp"

#include <gtest/gtest.h>

#include <regex>

namespace monge {
TEST(Info, NamesTheVersionAndTheCommit) {
  const Info info = monge::info();
  EXPECT_TRUE(std::regex_match(info.version, std::regex(R"(\d+\.\d+\.\d+)"))) << info.version;
  EXPECT_TRUE(std::regex_match(info.commit, std::regex(R"([0-9a-f]{12}\+?|unknown)"))) << info.commit;
  ASSERT_FALSE(info.devices.empty());
  EXPECT_EQ(info.devices.front(), "cpu");
}
}  // namespace monge

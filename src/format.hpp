// Lists in texts. fmt's own (fmt/ranges.h) would compile in each file what format.cpp compiles
// once.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace monge {
std::string listed(const std::vector<std::string>& parts, std::string_view separator = ", ");
}  // namespace monge

// Good files to start from, one of each form that the readers know. The first byte of each names
// its format, as the fuzz target expects.
#pragma once
#include <string>
#include <vector>

namespace monge::fuzz {
std::vector<std::string> seeds();
}  // namespace monge::fuzz

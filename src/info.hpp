// Parts of monge::Info for what files say of the build: asking for them starts nothing.
#pragma once
#include <string>

namespace monge {
std::string commit();
std::string instruction_set();
}  // namespace monge

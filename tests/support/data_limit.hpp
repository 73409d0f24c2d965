// What a fresh process may allocate: for tests of how much memory a call takes.
#pragma once
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "monge/core/error.hpp"

namespace monge::testing {
/// Bytes of private writable memory, as RLIMIT_DATA counts them.
inline std::int64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmData:", 0) == 0) return std::strtoll(line.c_str() + 7, nullptr, 10) * 1024;
  return 0;
}

/// Calls `body` with `allowed` bytes above what there is, and exits: with what it returns, with 2
/// where they do not suffice.
template <class Body>
[[noreturn]] void exit_within(std::int64_t allowed, const Body& body) {
  const auto limit = static_cast<rlim_t>(data_bytes() + allowed);
  const rlimit bounds{limit, limit};
  if (setrlimit(RLIMIT_DATA, &bounds) != 0) std::_Exit(3);
  try {
    std::_Exit(body());
  } catch (const OutOfMemory& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(2);
  }
}
}  // namespace monge::testing

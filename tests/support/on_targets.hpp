// Runs a test once per instruction set and GPU that this machine and this build have.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cpu/target.hpp"
#include "support/devices.hpp"

namespace monge::testing {
/// MONGE_TARGET for the life of the object.
class TargetScope {
 public:
  explicit TargetScope(const std::string& name) {
    if (const char* before = std::getenv("MONGE_TARGET")) before_ = before;
    setenv("MONGE_TARGET", name.c_str(), 1);
  }
  ~TargetScope() {
    before_.empty() ? unsetenv("MONGE_TARGET") : setenv("MONGE_TARGET", before_.c_str(), 1);
  }
  TargetScope(const TargetScope&) = delete;

 private:
  std::string before_;
};

template <class Test>
void on_every_target(const Test& test) {
  for (const std::string& name : cpu::runnable_targets()) {
    SCOPED_TRACE("target " + name);
    const TargetScope scope(name);
    test();
  }
  on_every_gpu(test);
}
}  // namespace monge::testing

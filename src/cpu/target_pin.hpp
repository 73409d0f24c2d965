// One look at the environment for many calls: a batch of small problems asks a hundred times each.
#pragma once
#include <optional>

#include "cpu/target.hpp"

namespace monge::cpu {
/// While it lives, current_target() on this thread is what it was.
class TargetPin {
 public:
  TargetPin();
  ~TargetPin();
  TargetPin(const TargetPin&) = delete;
  TargetPin& operator=(const TargetPin&) = delete;

 private:
  std::optional<Target> before_;
};
}  // namespace monge::cpu

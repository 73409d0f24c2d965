// One lambda per alternative of a variant, for std::visit.
#pragma once

namespace monge {
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
}  // namespace monge

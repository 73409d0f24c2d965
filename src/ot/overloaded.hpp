// One lambda per alternative of a variant, for std::visit.
#pragma once

namespace monge {
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;  // clang 14, and with it clang-tidy, deduces no aggregate
}  // namespace monge

// Problems under another reference speak of the one that was asked for.
#pragma once
#include <utility>

#include "monge/ot/reference.hpp"
#include "options.hpp"

namespace monge::python {
/// The callback is told what was asked for.
template <class T>
SinkhornOptions as_asked(const ReferencedProblem<T>& r, SinkhornOptions options) {
  if (options.on_check)
    options.on_check = [&r, asked = std::move(options.on_check)](const SinkhornReport& report) {
      return asked(r.map.to_asked(report));
    };
  return options;
}
}  // namespace monge::python

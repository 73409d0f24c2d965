// What Python gives beside arrays: the call's threads and progress hook, and the callback.
#pragma once
#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "monge/ot/sinkhorn.hpp"

namespace monge::python {
/// `on_check`: None, or a callable of a report; what it returns, unless None, says by its truth
/// whether to go on. What it raises ends the solve. The report is a copy: callers may keep it. The
/// core copies options without the GIL, so that copies share the object.
template <class Options>
Options with_callback(Options options, nanobind::object on_check) {
  namespace nb = nanobind;
  if (!on_check.is_none())
    options.on_check = [ask = std::make_shared<const nb::object>(std::move(on_check))](
                           const SinkhornReport& report) {
      const nb::gil_scoped_acquire locked;
      const nb::object answer = (*ask)(nb::cast(report, nb::rv_policy::copy));
      if (answer.is_none()) return true;
      const int truth = PyObject_IsTrue(answer.ptr());
      if (truth < 0) throw nb::python_error();
      return truth == 1;
    };
  return options;
}
}  // namespace monge::python

// How a binding calls the core: without the GIL, with Ctrl-C and the caller's progress hook
// polled from the core's own hook.
#pragma once
#include <nanobind/nanobind.h>

#include <optional>
#include <utility>

#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::python {
namespace nb = nanobind;

/// The threads and the progress hook (None, or a callable of (iterations, passes, epsilon,
/// marginal_error), passes fractional) of one call.
struct Call {
  Call(int threads, nb::object progress) : threads(threads), progress(std::move(progress)) {}
  int threads;
  nb::object progress;
};

/// body(exec) without the GIL. An exception of the hook, KeyboardInterrupt included, ends the
/// call and is the one that the caller sees.
template <class Body>
auto run(const Call& call, Body&& body) {
  std::optional<nb::python_error> raised;
  Exec exec;
  exec.threads = call.threads;
  exec.progress = [&](const Progress& at) {
    const nb::gil_scoped_acquire locked;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!call.progress.is_none())
        call.progress(at.iterations, static_cast<double>(at.passes) + at.pass_fraction, at.epsilon,
                      at.marginal_error);
    } catch (nb::python_error& error) {
      raised.emplace(std::move(error));
    }
    return !raised;
  };
  try {
    const nb::gil_scoped_release unlocked;
    return body(exec);
  } catch (const Interrupted&) {
    if (raised) throw std::move(*raised);
    throw;
  }
}
}  // namespace monge::python

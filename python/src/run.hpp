// How a binding calls the core: without the GIL, with Ctrl-C and the caller's progress hook
// polled from the core's own hook.
#pragma once
#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::python {
namespace nb = nanobind;

/// A cudaStream_t as Python's frameworks give it; 0 is the legacy default stream.
inline void* to_stream(std::uintptr_t stream) {
  return reinterpret_cast<void*>(stream);  // NOLINT(performance-no-int-to-ptr): a handle
}

/// The threads, the progress hook (None, or a callable of (iterations, passes, epsilon,
/// marginal_error, entries_done), passes fractional) and the stream of one call.
struct Call {
  Call(int threads, nb::object progress, std::uintptr_t stream)
      : threads(threads), progress(std::move(progress)), stream(stream) {}
  int threads;
  nb::object progress;
  std::uintptr_t stream;
};

/// body(exec) on `device`, without the GIL; its arrays are ready in the order of the call's stream.
/// An exception of the hook, KeyboardInterrupt included, ends the call and is the one that the
/// caller sees.
template <class Body>
auto queue(const Call& call, Device device, Body&& body) {
  std::optional<nb::python_error> raised;
  Exec exec;
  exec.device = device;
  exec.stream = to_stream(call.stream);
  exec.threads = call.threads;
  exec.progress = [&](const Progress& at) {
    const nb::gil_scoped_acquire locked;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!call.progress.is_none())
        call.progress(at.iterations, static_cast<double>(at.passes) + at.pass_fraction, at.epsilon,
                      at.marginal_error, at.entries_done);
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

/// The same, complete when it returns, so that any stream may read it.
template <class Body>
auto run(const Call& call, Device device, Body&& body) {
  return queue(call, device, [&](Exec& exec) {
    auto result = body(exec);
    synchronize(exec.device, exec.stream);
    return result;
  });
}
}  // namespace monge::python

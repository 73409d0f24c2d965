#pragma once
#include <nanobind/nanobind.h>

namespace monge::python {
/// (name, platform, capsule) of each foreign function.
nanobind::list xla_targets();
}  // namespace monge::python

// The functions by which XLA calls the core, where the build found the headers of jaxlib.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#ifdef MONGE_WITH_XLA
#include "xla/targets.hpp"
#endif

namespace monge::python {
void bind_xla(nanobind::module_& m) {
  constexpr const char* kDoc =
      "(name, platform, capsule) of each foreign function of XLA; none where the build had no "
      "jaxlib.";
#ifdef MONGE_WITH_XLA
  m.def("xla_targets", &xla_targets, kDoc);
#else
  m.def(
      "xla_targets", [] { return nanobind::list(); }, kDoc);
#endif
}
}  // namespace monge::python

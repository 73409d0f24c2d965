// The functions by which XLA calls the core, where the build found the headers of jaxlib.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#ifdef MONGE_WITH_XLA
#include "xla/targets.hpp"
#else
namespace monge::python {
static nanobind::list xla_targets() { return {}; }
}  // namespace monge::python
#endif

namespace monge::python {
void bind_xla(nanobind::module_& m) {
  m.def("xla_targets", &xla_targets,
        nanobind::sig("def xla_targets() -> list[tuple[str, str, object]]"),
        "(name, platform, capsule) of each foreign function of XLA; none where the build had no "
        "jaxlib.");
}
}  // namespace monge::python

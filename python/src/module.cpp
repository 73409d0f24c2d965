#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "monge/core/release.hpp"
#include "monge/info.hpp"

NB_MODULE(_core, m) {
  m.doc() = "The C++ core: converts and calls. The public interface is the package monge.";
  m.def("version", &monge::version);
  m.def("devices", [] { return monge::info().devices; });
  m.def("components", &monge::components);
  m.def("release_memory",
        [](const std::string& device) { monge::release_memory(monge::parse_device(device)); });
  monge::python::bind_error(m);
  monge::python::bind_problem(m);
  monge::python::bind_sinkhorn(m);
  monge::python::bind_reference(m);
  monge::python::bind_plan(m);
  monge::python::bind_derivatives(m);
  monge::python::bind_divergence(m);
  monge::python::bind_divergence_derivatives(m);
  monge::python::bind_labels(m);
  monge::python::bind_semi_dual(m);
  monge::python::bind_store(m);
  monge::python::bind_batch(m);
  monge::python::bind_divergence_stack(m);
  monge::python::bind_transport_stack(m);
  monge::python::bind_xla(m);
}

// One function for each public header that Python sees.
#pragma once
#include <nanobind/nanobind.h>

namespace monge::python {
void bind_error(nanobind::module_& m);
void bind_problem(nanobind::module_& m);
void bind_sinkhorn(nanobind::module_& m);
void bind_reference(nanobind::module_& m);
void bind_plan(nanobind::module_& m);
void bind_derivatives(nanobind::module_& m);
void bind_divergence(nanobind::module_& m);
void bind_divergence_derivatives(nanobind::module_& m);
void bind_labels(nanobind::module_& m);
void bind_semi_dual(nanobind::module_& m);
void bind_store(nanobind::module_& m);
void bind_batch(nanobind::module_& m);
void bind_divergence_stack(nanobind::module_& m);
void bind_transport_stack(nanobind::module_& m);
void bind_xla(nanobind::module_& m);
}  // namespace monge::python
